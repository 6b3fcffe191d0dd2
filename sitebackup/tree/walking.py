"""Walking a tree: what is in a range of its keys, in their order, a budget at a time.

A walk yields what it finds, one entry at a time. Of each directory on its way it holds no more names than
its budget lets it use, so its memory depends neither on how large the tree is nor on how large one directory
is. What it does not reach, it says as ranges of keys, for further walks. Each reads the directories on the
way to its range again, so a directory of ten million names is read once for each range that it is cut into.

Symbolic links are entries and are not followed; what is neither a file, a link nor a directory is never
opened. Trouble with one directory is an entry, not the end of the walk.
"""

import errno
import math
import os
import stat
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from time import monotonic

from sitebackup.errors import has_vanished, is_gone, may_pass, process_trouble
from sitebackup.tree.attributes import Attributes
from sitebackup.tree.cutting import cut
from sitebackup.tree.entries import Entry, Item, Kind, Odd, Rest, Unreached, describe
from sitebackup.tree.inside import lies_within
from sitebackup.tree.keys import Range
from sitebackup.tree.names import NameKind, Names
from sitebackup.tree.reasons import close, words
from sitebackup.tree.selecting import Selection

_STEP = 1_000
"""Names after which a walk lets its caller go on: a step of a listing has a time limit."""

_OPEN = 32
"""Directories that a walk has open at once. A process may not have many files open; trees can be deep."""

_EVERYTHING = Range()


def walk(
    root: str,
    wanted: Range = _EVERYTHING,
    budget: float = math.inf,
    selection: Selection | None = None,
    seconds: float = math.inf,
) -> Iterator[Entry | None]:
    """Yield the entries under the real path `root` whose keys are in a range, in the order of their keys.

    Every directory that is entered is an entry, before what is in it. Trouble with a directory is yielded
    even if its own key is before the range: then the walk cannot tell what of it is in the range. None comes
    where many names in a row lead to nothing: each step of a walk is a short one.

    After a `budget` of names, selected or not, or after so many `seconds`, the last entry is a `Rest`. A walk
    gets past one name at least, so that rounds of walks come to an end. The seconds begin when the walk has
    read the directories on the way to its range.
    """
    walking = _Walk(root, wanted, budget, selection or Selection(), seconds)
    try:
        yield from walking.entries()
    finally:
        walking.close()


@dataclass(slots=True)
class _Directory:
    """A directory that the walk is in, the `names` to go on with, and its descriptor while it is open."""

    key: str
    names: Names
    descriptor: int | None = None

    def close(self) -> None:
        if self.descriptor is not None:
            close(self.descriptor)
            self.descriptor = None


