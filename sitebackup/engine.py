"""What the activities of one worker process share: settings, clients, and limits on work in flight."""

from sitebackup.copy import Copier
from sitebackup.limits import Budget
from sitebackup.runs import RunStore
from sitebackup.settings import Settings
from sitebackup.storage import Container
from sitebackup.threads import Threads

MEMORY = 64 * 1024 * 1024
"""Bytes of file content in memory at once."""


class Engine:
    """The dependencies of the activities; one a process, used on one event loop.

    `files` bounds the files in flight to `BACKUP_CONCURRENCY`, over all copy tasks of the process; `memory`
    the bytes of their content.
    """

    def __init__(self, settings: Settings, backups: Container, runs: Container) -> None:
        self.settings = settings
        self.backups = backups
        self.runs = RunStore(runs)
        self.files = Budget(settings.concurrency)
        self.memory = Budget(MEMORY)
        self.in_thread = Threads(settings.concurrency)
        self.copier = Copier(backups, self.files, self.memory, self.in_thread)

    def close(self) -> None:
        """End the threads."""
        self.in_thread.close()
