"""One file -> one blob.

A file is opened without following a link, read through its descriptor, and compared with itself afterwards:
if its size or modification time moved, it is read again. A small file goes up in one request. A large one
goes up in blocks, several at once, under block IDs of this attempt's own, so that two attempts at the same
blob can never commit a mixture (https://github.com/Azure/azure-sdk-for-python/issues/26790).

Every request carries the MD5 of its content, which the service verifies, and the blob gets the MD5 of
everything that was read. Reading and hashing happen in threads: a slow disk must not stall the event loop.
"""

import asyncio
import errno
import hashlib
import os
import stat
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from sitebackup import blobname
from sitebackup.errors import SourceError, VanishedError
from sitebackup.filetree import kind
from sitebackup.limits import ByteBudget
from sitebackup.storage import Container, Properties

SINGLE_PUT = 8 * 1024 * 1024
"""Bytes up to which a file goes up in one request."""

BLOCK = 8 * 1024 * 1024
"""Bytes in a block of a larger file."""

MAX_BLOCKS = 50_000
"""Blocks in a blob, at most (https://learn.microsoft.com/rest/api/storageservices/put-block)."""

BLOCKS_AT_ONCE = 8
"""Blocks of one file in flight."""

MAX_READS = 3
"""Times that a file which changes while it is read is read, before it counts as failed."""


@dataclass(frozen=True, slots=True)
class Copied:
    """What one copy saved: `size` in bytes, the `md5` digest of the content, `mtime_ns` of the file."""

    size: int
    md5: bytes
    mtime_ns: int


class FileCopier:
    """Copies files to a container: `memory` bounds the bytes in flight, `readers` are threads to read in."""

    def __init__(self, container: Container, memory: ByteBudget, readers: ThreadPoolExecutor) -> None:
        self._container = container
        self._memory = memory
        self._readers = readers

    async def copy(self, path: str, size: int) -> Copied:
        """Copy the file at the absolute `path`, which had `size` bytes when it was listed.

        Raises `SourceError` when this file cannot be saved, `StorageUnavailableError` or `FatalError` when it
        is not the file's fault.
        """
        name = blobname.encode(path)
        for _ in range(MAX_READS):
            small = size <= SINGLE_PUT
            copied = await (self._whole(name, path, size) if small else self._in_blocks(name, path))
            if copied is not None:
                return copied
            size = await self._in_thread(_size_of, path)
        raise SourceError(f"changed while being read, {MAX_READS} times")

    async def _whole(self, name: str, path: str, size: int) -> Copied | None:
        """Copy a small file in one request; None when it is not small or changed while being read."""
        async with self._memory.hold(size):
            read = await self._in_thread(_read_whole, path)
            if read is None:
                return None
            data, copied = read
            await self._container.put(name, data, Properties(md5=copied.md5))
            return copied

    async def _in_blocks(self, name: str, path: str) -> Copied | None:
        """Copy a file block by block; None when it changed while being read."""
        source = await self._in_thread(_Source, path)
        try:
            block_ids = await self._stage_blocks(name, source)
            copied = await self._in_thread(source.finish)
            if copied is not None:
                await self._container.commit(name, block_ids, Properties(md5=copied.md5))
            return copied
        finally:
            source.close()

    async def _stage_blocks(self, name: str, source: "_Source") -> list[str]:
        attempt = uuid.uuid4().hex
        block_ids = [f"{attempt}-{index:05d}" for index in range(source.blocks)]
        in_flight = asyncio.Semaphore(BLOCKS_AT_ONCE)
        try:
            async with asyncio.TaskGroup() as group:
                for index, block_id in enumerate(block_ids):
                    await in_flight.acquire()
                    held = await self._memory.acquire(source.block_size)
                    try:
                        data, md5 = await self._in_thread(source.read_block, index)
                    except BaseException:
                        self._memory.release(held)
                        raise
                    upload = group.create_task(self._container.stage(name, block_id, data, md5))
                    # A callback, because a task that is cancelled before it starts runs no `finally`.
                    upload.add_done_callback(lambda _, held=held: self._memory.release(held))
                    upload.add_done_callback(lambda _: in_flight.release())
                    del data  # the upload alone keeps it alive
        except ExceptionGroup as failures:  # one is enough: the rest was cancelled for it
            raise failures.exceptions[0] from None
        return block_ids

    async def _in_thread[**P, T](self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._readers, lambda: function(*args, **kwargs))


class _Source:
    """An open regular file that is read once, front to back, and hashed on the way."""

    def __init__(self, path: str) -> None:
        self._descriptor = _open(path)
        self._before = os.fstat(self._descriptor)
        self._digest = hashlib.md5(usedforsecurity=False)
        self._size = 0
        self.block_size = max(BLOCK, -(-self._before.st_size // MAX_BLOCKS))
        self.blocks = -(-self._before.st_size // self.block_size)

    def read_block(self, index: int) -> tuple[bytes, bytes]:
        """Return the block at `index` and its MD5; blocks are read in order."""
        data = _read(self._descriptor, self.block_size, index * self.block_size)
        self._digest.update(data)
        self._size += len(data)
        return data, hashlib.md5(data, usedforsecurity=False).digest()

    def finish(self) -> Copied | None:
        """Return what was read, or None if the file changed meanwhile."""
        if not _unchanged(self._before, os.fstat(self._descriptor), self._size):
            return None
        return Copied(self._size, self._digest.digest(), self._before.st_mtime_ns)

    def close(self) -> None:
        os.close(self._descriptor)


def _read_whole(path: str) -> tuple[bytes, Copied] | None:
    """Return a small file's content; None when it is large or changed while being read."""
    descriptor = _open(path)
    try:
        before = os.fstat(descriptor)
        if before.st_size > SINGLE_PUT:
            return None
        data = _read(descriptor, before.st_size, 0)
        if not _unchanged(before, os.fstat(descriptor), len(data)):
            return None
    finally:
        os.close(descriptor)
    return data, Copied(len(data), hashlib.md5(data, usedforsecurity=False).digest(), before.st_mtime_ns)


def _size_of(path: str) -> int:
    descriptor = _open(path)
    try:
        return os.fstat(descriptor).st_size
    finally:
        os.close(descriptor)


def _unchanged(before: os.stat_result, after: os.stat_result, size_read: int) -> bool:
    return before.st_size == after.st_size == size_read and before.st_mtime_ns == after.st_mtime_ns


def _open(path: str) -> int:
    """Open the regular file at `path`; raises `SourceError` for anything else.

    O_NONBLOCK: a fifo that took the file's place must not block the open. O_NOFOLLOW: no link may lead out.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise VanishedError("vanished since it was listed") from error
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise SourceError("is a symbolic link now") from error
        raise SourceError(error.strerror or type(error).__name__) from error
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        raise SourceError(f"is a {kind(mode)} now")
    return descriptor


def _read(descriptor: int, size: int, offset: int) -> bytes:
    """Return `size` bytes at `offset`, fewer where the file ends. Raises `SourceError`."""
    try:
        data = os.pread(descriptor, size, offset)
        while data and len(data) < size:  # a read may be short without being the last
            more = os.pread(descriptor, size - len(data), offset + len(data))
            if not more:
                break
            data += more
    except OSError as error:
        raise SourceError(error.strerror or type(error).__name__) from error
    return data
