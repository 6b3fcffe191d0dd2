"""One file, link or empty directory -> one blob.

A file is opened without following a link, read through its descriptor, and compared with itself afterwards:
if its size or modification time moved, it is read again. A small file goes up in one request. A large one
goes up in blocks, several at once, under block IDs of this attempt's own, so that two attempts at the same
blob can never commit a mixture (https://github.com/Azure/azure-sdk-for-python/issues/26790).

Every request carries the MD5 of its content, which the service verifies, and the blob gets the MD5 of
everything that was read. Reading and hashing happen in threads: a slow disk must not stall the event loop.

Metadata has rclone's keys, so that `rclone copy` gives the tree back with its times
(https://rclone.org/local/#metadata). A link is a blob with its target as content and `is_symlink`, an empty
directory one without content and `hdi_isfolder`, which is how azcopy and BlobFuse keep them.
"""

import asyncio
import functools
import uuid
from dataclasses import dataclass

from sitebackup import blobname, source
from sitebackup.errors import SourceError
from sitebackup.filetree import Item
from sitebackup.limits import ByteBudget
from sitebackup.source import Attributes, Place, Stream
from sitebackup.storage import Container, Properties
from sitebackup.threads import InThread

SINGLE_PUT = 8 * 1024 * 1024
"""Bytes up to which a file goes up in one request."""

SLACK = 64 * 1024
"""Bytes that a small file may have grown since it was listed and still be read at once, as a log does."""

BLOCKS_AT_ONCE = 8
"""Blocks of one file in flight."""

MAX_READS = 3
"""Times that a file which changes while it is read is read, before it counts as failed."""


@dataclass(frozen=True, slots=True)
class Copied:
    """What one copy saved: the `blob` name, `size` in bytes and `md5` of the content, and its `etag`."""

    blob: str
    size: int
    md5: bytes
    etag: str
    attributes: Attributes


class Copier:
    """Copies to a container: `memory` bounds the bytes in flight, `in_thread` runs what waits for a disk."""

    def __init__(self, container: Container, memory: ByteBudget, in_thread: InThread) -> None:
        self._container = container
        self._memory = memory
        self._in_thread = in_thread

    async def copy(self, place: Place, item: Item) -> Copied:
        """Copy `item` of the tree at `place`; the item's size only decides where to begin.

        Raises `SourceError` when this item cannot be saved, `StorageUnavailableError` or `FatalError` when it
        is not the item's fault.
        """
        blob = blobname.encode(place.name(item.path))
        path = place.path(item.path)
        if item.kind == "link":
            target, attributes = await self._in_thread(lambda: source.read_link(path, place.real))
            return await self._put(blob, target, source.md5(target), attributes, {"is_symlink": "true"})
        if item.kind == "directory":
            attributes = await self._in_thread(lambda: source.look_at_directory(path, place.real))
            return await self._put(blob, b"", source.md5(b""), attributes, {"hdi_isfolder": "true"})
        return await self._copy_file(blob, path, place.real, item.size)

    async def _copy_file(self, blob: str, path: str, within: str, size: int) -> Copied:
        for _ in range(MAX_READS):
            if size <= SINGLE_PUT:
                copied = await self._whole(blob, path, within, size)
            else:
                copied = await self._in_blocks(blob, path, within)
            if copied is not None:
                return copied
            size = await self._in_thread(lambda: source.size_of(path))
        raise SourceError(f"changed while being read, {MAX_READS} times")

    async def _whole(self, blob: str, path: str, within: str, size: int) -> Copied | None:
        """Copy a small file in one request; None when it has grown, or changed while being read."""
        most = size + SLACK
        async with self._memory.hold(most):
            read = await self._in_thread(lambda: source.read_whole(path, within, most))
            if read is None:
                return None
            data, digest, attributes = read
            return await self._put(blob, data, digest, attributes, {})

    async def _in_blocks(self, blob: str, path: str, within: str) -> Copied | None:
        """Copy a file block by block; None when it changed while being read."""
        stream = await self._in_thread(lambda: Stream(path, within))
        try:
            block_ids = await self._stage_blocks(blob, stream)
            if not await self._in_thread(stream.is_unchanged):
                return None
        finally:
            stream.close()
        digest, attributes = stream.md5(), stream.attributes
        etag = await self._container.commit(blob, block_ids, _properties(blob, digest, attributes, {}))
        return Copied(blob, stream.size, digest, etag, attributes)

    async def _stage_blocks(self, blob: str, stream: Stream) -> list[str]:
        attempt = uuid.uuid4().hex
        block_ids = [f"{attempt}-{index:05d}" for index in range(stream.blocks)]
        in_flight = asyncio.Semaphore(BLOCKS_AT_ONCE)
        try:
            async with asyncio.TaskGroup() as group:
                for index, block_id in enumerate(block_ids):
                    await in_flight.acquire()
                    held = await self._memory.acquire(stream.block_size)
                    try:
                        data, md5 = await self._in_thread(functools.partial(stream.read_block, index))
                    except BaseException:
                        self._memory.release(held)
                        raise
                    upload = group.create_task(self._container.stage(blob, block_id, data, md5))
                    # A callback, because a task that is cancelled before it starts runs no `finally`.
                    upload.add_done_callback(lambda _, held=held: self._memory.release(held))
                    upload.add_done_callback(lambda _: in_flight.release())
                    del data  # the upload alone keeps it alive
        except ExceptionGroup as failures:  # one is enough: the rest was cancelled for it
            raise failures.exceptions[0] from None
        return block_ids

    async def _put(
        self, blob: str, data: bytes, digest: bytes, attributes: Attributes, marks: dict[str, str]
    ) -> Copied:
        etag = await self._container.put(blob, data, _properties(blob, digest, attributes, marks))
        return Copied(blob, len(data), digest, etag, attributes)


def _properties(blob: str, digest: bytes, attributes: Attributes, marks: dict[str, str]) -> Properties:
    return Properties(digest, source.content_type(blob), attributes.to_metadata() | marks)
