"""A share that fails as it is told to: a FUSE file system that shows a directory, without any library.

The protocol is that of linux/fuse.h, version 7.31, as far as reading needs it.
"""

import ctypes
import errno
import os
import select
import stat
import struct
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

type Trouble = Callable[[str, str], int | None]
"""An operation and a path in the share, "" for its root -> the errno to fail with, 0: no answer, or None."""

_LOOKUP, _INIT = 1, 26
_NO_ANSWER = {2, 36, 42}  # FORGET, INTERRUPT, BATCH_FORGET
_NAMES = {
    1: "lstat",
    3: "lstat",
    5: "readlink",
    14: "open",
    15: "read",
    25: "close",
    27: "opendir",
    28: "readdir",
}
_IN_HEADER = struct.Struct("=IIQQIIII")
_NODEV_NOSUID, _DETACH = 4 | 2, 2
_BATCH = 50
"""Entries in one answer to a readdir: a directory of more is read in several."""


class Share:
    """A directory `source` as it is seen through the mount at `point`, while `trouble` says nothing else."""

    def __init__(self, source: Path, point: Path) -> None:
        self.source, self.point = source, point
        self.trouble: Trouble = lambda operation, path: None
        self.tells_kinds = True
        """Whether a directory says of what kind an entry is; else whoever wants to know must ask each."""
        self._nodes, self._paths = {"": 1}, {1: ""}
        self._device = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
        self._ended, self._end = os.pipe()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def mount(self) -> bool:
        """Mount it; returns False if that is not permitted."""
        options = f"fd={self._device},rootmode=40000,user_id=0,group_id=0,allow_other".encode()
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.mount(b"test", os.fsencode(self.point), b"fuse.test", _NODEV_NOSUID, options) != 0:
            self._close()
            return False
        self._thread.start()
        return True

    def end(self) -> None:
        """End the program behind the mount, as a crash does: whoever waits for an answer gets an error."""
        if self._thread.is_alive():
            os.write(self._end, b"x")
            self._thread.join()
            self._close()

    def unmount(self) -> None:
        ctypes.CDLL(None).umount2(os.fsencode(self.point), _DETACH)

    def _close(self) -> None:
        for descriptor in (self._device, self._ended, self._end):
            os.close(descriptor)

    def _serve(self) -> None:
        while True:
            ready, _, _ = select.select([self._device, self._ended], [], [])
            if self._ended in ready:
                return
            try:
                request = os.read(self._device, 1 << 20)
            except (BlockingIOError, FileNotFoundError):  # taken back before it was read
                continue
            _, operation, unique, node, *_ = _IN_HEADER.unpack_from(request)
            answer = self._answer(operation, node, request[_IN_HEADER.size :])
            if answer is None:
                continue
            error, data = (answer, b"") if isinstance(answer, int) else (0, answer)
            head = struct.pack("=IiQ", 16 + len(data), -error, unique)
            try:
                os.write(self._device, head + data)
            except FileNotFoundError:  # nobody waits any more
                continue

    def _answer(self, operation: int, node: int, body: bytes) -> bytes | int | None:
        """Return the data of an answer, an errno, or None for no answer."""
        if operation in _NO_ANSWER:
            return None
        if operation == _INIT:
            (major, _, readahead, _) = struct.unpack_from("=IIII", body)
            return struct.pack("=IIIIHHIIHHI28x", major, 31, readahead, 0, 12, 9, 1 << 16, 1, 0, 0, 0)
        path = self._paths.get(node, "")
        if operation == _LOOKUP:
            name = os.fsdecode(body.rstrip(b"\0"))
            path = f"{path}/{name}".lstrip("/")
        name = _NAMES.get(operation)
        if name is not None and (trouble := self.trouble(name, path)) is not None:
            return trouble or None
        try:
            return self._done(operation, path, body)
        except OSError as error:
            return error.errno or errno.EIO

    def _done(self, operation: int, path: str, body: bytes) -> bytes | int:
        real = self.source / path
        match operation:
            case 1:  # LOOKUP
                answer = struct.pack("=QQQQII", self._node(path), 0, 0, 0, 0, 0) + _attributes(real)
            case 3:  # GETATTR
                answer = struct.pack("=QII", 0, 0, 0) + _attributes(real)
            case 5:  # READLINK
                answer = os.fsencode(real.readlink())
            case 14 | 27:  # OPEN, OPENDIR
                answer = struct.pack(
                    "=QII", 0, 1, 0
                )  # 1: without the page cache, so that each read is asked for
            case 15:  # READ
                _, offset, size = struct.unpack_from("=QQI", body)
                answer = real.read_bytes()[offset : offset + size]
            case 28:  # READDIR
                _, offset, size = struct.unpack_from("=QQI", body)
                answer = self._entries(real, offset, size)
            case 18 | 25 | 29:  # RELEASE, FLUSH, RELEASEDIR
                answer = b""
            case _:
                answer = errno.ENOSYS
        return answer

    def _node(self, path: str) -> int:
        node = self._nodes.setdefault(path, len(self._nodes) + 1)
        self._paths[node] = path
        return node

    def _entries(self, directory: Path, offset: int, size: int) -> bytes:
        data = b""
        names = sorted(entry.name for entry in directory.iterdir())[offset : offset + _BATCH]
        for index, name in enumerate(names, offset + 1):
            kind = stat.S_IFMT((directory / name).lstat().st_mode) >> 12 if self.tells_kinds else 0
            encoded = os.fsencode(name)
            entry = struct.pack("=QQII", index, index, len(encoded), kind) + encoded
            entry += b"\0" * (-len(entry) % 8)
            if len(data) + len(entry) > size:
                break
            data += entry
        return data


def _attributes(path: Path) -> bytes:
    """Return the `fuse_attr` of what is at `path`."""
    status = path.lstat()
    times = [divmod(time, 10**9) for time in (status.st_atime_ns, status.st_mtime_ns, status.st_ctime_ns)]
    seconds, fractions = zip(*times, strict=True)
    return struct.pack(
        "=QQQQQQIIIIIIIIII",
        *(status.st_ino, status.st_size, status.st_blocks, *seconds, *fractions),
        *(status.st_mode, status.st_nlink, status.st_uid, status.st_gid, 0, 4096, 0),
    )


@contextmanager
def mounted(source: Path, point: Path) -> Generator[Share]:
    """Show `source` at `point` while the block runs; skips the test where mounting is not permitted."""
    point.mkdir()
    if os.geteuid() != 0 or not Path("/dev/fuse").exists():
        pytest.skip("mounting a file system is not permitted here")
    share = Share(source, point)
    if not share.mount():
        pytest.skip("mounting a file system is not permitted here")
    try:
        yield share
    finally:
        share.end()
        share.unmount()
