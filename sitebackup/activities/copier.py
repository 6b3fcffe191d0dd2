"""One file, link or empty directory -> one blob.

A file is opened without following a link, read through its descriptor, and compared with itself afterwards:
if its size, mtime or ctime moved, it is read again. A small file goes up in one request. A large one
goes up in blocks, several at once, under block IDs of this attempt's own, so that two attempts at the same
blob can never commit a mixture (https://github.com/Azure/azure-sdk-for-python/issues/26790).

Every request carries the MD5 of its content, which the service verifies, and the blob gets the MD5 of
everything that was read. Reading and hashing happen in threads: a slow disk must not stall the event loop.

Metadata has rclone's keys, so that `rclone copy` gives the tree back with its times
(https://rclone.org/local/#metadata). A link is a blob with its target as content and `is_symlink`, an empty
directory one without content and `hdi_isfolder`, which is how azcopy and BlobFuse keep them.
"""

import asyncio
import logging
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from sitebackup.blobs import blobname
from sitebackup.blobs.blocks import block_size
from sitebackup.blobs.container import Properties
from sitebackup.concurrently import all_of, task_group
from sitebackup.digests import md5
from sitebackup.engine.engine import Engine
from sitebackup.errors import SourceError, printable
from sitebackup.names import BACKUPS_CONTAINER
from sitebackup.tree import reading
from sitebackup.tree.place import Place
from sitebackup.tree.reading import Attributes, Content, Stream
from sitebackup.tree.walking import Item

_log = logging.getLogger(__name__)

SINGLE_PUT = 8 * 1024 * 1024
"""Bytes up to which a file goes up in one request."""

SLACK = 64 * 1024
"""Bytes that a small file may have grown since it was listed and still be read at once, as a log does."""

BLOCKS_AT_ONCE = 6
"""Blocks of one file in flight. Each is in memory twice while the transport sends it."""

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
    """Copies to the container of backups, within the limits of the process."""

    def __init__(self, engine: Engine) -> None:
        self._container = engine.backups
        self._transfers = engine.transfers
        self._memory = engine.memory
        self._in_thread = engine.in_thread
        self._path_level = engine.settings.path_level

    async def copy(self, place: Place, items: Sequence[Item]) -> list[Copied | SourceError]:
        """Copy `items` of the tree at `place`, and return what was saved of each, or why nothing was.

        Several items, small ones, are read in one go: handing them to a thread costs more than reading them.
        Sizes only decide how to begin. Raises `StorageUnavailableError` or `FatalError` when something is not
        an item's own fault.
        """
        copied = await self._attempt(place, items)
        return [done or await self._again(place, item) for done, item in zip(copied, items, strict=True)]

    async def _again(self, place: Place, item: Item) -> Copied | SourceError:
        """Copy an item that has changed while it was read, until it has not."""
        for _ in range(1, MAX_READS):
            size = await self._in_thread(lambda: _tried(lambda: reading.size_of(place.path(item.path))))
            if isinstance(size, SourceError):
                return size
            (done,) = await self._attempt(place, [replace(item, size=size)])
            if done is not None:
                return done
        return SourceError(f"changed while being read, {MAX_READS} times")

    async def _attempt(self, place: Place, items: Sequence[Item]) -> list[Copied | SourceError | None]:
        """Copy `items` once; None for what has changed while it was read."""
        if len(items) == 1 and items[0].size > SINGLE_PUT:
            return [await self._in_blocks(place, items[0])]
        most = [item.size + SLACK for item in items]
        async with self._memory.hold(sum(most)):
            contents = await self._in_thread(lambda: list(map(partial(_read, place), items, most)))
            names = [place.name(item.path) for item in items]
            return await all_of(map(self._put, names, contents))

    async def _put(self, name: str, content: Content | SourceError | None) -> Copied | SourceError | None:
        """Store what was read of an item in one request."""
        if not isinstance(content, Content):
            return content
        try:
            blob = blobname.encode(name)
            # Before its turn: files that were read together write their lines together, which saves the
            # event loop a tenth of its time.
            self._announce(name, blob, len(content.data))
            async with self._transfers:
                etag = await self._container.put(
                    blob, content.data, _properties(blob, content.md5, content.attributes, content.marks)
                )
        except SourceError as error:
            return error
        return Copied(blob, len(content.data), content.md5, etag, content.attributes)

    async def _in_blocks(self, place: Place, item: Item) -> Copied | SourceError | None:
        """Copy a file block by block."""
        try:
            name = place.name(item.path)
            blob = blobname.encode(name)
            self._announce(name, blob, item.size)
            stream = await self._in_thread(lambda: Stream(place.path(item.path), place.real))
            try:
                block_ids = await self._stage_blocks(blob, stream)
                if not await self._in_thread(stream.is_unchanged):
                    return None
            finally:
                stream.close()
            digest, attributes = stream.md5(), stream.attributes
            etag = await self._container.commit(blob, block_ids, _properties(blob, digest, attributes, {}))
        except SourceError as error:
            return error
        return Copied(blob, stream.size, digest, etag, attributes)

    async def _stage_blocks(self, blob: str, stream: Stream) -> list[str]:
        attempt = uuid.uuid4().hex
        size = block_size(stream.expected)
        block_ids = [f"{attempt}-{index:05d}" for index in range(-(-stream.expected // size))]
        in_flight = asyncio.Semaphore(BLOCKS_AT_ONCE)
        async with task_group() as group:
            for block_id in block_ids:
                await in_flight.acquire()
                held = await self._memory.acquire(size)
                try:
                    data = await self._in_thread(partial(stream.read_next, size))
                except BaseException:
                    self._memory.release(held)
                    raise
                upload = group.create_task(self._stage(blob, block_id, data))
                # A callback, because a task that is cancelled before it starts runs no `finally`.
                upload.add_done_callback(lambda _, held=held: self._memory.release(held))
                upload.add_done_callback(lambda _: in_flight.release())
                del data  # the upload alone keeps it alive
        return block_ids

    async def _stage(self, blob: str, block_id: str, data: bytes) -> None:
        # While the next block is read, and not by one of the threads that read: each keeps some of the memory
        # that it once took, so the fewer of them a large file wakes, the better.
        digest = await asyncio.to_thread(md5, data)
        async with self._transfers:
            await self._container.stage(blob, block_id, data, digest)

    def _announce(self, name: str, blob: str, size: int) -> None:
        location = f"{BACKUPS_CONTAINER}/{blob}"
        _log.log(self._path_level, "Copying '%s' to '%s'. Total bytes = %d.", printable(name), location, size)


def _tried[T](function: Callable[[], T]) -> T | SourceError:
    try:
        return function()
    except SourceError as error:
        return error


def _read(place: Place, item: Item, most: int) -> Content | SourceError | None:
    return _tried(lambda: reading.read(place, item, most))


def _properties(blob: str, digest: bytes, attributes: Attributes, marks: Mapping[str, str]) -> Properties:
    return Properties(digest, reading.content_type(blob), {**attributes.to_metadata(), **marks})
