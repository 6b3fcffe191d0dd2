"""One file, link or empty directory -> one blob in `backups`.

A file is opened without following a link, read through its descriptor, and compared with itself afterwards:
if it has changed, it is read again. A small file goes up in one request, a large one in blocks.

Three things decide what is done with an item: what the tree should have as its latest content, which is what
was read; what is there, which the run before knows, or storage says; and which of the two was seen first.

    nothing is there      what was read is written, if there is nothing still
    other content         it is archived, and what was read is written over it, if it is there still
    the same content      at most the metadata are written, if it is there still
    it is not there       storage says what is, and the item is read anew, three times at most; unless what is
      any more            there is what was read: then an earlier try stored it, whose answer was lost

What is written was always read after what is there was known. So an attempt that comes late can never put
older content back: what it has read before it saw the blob, it throws away.

Every request carries the MD5 of its content, which the service verifies, and the blob gets the MD5 of
everything that was read. Reading and hashing happen in threads: a slow disk must not stall the event loop.

Metadata has rclone's keys, so that `rclone copy` gives the tree back with its times
(https://rclone.org/local/#metadata). A link is a blob with its target as content, an empty directory one
without content; both are marked (`records.entries.MARKS`).
"""

import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import partial

from sitebackup.activities.backups import NOT_THERE, Backups
from sitebackup.activities.ends import End, Ends, not_saved
from sitebackup.activities.large import LargeFiles
from sitebackup.activities.saved import Clock, Read, saved
from sitebackup.blobs import blobname
from sitebackup.blobs.container import Blob, Properties
from sitebackup.concurrently import all_of
from sitebackup.digests import root_id
from sitebackup.engine.engine import Engine
from sitebackup.errors import UnavailableError, printable
from sitebackup.names import BACKUPS_CONTAINER
from sitebackup.records.entries import blob_of
from sitebackup.records.outcomes import Outcome
from sitebackup.records.plans import Task
from sitebackup.tree import reading
from sitebackup.tree.place import Place
from sitebackup.tree.reading import Content, Stream

_log = logging.getLogger(__name__)

SINGLE_PUT = 8 * 1024 * 1024
"""Bytes up to which a file goes up in one request."""

SLACK = 64 * 1024
"""Bytes that a small file may have grown since it was listed and still be read at once, as a log does."""

MAX_READS = 3
"""Times that a file is read which changes while it is read, or whose blob does, before it has failed."""


type _Contents = Content | Exception | None
"""What was read of an item; None if it is larger than it was, or changed meanwhile."""

type _Upload = Callable[[Properties, Blob | None], Awaitable[str]]
"""Writes content over what is there, and returns its ETag."""


class _Again(Enum):
    """Why an item is to be read again; in words, if that is so for the last time."""

    CHANGED = f"changed while being read, {MAX_READS} times"
    TAKEN = f"its blob was changed by another writer, {MAX_READS} times"


@dataclass(slots=True)
class _Item:
    """A task; the `path` that names its blob, its `size` as it was last seen, and what is `there` of it.

    `is_known`: whether `there` is known, from the run before or from storage; else there may be anything.
    `in_blocks`: whether it has to go up in blocks although it is small.
    """

    task: Task
    path: str
    size: int
    there: Blob | None
    is_known: bool
    in_blocks: bool = False


