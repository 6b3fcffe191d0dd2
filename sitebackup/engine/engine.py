"""What the activities of one worker process share: settings, clients, and limits on work in flight."""

import asyncio

from sitebackup.blobs.container import Container
from sitebackup.engine.limits import ByteBudget
from sitebackup.engine.threads import Disk, Threads
from sitebackup.records.runs import RunStore
from sitebackup.settings import Settings

MEMORY = 64 * 1024 * 1024
"""Bytes of file content in memory at once."""


class Engine:
    """The dependencies of the activities; one a process, used on one event loop.

    `transfers` bounds the requests with content in flight to `BACKUP_CONCURRENCY`, over all activities of the
    process, `memory` the bytes of their content. Who needs both takes memory first. `disk` gives each tree
    threads of its own, `BACKUP_CONCURRENCY` at most.
    """

    def __init__(self, settings: Settings, backups: Container, runs: Container) -> None:
        self.settings = settings
        self.backups = backups
        self.runs = RunStore(runs)
        self.transfers = asyncio.Semaphore(settings.concurrency)
        self.memory = ByteBudget(MEMORY)
        self.in_thread = Threads(settings.concurrency)
        self.disk = Disk(settings.concurrency)

    def close(self) -> None:
        """End the threads."""
        self.in_thread.close()
        self.disk.close()
