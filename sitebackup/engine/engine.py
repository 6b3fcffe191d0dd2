"""What the activities of one worker process share: settings, clients, and limits on work in flight."""

import uuid

from sitebackup.blobs.container import Container
from sitebackup.blobs.slots import Slots
from sitebackup.engine.limits import ByteBudget
from sitebackup.engine.progress import Progress
from sitebackup.engine.quarantine import Quarantine
from sitebackup.engine.threads import Disk
from sitebackup.engine.watch import RunWatch
from sitebackup.records.plans import PlanStore
from sitebackup.settings import Settings

MEMORY = 64 * 1024 * 1024
"""Bytes of file content in memory at once."""

ACTIVITY_SECONDS = 25 * 60.0
"""What an activity may take: below the `functionTimeout` of host.json, which would end its worker."""


class Engine:
    """The dependencies of the activities; one a process, used on one event loop.

    `id` tells the process from every other. `transfers` bounds the requests with content in flight, over all
    activities of the process, to `BACKUP_CONCURRENCY` and to what the service can bear, `memory` the bytes of
    their content. Take memory before a slot. `quarantine` keeps what may end the process from all else.
    `disk` gives the threads that touch the tree below a root. `progress` counts what is found and done.
    """

    def __init__(  # noqa: PLR0913 - all that the activities depend on is handed over here
        self,
        settings: Settings,
        backups: Container,
        runs: Container,
        history: Container,
        catalog: Container,
        *,
        activity_seconds: float = ACTIVITY_SECONDS,
        transfers: Slots | None = None,
    ) -> None:
        self.id = uuid.uuid4().hex
        self.settings = settings
        self.backups = backups
        self.runs = runs
        self.history = history
        self.catalog = catalog
        self.activity_seconds = activity_seconds
        self.plans = PlanStore(runs)
        self.progress = Progress(runs, self.id)
        self.watch = RunWatch()
        self.transfers = transfers or Slots(settings.concurrency)
        self.memory = ByteBudget(MEMORY)
        self.quarantine = Quarantine()
        self.disk = Disk(settings.concurrency)

    def close(self) -> None:
        """End the threads, and publish no more progress."""
        self.progress.close()
        self.disk.close()
