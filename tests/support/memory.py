"""Containers in memory, for tests whose subject is what goes into one; the contract suite checks them too."""

import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace

from sitebackup.blobs.container import Blob, Condition, Page, Properties
from sitebackup.errors import (
    BlobMissingError,
    ConditionNotMetError,
    SourceConditionNotMetError,
    StorageUnavailableError,
)


class MemoryContainer:
    """A `Container` that is a dictionary; a page of its listings has `page_size` blobs."""

    page_size = 5000

    def __init__(self) -> None:
        self.blobs: dict[str, tuple[bytes, Properties]] = {}
        self._blocks: dict[tuple[str, str], bytes] = {}
        self._etags: dict[str, tuple[object, str]] = {}
        self._versions = 0

    async def put(
        self, name: str, data: bytes, properties: Properties, condition: Condition | None = None
    ) -> str:
        if properties.md5 is not None:
            _verify(data, properties.md5)
        self._check(name, condition)
        self.blobs[name] = (data, properties)
        return self._etag(name)

    async def stage(self, name: str, block_id: str, data: bytes, md5: bytes) -> None:
        _verify(data, md5)
        self._blocks[name, block_id] = data

    async def commit(
        self,
        name: str,
        block_ids: Sequence[str],
        properties: Properties,
        condition: Condition | None = None,
    ) -> str:
        self._check(name, condition)
        try:
            data = b"".join(self._blocks[name, block_id] for block_id in block_ids)
        except KeyError as error:
            raise StorageUnavailableError("InvalidBlockList") from error
        self._blocks = {key: block for key, block in self._blocks.items() if key[0] != name}
        self.blobs[name] = (data, properties)
        return self._etag(name)

    async def copy_from(
        self, source: "MemoryContainer", source_name: str, etag: str, name: str
    ) -> Blob | None:
        there = await source.find(source_name)
        if there is None:
            raise BlobMissingError("BlobNotFound")
        if there.etag != etag:
            raise SourceConditionNotMetError("SourceConditionNotMet")
        if name in self.blobs:
            return await self.find(name)
        data, properties = source.blobs[source_name]
        self.blobs[name] = (data, properties)
        return None

    async def set_metadata(self, name: str, metadata: Mapping[str, str], condition: Condition) -> str:
        self._check(name, condition)
        data, properties = self.blobs[name]
        self.blobs[name] = (data, replace(properties, metadata=dict(metadata)))
        return self._etag(name)

    async def delete(self, name: str, condition: Condition | None = None) -> bool:
        if name not in self.blobs:
            return False
        self._check(name, condition)
        del self.blobs[name]
        self._etags.pop(name, None)
        return True

    async def get(self, name: str, offset: int = 0, length: int | None = None) -> bytes:
        if name not in self.blobs:
            raise BlobMissingError("BlobNotFound")
        return self.blobs[name][0][offset : None if length is None else offset + length]

    async def find(self, name: str) -> Blob | None:
        return self._blob(name) if name in self.blobs else None

    async def page(self, prefix: str, marker: str = "", *, metadata: bool = False) -> Page:
        names = sorted(name for name in self.blobs if name.startswith(prefix) and name >= marker)
        found = [self._blob(name) for name in names[: self.page_size]]
        blobs = tuple(found if metadata else (replace(blob, metadata=None) for blob in found))
        return Page(blobs, next(iter(names[self.page_size :]), ""))

    async def list(self, prefix: str, *, metadata: bool = False) -> AsyncIterator[Blob]:
        marker: str | None = None
        while marker != "":
            page = await self.page(prefix, marker or "", metadata=metadata)
            for blob in page.blobs:
                yield blob
            marker = page.marker

    def _blob(self, name: str) -> Blob:
        data, properties = self.blobs[name]
        return Blob(name, len(data), properties.md5, self._etag(name), dict(properties.metadata))

    def _check(self, name: str, condition: Condition | None) -> None:
        etag = self._etag(name) if name in self.blobs else None
        if condition is not None and condition.etag != etag:
            raise ConditionNotMetError("BlobAlreadyExists" if condition.etag is None else "ConditionNotMet")

    def _etag(self, name: str) -> str:
        """The ETag of what is there now, which a test may have put there itself."""
        blob = self.blobs[name]
        known, etag = self._etags.get(name, (None, ""))
        if known is not blob:
            self._versions += 1
            etag = f'"{self._versions}"'
            self._etags[name] = (blob, etag)
        return etag


def _verify(data: bytes, md5: bytes) -> None:
    if hashlib.md5(data, usedforsecurity=False).digest() != md5:
        raise StorageUnavailableError("Md5Mismatch")
