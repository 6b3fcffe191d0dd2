"""Reading what is to be saved, in threads: blocking calls only.

Opening is safe against whatever takes a file's place between listing and copying: no link is followed, a
fifo does not block, and what was opened must be a regular file that lies within the root, also when a
directory on the way was swapped for a link.
"""

import hashlib
import mimetypes
import os
import stat
import threading
import weakref
from dataclasses import dataclass

from sitebackup.digests import md5
from sitebackup.errors import SourceError
from sitebackup.tree.attributes import Attributes
from sitebackup.tree.entries import Kind, describe
from sitebackup.tree.inside import lies_within
from sitebackup.tree.place import Place
from sitebackup.tree.reasons import close, reasons

_LED_OUT = "a link on its way leads out of the tree now"

HASHED_AT_ONCE = 1024 * 1024
"""Bytes of a file in memory, at most, while it is read for its digest alone."""

# The tables of the machine would give the same file another type on another machine.
_TYPES = mimetypes.MimeTypes()


@dataclass(frozen=True, slots=True)
class Content:
    """What was read of an item: `data` with its `md5` digest."""

    data: bytes
    md5: bytes
    attributes: Attributes

    @property
    def size(self) -> int:
        """Bytes of it."""
        return len(self.data)


def content_type(name: str) -> str:
    """Return the media type that a file of this name has; a compressed one's is its compression."""
    guess, encoding = _TYPES.guess_file_type(name)
    if encoding is not None:
        return f"application/{'gzip' if encoding == 'gzip' else 'octet-stream'}"
    return guess or "application/octet-stream"


def read(place: Place, path: str, kind: Kind, most: int) -> Content | None:
    """Read what is at a path, relative to the root.

    Returns None for a file that has more than `most` bytes, or changed meanwhile. Raises `SourceError` or
    `SourceUnavailableError`.
    """
    path = place.path(path)
    with reasons():
        if kind == "link":
            return _read_link(path, place.real)
        if kind == "directory":
            return _read_directory(path, place.real)
        return _read_file(path, place.real, most)


def _read_link(path: str, within: str) -> Content:
    parent = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if not lies_within(parent, within, itself=True):
            raise SourceError(_LED_OUT)
        name = os.path.basename(path)
        attributes = Attributes.of(os.lstat(name, dir_fd=parent))
        if not stat.S_ISLNK(attributes.mode):
            raise SourceError("is not a symbolic link any more")
        target = os.fsencode(os.readlink(name, dir_fd=parent))
        return Content(target, md5(target), attributes)
    finally:
        close(parent)


def _read_directory(path: str, within: str) -> Content:
    descriptor = _open(path, within, os.O_DIRECTORY)
    try:
        return Content(b"", md5(b""), Attributes.of(os.fstat(descriptor)))
    finally:
        close(descriptor)


def size_of(path: str) -> int:
    """Return the size in bytes of whatever is at `path`. Raises `SourceError`, `SourceUnavailableError`."""
    with reasons():
        return os.lstat(path).st_size


def _read_file(path: str, within: str, most: int) -> Content | None:
    descriptor = _open(path, within)
    try:
        before = os.fstat(descriptor)
        if before.st_size > most:
            return None
        data = _read(descriptor, before.st_size + 1, 0)  # one byte more: some file systems give no size
        if not _unchanged(before, os.fstat(descriptor), len(data)):
            return None
    finally:
        close(descriptor)
    return Content(data, md5(data), Attributes.of(before))


class Stream:
    """An open regular file that is read front to back, once or again, and hashed on the way.

    Its methods raise `SourceError` or `SourceUnavailableError`.
    """

    def __init__(self, path: str, within: str) -> None:
        with reasons():
            self._descriptor = _open(path, within)
            # Who awaits it may be cancelled while a thread still opens it: then nobody is there to close it.
            self._close = weakref.finalize(self, _close_in_thread, self._descriptor)
            self._before = os.fstat(self._descriptor)
        self._digest = hashlib.md5(usedforsecurity=False)
        self.size = 0
        self.attributes = Attributes.of(self._before)

    @property
    def expected(self) -> int:
        """Bytes that the file had when it was opened."""
        return self._before.st_size

    def read_next(self, size: int) -> bytes:
        """Return the next `size` bytes, fewer where the file ends."""
        with reasons():
            data = _read(self._descriptor, size, self.size)
        self._digest.update(data)
        self.size += len(data)
        return data

    def hash_next(self, size: int) -> int:
        """Hash the next `size` bytes, of which little is in memory at a time; return how many there were."""
        begin = self.size
        while (left := begin + size - self.size) and self.read_next(min(left, HASHED_AT_ONCE)):
            pass
        return self.size - begin

    def rewind(self) -> None:
        """Begin to read at the front again."""
        self._digest = hashlib.md5(usedforsecurity=False)
        self.size = 0

    def is_unchanged(self) -> bool:
        """Tell whether the file is still what it was when it was opened, and was read whole."""
        with reasons():
            return _unchanged(self._before, os.fstat(self._descriptor), self.size)

    @property
    def md5(self) -> bytes:
        """The MD5 digest of everything that was read."""
        return self._digest.digest()

    def close(self) -> None:
        """Close the file, without waiting for a share that does not answer."""
        self._close()


def _close_in_thread(descriptor: int) -> None:
    threading.Thread(target=close, args=(descriptor,), daemon=True).start()


def _unchanged(before: os.stat_result, after: os.stat_result, size_read: int) -> bool:
    return _version(before) == _version(after) and before.st_size == size_read


def _version(status: os.stat_result) -> tuple[int, int, int]:
    # A program can set the modification time back, but not the time of the last change.
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _open(path: str, within: str, kind: int = 0) -> int:
    """Open the regular file, or with `O_DIRECTORY` the directory, at `path` below `within`.

    Raises `SourceError` for anything else. O_NONBLOCK: a fifo that took the file's place must not block the
    open. O_NOFOLLOW: no link may lead out.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | kind)
    try:
        mode = os.fstat(descriptor).st_mode
        if not kind and not stat.S_ISREG(mode):
            raise SourceError(f"is a {describe(mode)} now")
        if not lies_within(descriptor, within):
            raise SourceError(_LED_OUT)
    except BaseException:
        close(descriptor)
        raise
    return descriptor


def _read(descriptor: int, size: int, offset: int) -> bytes:
    """Return `size` bytes at `offset`, fewer where the file ends."""
    data = os.pread(descriptor, size, offset)
    while data and len(data) < size:  # a read may be short without being the last
        more = os.pread(descriptor, size - len(data), offset + len(data))
        if not more:
            break
        data += more
    return data