class _Walk:
    """A walk under way: the directories that it is in, the root first, and how many names it got past."""

    def __init__(self, root: str, wanted: Range, budget: float, selection: Selection, seconds: float) -> None:
        self._root = root
        self._wanted = wanted
        self._budget = budget
        self._selection = selection
        self._seconds = seconds
        self._deadline = monotonic() + seconds
        self._inside: list[_Directory] = []
        self._passed = 0

    def entries(self) -> Iterator[Entry | None]:
        self._passed = int("" in self._wanted)
        yield from self._enter("")
        while self._inside:
            directory = self._inside[-1]
            if not directory.names.held:
                self._inside.pop().close()
                continue
            if self._is_spent(directory.names):
                yield Rest(cut(self._left(), self._wanted.end, self._budget))
                return
            name, kind = directory.names.pop()
            if kind == "directory":
                yield from self._take_directory(f"{directory.key}{name}")
                continue
            self._passed += 1
            found = self._look(directory, name, kind)
            if found is not None or self._passed % _STEP == 0:
                yield found

    def close(self) -> None:
        for directory in self._inside:
            directory.close()

    def _is_spent(self, names: Names) -> bool:
        if names.others and len(names.held) == 1:
            return True  # the others begin after the last name that is held: it is where the rest begins
        return self._passed > 0 and (self._passed >= self._budget or monotonic() >= self._deadline)

    def _left(self) -> list[tuple[str, float]]:
        """Return the keys that the walk knows of and did not get to, in order, with their weights."""
        return [
            (f"{directory.key}{name}", weight)
            for directory in reversed(self._inside)
            for name, weight in directory.names.weighed()
        ]

    def _take_directory(self, key: str) -> Iterator[Entry | None]:
        path = key[:-1]
        if key >= self._wanted.begin:
            self._passed += 1
        if not self._selection.takes(path, True):
            if self._passed % _STEP == 0:
                yield None
            return
        try:
            forbidden = self._selection.forbids_entering(os.path.join(self._root, path))
        except OSError as error:
            yield _trouble(path, error, "directory")
            return
        if forbidden:
            yield Odd(path, "skipped", forbidden, "directory")
        else:
            yield from self._enter(key)

    def _enter(self, key: str) -> Iterator[Entry | None]:
        """Read the names of a directory, and yield it; None comes while it is read.

        It is read whole before anything of it is yielded, so that it can be given up as a whole.
        """
        path = key[:-1]
        directory = _Directory(key, Names(self._room()))
        self._inside.append(directory)
        try:
            descriptor = directory.descriptor = self._open(path)
            attributes = Attributes.of(os.fstat(descriptor))
            is_empty = yield from self._read(descriptor, directory)
        except OSError as error:
            self._inside.pop().close()
            if self._can_be_listed_again(path, error):
                yield Unreached(path, words(error))
            else:
                yield _trouble(path, error, "directory")
            return
        if not self._passed:  # what reading a huge directory takes must not leave no time for what is in it
            self._deadline = monotonic() + self._seconds
        self._limit()
        if key in self._wanted:
            yield Item(path, "directory", 0, attributes, is_empty)

    def _read(self, descriptor: int, directory: _Directory) -> Generator[None, None, bool]:
        """Read the names of an open directory; return whether a blob of its own must keep it.

        The kind of a name may cost a question to the disk: one that is out of the range, or beyond what the
        walk can use, is not asked for.
        """
        key, names = directory.key, directory.names
        seen = self._wanted.seen_from(key)
        low, end = seen.begin, seen.end
        is_empty = key != "" and key in self._wanted and self._selection.includes(key)
        with os.scandir(descriptor) as entries:
            for number, entry in enumerate(entries, 1):
                if number % _STEP == 0:
                    yield
                name = entry.name
                if is_empty and self._counts(entry, key + name):
                    is_empty = False
                if (name < low and f"{name}/" < low) or (end is not None and name >= end):
                    continue
                if names.passes_over(name):
                    continue
                kind = _kind_of(entry)
                if kind == "directory":
                    name += "/"
                if low <= name and (end is None or name < end):
                    names.add(name, kind)
        names.sort()
        return is_empty

    def _counts(self, entry: os.DirEntry[str], path: str) -> bool:
        """Tell whether an entry keeps the directory that it is in from being empty."""
        kind = _kind_of(entry)
        if kind == "odd" or not self._selection.takes(path, kind == "directory"):
            return False
        try:
            return kind != "directory" or not self._selection.forbids_entering(os.path.join(self._root, path))
        except OSError:  # told when its turn comes
            return False

    def _room(self) -> float:
        """How many names the walk can use: it gets past one at least, and the rest begins with another."""
        return max(1, self._budget - self._passed) + 1

    def _limit(self) -> None:
        """Give up names of the directories on the way that come too late for the budget, and descriptors."""
        *above, last = self._inside
        if sum(len(directory.names.held) for directory in self._inside) > 2 * self._budget + 2:
            room = self._room() - len(last.names.held)
            for directory in reversed(above):
                directory.names.reduce(max(1, room))
                room -= len(directory.names.held)
        if len(above) >= _OPEN:
            above[-_OPEN].close()

    def _look(self, directory: _Directory, name: str, kind: NameKind) -> Entry | None:
        """Return what an entry is that is no directory; None if it is not selected."""
        path = directory.key + name
        if not self._selection.takes(path, False):
            return None
        try:
            if directory.descriptor is None:
                directory.descriptor = self._open(directory.key[:-1])
            status = os.stat(name, dir_fd=directory.descriptor, follow_symlinks=False)
        except OSError as error:
            known = None if kind == "odd" else kind
            if not may_pass(error):
                return _trouble(path, error, known)
            # Its copying can wait until it answers.
            return Item(path, known) if known else Odd(path, "skipped", describe(0))
        if stat.S_ISREG(status.st_mode):
            return Item(path, "file", status.st_size, Attributes.of(status))
        if stat.S_ISLNK(status.st_mode):
            return Item(path, "link", 0, Attributes.of(status))
        return Odd(path, "skipped", describe(status.st_mode))

    def _open(self, path: str) -> int:
        """Open a directory, unless it or one on its way has become a link that leads out."""
        descriptor = os.open(
            os.path.join(self._root, path), os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        )
        try:
            if path and not lies_within(descriptor, self._root):
                raise OSError(errno.ELOOP, "A link on its way leads out of the tree now")
        except BaseException:
            close(descriptor)
            raise
        return descriptor

    def _can_be_listed_again(self, path: str, error: OSError) -> bool:
        if isinstance(error, FileNotFoundError) and path:
            # If it is there all the same, then what is mounted in it on demand could not be mounted.
            return not is_gone(os.path.join(self._root, path))
        return may_pass(error)


def _kind_of(entry: os.DirEntry[str]) -> NameKind:
    """Return the kind that a directory says an entry has. Raises `OSError` if the disk does not answer."""
    try:
        if entry.is_file(follow_symlinks=False):
            return "file"
        if entry.is_dir(follow_symlinks=False):
            return "directory"
        return "link" if entry.is_symlink() else "odd"
    except OSError as error:
        if may_pass(error):
            raise
        return "odd"  # its trouble is told when its turn comes


def _trouble(path: str, error: OSError, kind: Kind | None) -> Odd:
    if (trouble := process_trouble(error)) is not None:
        raise trouble from None  # the cause has the path
    if path and has_vanished(error):  # a root must not vanish unnoticed
        return Odd(path, "vanished", "vanished while the tree was listed", kind)
    return Odd(path, "failed", words(error), kind)