class Copier:
    """Saves items of the tree at `place` for a `run`, within the limits of the process.

    `is_share`: whether the tree is on a share. `is_last`: nobody will try again.
    """

    def __init__(
        self, engine: Engine, place: Place, run: str = "", *, is_share: bool = False, is_last: bool = False
    ) -> None:
        self._run = run
        self._place = place
        self._root = root_id(place.root)
        self._ends = Ends(engine, place, is_last=is_last)
        self._clock = Clock(is_share=is_share)
        self._backups = Backups(engine)
        self._transfers = engine.transfers
        self._memory = engine.memory
        self._disk = engine.disk(place.root)
        self._large = LargeFiles(engine, self._disk, self._backups)
        self._path_level = engine.settings.path_level
        self._meets_blobs = False  # of which nothing is known: asking first costs less than sending in vain

    async def save(self, tasks: Sequence[Task]) -> list[End]:
        """Save what `tasks` name, and return how it went with each.

        Several items, small ones, are read in one go: handing them to a thread costs more than reading them.
        Sizes only decide how to begin. Raises `FatalError` when nothing can succeed.
        """
        items = [self._item(task) for task in tasks]
        ends = await self._attempt(items)
        return [
            await self._again(item, end) if isinstance(end, _Again) else end
            for item, end in zip(items, ends, strict=True)
        ]

    def _item(self, task: Task) -> _Item:
        path = self._place.name(task.path.removesuffix("/"))
        there = None if task.base is None else blob_of(blobname.escape(path), task.base)
        return _Item(task, path, task.size, there, is_known=there is not None)

    async def _again(self, item: _Item, why: _Again) -> End:
        """Read and store an item anew, as often as it may take."""
        for _ in range(1, MAX_READS):
            end = await self._ends.of(item.task, self._attempt_anew(item))
            if not isinstance(end, _Again):
                return end
            why = end
        return not_saved(item.task, "failed", why.value)

    async def _attempt_anew(self, item: _Item) -> End | _Again:
        if item.task.kind == "file":
            path = self._place.path(item.task.path)
            item.size = await self._disk(lambda: reading.size_of(path))
        (end,) = await self._attempt([item])
        return end

    async def _attempt(self, items: Sequence[_Item]) -> list[End | _Again]:
        """Read and store items once."""
        if len(items) == 1 and items[0].size > SINGLE_PUT and items[0].task.kind == "file":
            return [await self._ends.of(items[0].task, self._save_large(items[0]))]
        most = [item.size + SLACK for item in items]
        async with self._memory.hold(sum(most)):
            began = time.time_ns()
            contents = await self._read(items, most)
            return await all_of(
                self._ends.of(item.task, self._save_small(item, content, began))
                for item, content in zip(items, contents, strict=True)
            )

    async def _read(self, items: Sequence[_Item], most: Sequence[int]) -> Sequence[_Contents]:
        """Read items, each of at most so many bytes."""
        tasks = [item.task for item in items]
        try:
            return await self._disk(lambda: list(map(partial(_read, self._place), tasks, most)))
        except UnavailableError as error:  # the disk does not answer
            return [error] * len(items)

    async def _save_small(self, item: _Item, content: _Contents, began: int) -> Outcome | _Again:
        if isinstance(content, Exception):
            raise content
        if content is None:
            return _Again.CHANGED
        blob = blobname.encode(item.path)
        recheck = self._clock.doubts(content.attributes, began)
        read = Read.of(item.task, self._root, blob, content, recheck=recheck)
        put = self._backups.put_in_blocks if item.in_blocks else self._backups.put
        return await self._store(item, read, partial(put, blob, content.data))

    async def _save_large(self, item: _Item) -> Outcome | _Again:
        blob = blobname.encode(item.path)
        if not item.is_known:
            async with self._transfers:
                await self._look(item)
        began = time.time_ns()
        path = self._place.path(item.task.path)
        stream = await self._disk(lambda: Stream(path, self._place.real))
        recheck = self._clock.doubts(stream.attributes, began)

        there = item.there
        try:
            block_ids: list[str] = []
            if there is None or not await self._large.is_content(stream, there.size, there.md5):
                block_ids = await self._large.stage(blob, stream)
            if not await self._disk(stream.is_unchanged):
                return _Again.CHANGED
        finally:
            stream.close()
        read = Read.of(item.task, self._root, blob, stream, recheck=recheck)
        return await self._store(item, read, partial(self._backups.commit, blob, block_ids))

    async def _store(self, item: _Item, read: Read, upload: _Upload) -> Outcome | _Again:
        """Make what was read of an item the latest content, if what is there is what is known to be."""
        if not read.is_content_of(item.there):
            # Before its turn: files that were read together write their lines together, which saves the event
            # loop a tenth of its time.
            self._announce(item.path, read)
        async with self._transfers:
            if self._meets_blobs and not item.is_known:
                await self._look(item)
                if item.there is not None and not read.is_all_of(item.there):
                    return _Again.TAKEN  # it was read before it was seen
            uploaded = 0 if read.is_content_of(item.there) else read.entry.size
            try:
                etag = await self._write(item.there, read, upload)
            except NOT_THERE:
                self._meets_blobs |= not item.is_known
                before = item.there
                await self._look(item)
                if item.there is None or not read.is_all_of(item.there):
                    # Blocks that a broken attempt left are a blob to the emulator's Put Blob alone.
                    item.in_blocks = before is None and item.there is None
                    return _Again.TAKEN
                etag = item.there.etag  # of an earlier try, whose answer was lost, or of another run
        return saved(item.task, read, etag, self._run, uploaded)

    async def _write(self, there: Blob | None, read: Read, upload: _Upload) -> str:
        if there is None or not read.is_content_of(there):
            return await upload(read.properties, there)
        if not read.is_all_of(there):
            return await self._backups.describe(there, read.properties)
        return there.etag

    async def _look(self, item: _Item) -> None:
        item.there = await self._backups.find(blobname.encode(item.path))
        item.is_known = True

    def _announce(self, path: str, read: Read) -> None:
        _log.log(
            self._path_level,
            "Copying '%s' to '%s'. Total bytes = %d.",
            printable(path),
            f"{BACKUPS_CONTAINER}/{read.blob}",
            read.entry.size,
        )


def _read(place: Place, task: Task, most: int) -> _Contents:
    try:
        return reading.read(place, task.path.removesuffix("/"), task.kind, most)
    except Exception as error:  # noqa: BLE001 - `_save_small` raises it: it is not that of the others
        return error
