"""One file, link or empty directory -> one blob.

A file is opened without following a link, read through its descriptor, and compared with itself afterwards:
if it has changed, it is read again. A small file goes up in one request. A large one goes up in blocks,
several at once, under block IDs of this attempt's own, so that two attempts at the same blob can never commit
a mixture (https://github.com/Azure/azure-sdk-for-python/issues/26790).

Nothing is overwritten but under a condition. A blob is written if there is none of its name; else storage is
asked what is there, the file is read anew, and what was read is written if the blob is still that one. So an
attempt that comes late can never put older content back: what it has read before it saw the blob, it throws
away.

Every request carries the MD5 of its content, which the service verifies, and the blob gets the MD5 of
everything that was read. Reading and hashing happen in threads: a slow disk must not stall the event loop.

Metadata has rclone's keys, so that `rclone copy` gives the tree back with its times
(https://rclone.org/local/#metadata). A link is a blob with its target as content and `is_symlink`, an empty
directory one without content and `hdi_isfolder`, which is how azcopy and BlobFuse keep them.
"""

import asyncio
import logging
import re
import traceback
import uuid
from collections.abc import Awaitable, Mapping, Sequence
from copy import replace
from dataclasses import dataclass
from enum import Enum
from functools import partial

from sitebackup.blobs import blobname
from sitebackup.blobs.blocks import block_size
from sitebackup.blobs.container import ABSENT, Blob, Condition, Properties
from sitebackup.concurrently import all_of, task_group
from sitebackup.digests import md5
from sitebackup.engine.engine import Engine
from sitebackup.errors import (
    BlobMissingError,
    ConditionNotMetError,
    FatalError,
    SourceError,
    SourceUnavailableError,
    UnavailableError,
    printable,
    process_trouble,
)
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
"""Times that a file is read which changes while it is read, or whose blob does, before it has failed."""


_WORDS = re.compile("(?<=[a-z])(?=[A-Z])")
"""Between the words of a class's name."""


@dataclass(frozen=True, slots=True)
class Copied:
    """What one copy saved: the `blob` name, `size` in bytes and `md5` of the content, and its `etag`."""

    blob: str
    size: int
    md5: bytes
    etag: str
    attributes: Attributes


type End = Copied | SourceError | UnavailableError
"""How it went with one item: saved, failed, or a trouble that may pass."""


type _Read = Content | Exception | None
"""What was read of an item; None if it is larger than it was, or changed meanwhile."""


class _Again(Enum):
    """Why an item is to be read again; in words, if that is so for the last time."""

    CHANGED = f"changed while being read, {MAX_READS} times"
    TAKEN = f"its blob was changed by another writer, {MAX_READS} times"


