"""Walking a tree: what is under some directories of a root, a budget at a time.

A walk yields what it finds, one entry at a time, so that its memory is one directory deep, never one tree
wide. Symbolic links are entries and are not followed; what is neither a file, a link nor a directory is never
opened. Trouble with one directory is an entry, not the end of the walk.
"""

import errno
import math
import os
import stat
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import Literal

from sitebackup.errors import SourceUnavailableError, has_vanished, is_gone, may_pass, process_trouble
from sitebackup.tree.inside import lies_within
from sitebackup.tree.reasons import close, words
from sitebackup.tree.selecting import Selection

type Kind = Literal["file", "link", "directory"]

_HELD = 1_000
"""Entries of a directory that are in memory at once, at most: a step of a listing, which has a time limit."""


@dataclass(frozen=True, slots=True)
class Item:
    """Something to save: `path` relative to the root, `size` of a file in bytes when it was listed.

    A directory is an item only if nothing in it is: as a directory with items needs no blob of its own.
    """

    path: str
    kind: Kind = "file"
    size: int = 0


@dataclass(frozen=True, slots=True)
class Range:
    """The keys from `begin` to before `end`; None is no end."""

    begin: str = ""
    end: str | None = None


@dataclass(frozen=True, slots=True)
class Odd:
    """Something that is not saved, because it is `skipped`, `vanished` or `failed`, and the reason."""

    path: str
    outcome: Literal["skipped", "vanished", "failed"]
    reason: str


@dataclass(frozen=True, slots=True)
class Left:
    """A directory to enter; the walk yields those that it did not enter because its budget was spent."""

    path: str


@dataclass(frozen=True, slots=True)
class Unreached:
    """A directory of which nothing was yielded, because the disk does not answer now; and in which words."""

    path: str
    reason: str


type Entry = Item | Odd | Left | Unreached


def walk(
    root: str, directories: Iterable[str], budget: float = math.inf, selection: Selection | None = None
) -> Iterator[Entry | None]:
    """Yield the entries of `directories` and below: paths relative to the real path `root`, "" is the root.

    None comes where many entries in a row are not selected: each step of a walk is a short one.

    After `budget` entries the walk enters no further directory and yields each one that it knows as `Left`.
    It always enters one, so that rounds of walks come to an end, and it finishes what it entered. Raises
    `SourceUnavailableError` if the disk stops answering in the middle of a large directory.
    """
    selection = selection or Selection()
    pending = list(directories)
    seen = 0
    while pending:
        if seen >= budget:
            yield from map(Left, pending)
            return
        seen += 1
        for found in chain.from_iterable(_enter(root, pending.pop(), selection)):
            seen += 1
            if isinstance(found, Left):
                pending.append(found.path)
            elif found is not None or seen % _HELD == 0:
                yield found


def _enter(root: str, directory: str, selection: Selection) -> Iterator[list[Entry | None]]:
    """Yield the entries of one directory, many at once; None for each that is not selected.

    Until the first ones are yielded, the directory can be given up as a whole, to be listed again.
    """
    held: list[Entry | None] = []
    given, empty = False, True
    try:
        with _opened(root, directory) as descriptor, os.scandir(descriptor) as entries:
            for entry in entries:
                if len(held) == _HELD:
                    yield held
                    given, held = True, []
                found = _look(entry, root, _join(directory, entry.name), selection)
                empty = empty and not isinstance(found, Left | Item)
                held.append(found)
    except OSError as error:
        if not _can_be_listed_again(root, directory, error):
            yield [*held, _trouble(directory, error)]
        elif given:
            raise SourceUnavailableError(words(error)) from None
        else:
            yield [Unreached(directory, words(error))]
        return
    if empty and directory and selection.includes(f"{directory}/"):
        held.append(Item(directory, "directory"))
    yield held


def _can_be_listed_again(root: str, directory: str, error: OSError) -> bool:
    if isinstance(error, FileNotFoundError) and directory:
        # If it is there all the same, then what is mounted in it on demand could not be mounted.
        return not is_gone(os.path.join(root, directory))
    return may_pass(error)


@contextmanager
def _opened(root: str, directory: str) -> Generator[int]:
    """Open a directory for scanning, unless it or one on its way has become a link that leads out."""
    descriptor = os.open(
        os.path.join(root, directory), os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    )
    try:
        if directory and not lies_within(descriptor, root):
            raise OSError(errno.ELOOP, "A link on its way leads out of the tree now")
        yield descriptor
    finally:
        close(descriptor)


def _look(entry: os.DirEntry[str], root: str, path: str, selection: Selection) -> Entry | None:
    """Return what `entry` is: `Left` for a directory that is to be entered, None if it is not selected."""
    try:
        is_directory = entry.is_dir(follow_symlinks=False)
        if not selection.takes(path, is_directory):
            return None
        if is_directory:
            forbidden = selection.forbids_entering(os.path.join(root, path), entry)
            return Odd(path, "skipped", forbidden) if forbidden else Left(path)
        status = entry.stat(follow_symlinks=False)
    except OSError as error:
        return _unseen(entry, path) if may_pass(error) else _trouble(path, error)
    if stat.S_ISREG(status.st_mode):
        return Item(path, "file", status.st_size)
    if stat.S_ISLNK(status.st_mode):
        return Item(path, "link")
    return Odd(path, "skipped", describe(status.st_mode))


def _unseen(entry: os.DirEntry[str], path: str) -> Entry:
    """Return what the directory says of an `entry` that does not answer itself: its copying can wait for it.

    Raises `OSError` if the directory says nothing.
    """
    if entry.is_file(follow_symlinks=False):
        return Item(path)
    return Item(path, "link") if entry.is_symlink() else Odd(path, "skipped", describe(0))


def describe(mode: int) -> str:
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


def _trouble(path: str, error: OSError) -> Odd:
    if (trouble := process_trouble(error)) is not None:
        raise trouble from None  # the cause has the path
    if path and has_vanished(error):  # a root must not vanish unnoticed
        return Odd(path, "vanished", "vanished while the tree was listed")
    return Odd(path, "failed", words(error))
