"""Large files, a block at a time: hashed, or sent to storage in blocks."""

import asyncio
from functools import partial

from sitebackup.activities.backups import Backups
from sitebackup.blobs.blocks import block_size, new_block_ids
from sitebackup.concurrently import task_group
from sitebackup.digests import md5
from sitebackup.engine.engine import Engine
from sitebackup.engine.threads import InThread
from sitebackup.tree.reading import HASHED_AT_ONCE, Stream

BLOCKS_AT_ONCE = 6
"""Blocks of one file in flight. Each is in memory twice while the transport sends it."""

_HASHED_IN_ONE_GO = 8 * HASHED_AT_ONCE
"""Bytes after which the thread serves another file."""


class LargeFiles:
    """Reads streams in the threads of a `disk`, within the limits of the process on memory and requests."""

    def __init__(self, engine: Engine, disk: InThread, backups: Backups) -> None:
        self._memory = engine.memory
        self._transfers = engine.transfers
        self._disk = disk
        self._backups = backups

    async def is_content(self, stream: Stream, size: int, digest: bytes | None) -> bool:
        """Tell whether a stream has so many bytes and that MD5 digest; it is read to its end, if it has.

        Reading it twice costs less than sending it in vain.
        """
        if stream.expected != size or digest is None:
            return False
        async with self._memory.hold(HASHED_AT_ONCE):
            while stream.size < size and await self._disk(lambda: stream.hash_next(_HASHED_IN_ONE_GO)):
                pass
        if (stream.size, stream.md5) == (size, digest):
            return True
        stream.rewind()
        return False

    async def stage(self, blob: str, stream: Stream) -> list[str]:
        """Send a stream as blocks of a blob, several at once; return the IDs that make its content."""
        size = block_size(stream.expected)
        block_ids = new_block_ids(-(-stream.expected // size))
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
            await self._backups.stage(blob, block_id, data, digest)
