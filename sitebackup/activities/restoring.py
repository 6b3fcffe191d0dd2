"""A run's manifest -> the tree that it saved, in an empty directory.

Whatever a manifest says, nothing is made outside of that directory: links are made last, and nothing is made
through one. Content is compared with its MD5 as it arrives, and what is not what was saved does not stay.

Modes and times come back, owners where the process may give files away. A directory that had something in it
has no blob, so its own mode and time are not known.
"""

import asyncio
import os
from collections.abc import Callable
from datetime import datetime

from sitebackup.activities.reading_back import read_through
from sitebackup.concurrently import task_group
from sitebackup.engine.engine import Engine
from sitebackup.engine.threads import InThread
from sitebackup.errors import BlobMissingError, FatalError, SourceError, SourceUnavailableError
from sitebackup.records import manifest
from sitebackup.records.manifest import Summary
from sitebackup.records.outcomes import Outcome


async def restore(run: str, directory: str, engine: Engine) -> Summary:
    """Make in `directory`, which is empty or not there yet, what `run` saved; return what came back.

    What cannot come back is counted as failed, as is what the run had failed to save, and the first ten are
    named. Raises `FatalError` if there is no such run or the directory is not empty, and
    `StorageUnavailableError`.
    """
    await manifest.read_head(engine.runs, run)  # there is one, and it can be read
    disk = engine.disk(directory)
    root = await disk(lambda: _empty(directory))
    summary = Summary()
    at_once = asyncio.Semaphore(engine.settings.concurrency)
    for links in (False, True):
        async with task_group() as group:
            async for entry in manifest.read(engine.runs, run):
                if entry.outcome == "failed" and not links:
                    summary.add(_failed(entry, f"that run could not save it: {entry.reason}"))
                if entry.outcome == "copied" and (entry.kind == "link") == links:
                    await at_once.acquire()
                    task = group.create_task(_restore(entry, root, disk, engine, summary))
                    task.add_done_callback(lambda _: at_once.release())
    return summary


async def _restore(entry: Outcome, root: str, disk: InThread, engine: Engine, summary: Summary) -> None:
    try:
        if entry.kind == "link":
            target = bytearray()
            await _read(entry, disk, engine, target.extend)
            # On the event loop: between the look at where it goes and its making, no other link is made.
            path = _place(root, entry.path)
            os.symlink(bytes(target), os.fsencode(path))
        else:
            path = await disk(lambda: _place(root, entry.path))
            if entry.kind == "file":
                await _make_file(path, entry, disk, engine)
            else:
                await disk(lambda: os.makedirs(path, exist_ok=True))
        await disk(lambda: _give_attributes(path, entry))
    except OSError as error:
        summary.add(_failed(entry, error.strerror or type(error).__name__))
    except (SourceError, SourceUnavailableError, BlobMissingError, ValueError, OverflowError) as error:
        summary.add(_failed(entry, str(error)))
    else:
        summary.add(entry)


def _failed(entry: Outcome, reason: str) -> Outcome:
    return Outcome(entry.path, "failed", reason)


async def _make_file(path: str, entry: Outcome, disk: InThread, engine: Engine) -> None:
    # Nobody else's until its mode is known. The file is closed below.
    file = await disk(lambda: open(path, "xb", opener=_private))  # noqa: SIM115
    try:
        with file:
            await _read(entry, disk, engine, file.write)
    except BaseException:
        os.unlink(path)
        raise


async def _read(entry: Outcome, disk: InThread, engine: Engine, take: Callable[[bytes], object]) -> None:
    _, same = await read_through(entry, engine, take, disk)
    if not same:
        raise SourceError("the blob has another content than this run saved")


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


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _give_attributes(path: str, entry: Outcome) -> None:
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
