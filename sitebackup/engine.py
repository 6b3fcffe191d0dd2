"""What the activities of one worker process share: settings, clients, and limits on work in flight."""

import asyncio

from sitebackup.copy import Copier
from sitebackup.limits import ByteBudget
from sitebackup.runs import RunStore
from sitebackup.settings import Settings
from sitebackup.storage import Container
from sitebackup.threads import Threads

MEMORY = 64 * 1024 * 1024
"""Bytes of file content in memory at once."""


class Engine:
    """The dependencies of the activities; one a process, used on one event loop.

    `files` is a semaphore of `BACKUP_CONCURRENCY` files in flight, over all copy tasks of the process;
    `memory` bounds the bytes of their content.
    """

    def __init__(self, settings: Settings, backups: Container, runs: Container) -> None:
        self.settings = settings
        self.backups = backups
        self.runs = RunStore(runs)
        self.files = asyncio.Semaphore(settings.concurrency)
        self.memory = ByteBudget(MEMORY)
        self.in_thread = Threads(settings.concurrency)
        self.copier = Copier(backups, self.memory, self.in_thread)

    def close(self) -> None:
        """End the threads."""
        self.in_thread.close()
