"""A run's manifest -> the tree that it saved, in an empty directory.

Whatever a manifest says, nothing is made outside of that directory: links are made last, and nothing is made
through one. Content is compared with its MD5 as it arrives, and what is not what was saved does not stay.

Modes and times come back, owners where the process may give files away. Directories get theirs when all is in
them, the inner ones first.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime
from functools import partial

from sitebackup.activities.reading_back import read_content
from sitebackup.concurrently import task_group
from sitebackup.engine.engine import Engine
from sitebackup.engine.threads import InThread
from sitebackup.errors import BlobMissingError, FatalError, SourceError, SourceUnavailableError
from sitebackup.records.entries import Entry
from sitebackup.records.manifest import Summary
from sitebackup.records.saved import read_saved


async def restore(run: str, directory: str, engine: Engine) -> Summary:
    """Make in `directory`, which is empty or not there yet, what `run` saved; return what came back.

    What cannot come back is counted as failed, as is what the run had failed to save, and the first ten are
    named. Raises `FatalError` if there is no such run or the directory is not empty, and
    `StorageUnavailableError`.
    """
    saved = await read_saved(engine.catalog, engine.runs, run)
    disk = engine.disk(directory)
    restoring = _Restoring(engine, await disk(lambda: _empty(directory)), disk)
    async for entry in saved.entries():
        if entry.outcome == "failed":
            restoring.fail(entry, f"that run could not save it: {entry.reason}")
        elif entry.is_saved and entry.kind == "directory":
            await restoring.make_directory(entry)
    at_once = asyncio.Semaphore(engine.settings.concurrency)
    for kind in ("file", "link"):
        async with task_group() as group:
            async for entry in saved.entries():
                if entry.is_saved and entry.kind == kind:
                    await at_once.acquire()
                    task = group.create_task(restoring.make(entry))
                    task.add_done_callback(lambda _: at_once.release())
    await restoring.finish_directories()
    return restoring.summary


class _Restoring:
    """Makes entries below the directory `root`; `summary` counts what came back and what did not."""

    def __init__(self, engine: Engine, root: str, disk: InThread) -> None:
        self._engine = engine
        self._root = root
        self._disk = disk
        self._directories: list[tuple[str, Entry]] = []
        self.summary = Summary()

    def fail(self, entry: Entry, reason: str) -> None:
        """Count an entry that does not come back."""
        failed = entry.not_saved("failed", reason)
        self.summary.add(failed, failed.tally)

    async def make_directory(self, entry: Entry) -> None:
        """Make a directory, still without its attributes."""

        async def work() -> None:
            path = await self._disk(lambda: _make_directory(self._root, entry.path))
            self._directories.append((path, entry))

        await self._succeeds(entry, work())

    async def make(self, entry: Entry) -> None:
        """Make a file or a link."""
        if await self._succeeds(entry, self._make_link(entry) if entry.kind == "link" else self._make(entry)):
            self.summary.add(entry, entry.tally)

    async def finish_directories(self) -> None:
        """Give the directories that were made their attributes, the inner ones first."""
        for path, entry in sorted(self._directories, key=lambda made: made[0], reverse=True):
            giving = self._disk(partial(_give_attributes, path, entry))
            if await self._succeeds(entry, giving):
                self.summary.add(entry, entry.tally)

    async def _succeeds(self, entry: Entry, work: Awaitable[None]) -> bool:
        try:
            await work
        except OSError as error:
            self.fail(entry, error.strerror or type(error).__name__)
        except (SourceError, SourceUnavailableError, BlobMissingError, ValueError, OverflowError) as error:
            self.fail(entry, str(error))
        else:
            return True
        return False

    async def _make_link(self, entry: Entry) -> None:
        target = bytearray()

        def begin() -> Callable[[bytes], object]:
            target.clear()
            return target.extend

        await read_content(entry, self._engine, begin, self._disk)
        # On the event loop: between the look at where it goes and its making, no other link is made.
        path = _place(self._root, entry.path)
        os.symlink(bytes(target), os.fsencode(path))
        await self._disk(lambda: _give_attributes(path, entry))

    async def _make(self, entry: Entry) -> None:
        path = await self._disk(lambda: _place(self._root, entry.path))
        # Nobody else's until its mode is known. The file is closed below.
        file = await self._disk(lambda: open(path, "xb", opener=_private))  # noqa: SIM115

        def begin() -> Callable[[bytes], object]:
            file.seek(0)
            file.truncate()
            return file.write

        try:
            with file:
                await read_content(entry, self._engine, begin, self._disk)
        except BaseException:
            os.unlink(path)
            raise
        await self._disk(lambda: _give_attributes(path, entry))


def _empty(directory: str) -> str:
    """Make `directory` unless it is there, and return its real path."""
    try:
        os.makedirs(directory, exist_ok=True)
        if os.listdir(directory):
            raise FatalError(f"'{directory}' is not empty.")
    except OSError as error:
        raise FatalError(f"'{directory}': {error.strerror}.") from error
    return os.path.realpath(directory)


def _place(root: str, path: str) -> str:
    """Return the absolute path of `path`, whose directory is there then."""
    place = os.path.normpath(os.path.join(root, path))
    parent = os.path.dirname(place)
    if not place.startswith(root.rstrip("/") + "/") or os.path.realpath(parent) != parent:
        raise SourceError("its path leads out of the directory")
    os.makedirs(parent, exist_ok=True)
    return place


def _make_directory(root: str, path: str) -> str:
    """Make a directory that is nobody else's until its mode is known, and return its absolute path."""
    if not path:
        return root
    place = _place(root, path)
    with suppress(FileExistsError):  # as what something in it needed
        os.mkdir(place, 0o700)
    return place


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _give_attributes(path: str, entry: Entry) -> None:
    permissions = int(entry.mode or "", 8) & 0o7777
    try:
        os.chown(path, entry.uid or 0, entry.gid or 0, follow_symlinks=False)
    except OSError:  # no privilege, or an owner that this system cannot have
        permissions &= 0o777  # a program that runs as its owner must not run as somebody else
    if entry.kind != "link":
        os.chmod(path, permissions)
    modified = _nanoseconds(entry.mtime or "")
    os.utime(path, ns=(modified, modified), follow_symlinks=False)


def _nanoseconds(moment: str) -> int:
    """Return a time as the manifest has it, in nanoseconds since the epoch."""
    seconds, fraction = moment.rstrip("Z").split(".")
    return int(datetime.fromisoformat(f"{seconds}+00:00").timestamp()) * 1_000_000_000 + int(fraction)