class Copier:
    """Copies items of the tree at `place` to the container of backups, within the limits of the process."""

    def __init__(self, engine: Engine, place: Place, *, is_last: bool = False) -> None:
        """`is_last`: nobody will try again, so an item for which the disk does not answer has failed."""
        self._is_last = is_last
        self._container = engine.backups
        self._transfers = engine.transfers
        self._memory = engine.memory
        self._disk = engine.disk(place.root)
        self._path_level = engine.settings.path_level
        self._place = place
        self._meets_blobs = False  # from earlier backups: asking first costs less than sending in vain

    async def copy(self, items: Sequence[Item]) -> list[End]:
        """Copy `items`, and return how it went with each.

        Several items, small ones, are read in one go: handing them to a thread costs more than reading them.
        Sizes only decide how to begin. Raises `FatalError` when nothing can succeed.
        """
        ends = await self._attempt(items)
        return [
            self._final(await self._again(item, end) if isinstance(end, _Again) else end)
            for end, item in zip(ends, items, strict=True)
        ]

    def _final(self, end: End) -> End:
        if self._is_last and isinstance(end, SourceUnavailableError):
            return SourceError(str(end))
        return end

    async def _again(self, item: Item, why: _Again) -> End:
        """Copy an item anew, over what is there of it in the container."""
        for _ in range(1, MAX_READS):
            end = await self._ended(item, self._over_what_is_there(item, why))
            if not isinstance(end, _Again):
                return end
            why = end
        return SourceError(why.value)

    async def _over_what_is_there(self, item: Item, why: _Again) -> End | _Again:
        there = await self._find(item)
        if item.kind != "file":
            return (await self._attempt([item], there))[0]
        if why is _Again.TAKEN and there is None:
            # Blocks that a broken attempt left are a blob to the emulator's Put Blob, and to nothing else.
            return await self._in_blocks(item)
        size = await self._disk(lambda: reading.size_of(self._place.path(item.path)))
        return (await self._attempt([replace(item, size=size)], there))[0]

    async def _find(self, item: Item) -> Blob | None:
        async with self._transfers:
            return await self._container.find(blobname.encode(self._place.name(item.path)))

    async def _attempt(self, items: Sequence[Item], there: Blob | None = None) -> list[End | _Again]:
        """Copy `items` once; what is `there` of a single one was looked up before."""
        if len(items) == 1 and items[0].size > SINGLE_PUT:
            return [await self._ended(items[0], self._in_blocks(items[0]))]
        most = [item.size + SLACK for item in items]
        async with self._memory.hold(sum(most)):
            contents = await self._read(items, most)
            return await all_of(
                self._ended(item, self._put(item, content, there))
                for item, content in zip(items, contents, strict=True)
            )

    async def _read(self, items: Sequence[Item], most: Sequence[int]) -> Sequence[_Read]:
        """Read `items`, each of at most so many bytes."""
        try:
            return await self._disk(lambda: list(map(partial(_read, self._place), items, most)))
        except UnavailableError as error:  # the disk does not answer
            return [error] * len(items)

    async def _put(self, item: Item, content: _Read, there: Blob | None) -> End | _Again:
        """Store what was read of an item in one request."""
        if isinstance(content, Exception):
            raise content
        if content is None:
            return _Again.CHANGED
        name = self._place.name(item.path)
        blob = blobname.encode(name)
        properties = _properties(blob, content.md5, content.attributes, content.marks)
        # Before its turn: files that were read together write their lines together, which saves the event
        # loop a tenth of its time.
        self._announce(name, blob, len(content.data))
        async with self._transfers:
            looked = there is not None
            if self._meets_blobs and not looked:
                there = await self._container.find(blob)
            if there is not None and _is_the_same(there, len(content.data), properties):
                etag = there.etag
            elif there is not None and not looked:
                return _Again.TAKEN  # read before it was seen
            else:
                condition = ABSENT if there is None else Condition(there.etag)
                etag = await self._container.put(blob, content.data, properties, condition)
        return Copied(blob, len(content.data), content.md5, etag, content.attributes)

    async def _in_blocks(self, item: Item) -> End | _Again:
        """Copy a file block by block, over what is there before the file is opened."""
        name = self._place.name(item.path)
        blob = blobname.encode(name)
        there = await self._find(item)
        self._announce(name, blob, item.size)
        stream = await self._disk(lambda: Stream(self._place.path(item.path), self._place.real))
        try:
            block_ids = await self._stage_blocks(blob, stream)
            if not await self._disk(stream.is_unchanged):
                return _Again.CHANGED
        finally:
            stream.close()
        digest, attributes = stream.md5(), stream.attributes
        condition = ABSENT if there is None else Condition(there.etag)
        properties = _properties(blob, digest, attributes, {})
        try:
            etag = await self._container.commit(blob, block_ids, properties, condition)
        except ConditionNotMetError:
            there = await self._find(item)
            if there is None or not _is_the_same(there, stream.size, properties):
                raise
            etag = there.etag  # an earlier try, whose answer was lost, or another run
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
                    data = await self._disk(partial(stream.read_next, size))
                except BaseException:
                    self._memory.release(held)
                    raise
                if not data:  # it was cut off: storage takes no empty block, and it is read again anyway
                    self._memory.release(held)
                    break
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

    async def _ended(self, item: Item, copying: Awaitable[End | _Again]) -> End | _Again:
        """Return what `copying` an item returns or raises: its trouble is not that of the others."""
        try:
            return await copying
        except (ConditionNotMetError, BlobMissingError):
            self._meets_blobs = True
            return _Again.TAKEN
        except (SourceError, UnavailableError) as error:
            return error
        except FatalError:
            raise
        except Exception as error:  # noqa: BLE001 - what nobody expects fails that item alone
            if isinstance(error, OSError) and (trouble := process_trouble(error)) is not None:
                return UnavailableError(f"{trouble.strerror}.")
            return self._unexpected(item, error)

    def _unexpected(self, item: Item, error: Exception) -> SourceError:
        # The error's own text may hold a path; where it was raised does not.
        where = "".join(traceback.format_tb(error.__traceback__))
        kind = type(error).__name__
        _log.error("An item could not be copied for an unexpected %s:\n%s", kind, where)
        name = printable(self._place.name(item.path))
        _log.log(self._path_level, "It is '%s': %s", name, printable(str(error)))
        return SourceError(f"an unexpected {_WORDS.sub(' ', kind).lower()}")


def _read(place: Place, item: Item, most: int) -> _Read:
    try:
        return reading.read(place, item, most)
    except Exception as error:  # noqa: BLE001 - `_put` raises it: it is not that of the others
        return error


def _is_the_same(there: Blob, size: int, properties: Properties) -> bool:
    return (there.size, there.md5, there.metadata) == (size, properties.md5, properties.metadata)


def _properties(blob: str, digest: bytes, attributes: Attributes, marks: Mapping[str, str]) -> Properties:
    return Properties(digest, reading.content_type(blob), {**attributes.to_metadata(), **marks})
