"""Walking a tree: what is under some directories of a root, a budget at a time.

A walk yields what it finds, one entry at a time, so that its memory is one directory deep, never one tree
wide. Symbolic links are not followed. Trouble with one directory is an entry, not the end of the walk.
"""

import math
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class File:
    """A regular file: `path` relative to the root, `size` in bytes when it was listed."""

    path: str
    size: int


@dataclass(frozen=True, slots=True)
class Skipped:
    """Something that holds no content of its own: a symbolic link, a fifo, a socket, a device."""

    path: str
    kind: str


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A file or directory that could not be looked at, and why."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class Left:
    """A directory that the walk did not enter because its budget was spent."""

    path: str


type Entry = File | Skipped | Unreadable | Left


def walk(root: str, directories: Iterable[str], budget: float = math.inf) -> Iterator[Entry]:
    """Yield the entries of `directories` (paths relative to `root`, "" is the root itself) and below.

    After `budget` entries the walk enters no further directory and yields each one that it knows as `Left`.
    It always enters one, so that rounds of walks come to an end, and it finishes what it entered.
    """
    pending = list(directories)
    seen = 0
    while pending:
        if seen >= budget:
            yield from map(Left, pending)
            return
        directory = pending.pop()
        seen += 1
        try:
            entries = os.scandir(_join(root, directory))
        except OSError as error:
            yield Unreadable(directory, _reason(error))
            continue
        with entries:
            try:
                for entry in entries:
                    found = _look(entry, directory)
                    if found is None:
                        pending.append(_join(directory, entry.name))
                    else:
                        seen += 1
                        yield found
            except OSError as error:  # the directory broke off in mid-listing
                yield Unreadable(directory, _reason(error))


def _look(entry: os.DirEntry[str], directory: str) -> File | Skipped | Unreadable | None:
    """Return what `entry` of `directory` is; None for a directory."""
    path = _join(directory, entry.name)
    try:
        if entry.is_dir(follow_symlinks=False):
            return None
        status = entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return Skipped(path, "vanished")
    except OSError as error:
        return Unreadable(path, _reason(error))
    if stat.S_ISREG(status.st_mode):
        return File(path, status.st_size)
    return Skipped(path, kind(status.st_mode))


def kind(mode: int) -> str:
    """Return what the file type bits of `mode` (`st_mode`) say, in words."""
    names = {
        stat.S_IFREG: "regular file",
        stat.S_IFDIR: "directory",
        stat.S_IFLNK: "symbolic link",
        stat.S_IFIFO: "fifo",
        stat.S_IFSOCK: "socket",
        stat.S_IFCHR: "character device",
        stat.S_IFBLK: "block device",
    }
    return names.get(stat.S_IFMT(mode), "unknown kind")


def _join(directory: str, name: str) -> str:
    return f"{directory}/{name}" if directory else name


def _reason(error: OSError) -> str:
    return error.strerror or type(error).__name__
