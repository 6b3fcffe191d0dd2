"""The container `backups`, so that nothing in it is ever lost.

Nothing is overwritten or removed but under a condition: that it is the blob which the caller believes to be
there, by its ETag, and that the content of this blob is in the history. So whoever else writes at the same
time, and wherever a process ends, everything that was ever there still is, or is in the history:

    archive, then write        the write fails if another writer was faster, and what that one has overwritten
                               is archived, by it
    archive, and no more       what is there is in the history too, early
    content A, B, A, B         a version has the MD5 of its content as its name: there is one of each
"""

from collections.abc import Sequence

from sitebackup.blobs.blocks import new_block_ids
from sitebackup.blobs.container import ABSENT, Blob, Condition, Properties
from sitebackup.blobs.historyname import history_name
from sitebackup.digests import md5
from sitebackup.engine.engine import Engine
from sitebackup.errors import (
    BlobMissingError,
    BlobRefusedError,
    ConditionNotMetError,
    SourceConditionNotMetError,
)

NOT_THERE = (ConditionNotMetError, SourceConditionNotMetError, BlobMissingError)
"""Raised if what is there is not what it was believed to be; nothing is changed then."""


class Backups:
    """The container of backups, and behind it the history. Its methods make requests: hold a slot for them.

    `there` is what the caller believes a `blob` to be, None if it is not there. What changes something raises
    one of `NOT_THERE` if that is wrong.
    """

    def __init__(self, engine: Engine) -> None:
        self._latest = engine.backups
        self._history = engine.history

    async def find(self, blob: str) -> Blob | None:
        """Return what is there."""
        return await self._latest.find(blob)

    async def put(self, blob: str, data: bytes, properties: Properties, there: Blob | None) -> str:
        """Write a blob in one request; return its ETag."""
        return await self._latest.put(blob, data, properties, await self._archive(there))

    async def put_in_blocks(self, blob: str, data: bytes, properties: Properties, there: Blob | None) -> str:
        """Write a small blob as a large one is written; return its ETag."""
        block_ids = new_block_ids(1 if data else 0)  # storage takes no empty block
        for block_id in block_ids:
            await self.stage(blob, block_id, data, md5(data))
        return await self.commit(blob, block_ids, properties, there)

    async def stage(self, blob: str, block_id: str, data: bytes, digest: bytes) -> None:
        """Send a block with this MD5 digest, to be committed later."""
        await self._latest.stage(blob, block_id, data, digest)

    async def commit(
        self, blob: str, block_ids: Sequence[str], properties: Properties, there: Blob | None
    ) -> str:
        """Write a blob that consists of these blocks; return its ETag."""
        return await self._latest.commit(blob, block_ids, properties, await self._archive(there))

    async def describe(self, there: Blob, properties: Properties) -> str:
        """Replace the metadata of what is there, whose content stays; return its new ETag."""
        return await self._latest.set_metadata(there.name, properties.metadata, Condition(there.etag))

    async def remove(self, there: Blob) -> None:
        """Remove what is there."""
        await self._latest.delete(there.name, await self._archive(there))

    async def _archive(self, there: Blob | None) -> Condition:
        """See to it that the content of what is there is in the history; return that it is there still."""
        if there is None:
            return ABSENT
        name = history_name(there.name, there.md5.hex() if there.md5 else there.etag.strip('"'))
        try:
            kept = await self._history.copy_from(self._latest, there.name, there.etag, name)
        except BlobRefusedError:
            # Of an immutable container, storage may say that it is immutable before it says what is there.
            kept = await self._history.find(name)
            if kept is None:
                raise
        if kept is not None and kept.size != there.size:
            raise BlobRefusedError("the history has something else in the place of what is there")
        return Condition(there.etag)
