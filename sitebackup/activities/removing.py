"""Removing from `backups` what is gone from the tree: it stays in the history.

The disk is asked once more, so that what is there again stays. What another writer has put there stays too.
"""

import os
import stat
from collections.abc import Sequence
from contextlib import suppress

from sitebackup.activities.backups import NOT_THERE, Backups
from sitebackup.activities.ends import End, Ends, not_saved
from sitebackup.blobs import blobname
from sitebackup.concurrently import all_of
from sitebackup.engine.engine import Engine
from sitebackup.errors import VanishedError
from sitebackup.records.entries import blob_of
from sitebackup.records.outcomes import Outcome
from sitebackup.records.plans import Task
from sitebackup.tree.place import Place
from sitebackup.tree.reasons import reasons


class Remover:
    """Removes what is gone from the tree at `place`. `is_last` as in `Ends`."""

    def __init__(self, engine: Engine, place: Place, *, is_last: bool = False) -> None:
        self._place = place
        self._ends = Ends(engine, place, is_last=is_last)
        self._backups = Backups(engine)
        self._transfers = engine.transfers
        self._disk = engine.disk(place.root)

    async def remove(self, tasks: Sequence[Task]) -> list[End]:
        """Remove the blobs of `tasks`, and return how it went with each. Raises `FatalError`."""
        return await all_of(self._ends.of(task, self._remove(task)) for task in tasks)

    async def _remove(self, task: Task) -> Outcome:
        name = blobname.encode(self._place.name(task.path.removesuffix("/")))
        there = None if task.base is None else blob_of(name, task.base)
        if there is not None:
            if await self._disk(lambda: _is_there(self._place, task)):
                return not_saved(task, "kept", "is there again")
            async with self._transfers:
                with suppress(*NOT_THERE):  # another run has removed it, or has put something else there
                    await self._backups.remove(there)
        return not_saved(task, "gone", "is not there any more")


def _is_there(place: Place, task: Task) -> bool:
    """Tell whether what was gone is there again. Raises `SourceError`, `SourceUnavailableError`.

    What is behind a link, which may have taken a directory's place, is not in the tree. The blob of a
    directory says that it is empty: it is wrong too when something is in it.
    """
    if task.kind == "directory":
        return False
    *parents, _ = task.path.split("/")
    if any(os.path.islink(place.path("/".join(parents[:depth]))) for depth in range(1, len(parents) + 1)):
        return False
    try:
        with reasons():
            return not stat.S_ISDIR(os.lstat(place.path(task.path)).st_mode)
    except VanishedError:
        return False
