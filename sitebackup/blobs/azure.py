"""A `Container` of an Azure storage account or its emulator."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import unquote
from xml.etree import ElementTree as ET

from azure.core import MatchConditions
from azure.core.exceptions import HttpResponseError
from azure.storage.blob import BlobBlock, ContentSettings
from azure.storage.blob.aio import ContainerClient

from sitebackup.blobs.blocks import MAX_BLOCKS
from sitebackup.blobs.container import ABSENT, Blob, Condition, Page, Properties
from sitebackup.blobs.requests import COPY_STATUS, MAX_COPY_SOURCE, METADATA, BlobRequests, md5_header, md5_of
from sitebackup.blobs.translation import service_code, translated
from sitebackup.digests import md5
from sitebackup.errors import (
    BlobMissingError,
    ConditionNotMetError,
    SourceConditionNotMetError,
    StorageUnavailableError,
)

CALL_TIMEOUT = 300
"""Seconds for one call with all its retries: a peer that stops reading a body ends by no other limit."""

COPY_TIMEOUT = 60
"""Seconds that a call waits for a copy that the service has begun; within an account it ends at once."""

_MAY_BE_THERE = {"BlobAlreadyExists", "PendingCopyOperation", "ConditionNotMet", "TargetConditionNotMet"}
"""What a copy may be refused with if there is a blob in its place; the third one also for its source."""

_CARRIED = 1024 * 1024
"""Bytes in a block that passes through the process: few, because `Engine.memory` does not count them."""

_COPY_POLL = 0.5
"""Seconds between two looks at it."""


class AzureContainer:
    """A `Container` of an Azure storage account or its emulator."""

    def __init__(self, client: ContainerClient, requests: BlobRequests) -> None:
        self.name = str(client.container_name)
        self._client = client
        self._requests = requests

    async def put(
        self, name: str, data: bytes, properties: Properties, condition: Condition | None = None
    ) -> str:
        headers = _headers(properties) | _condition(condition)
        return await self._write(lambda: self._requests.put(self.name, name, data, headers))

    async def stage(self, name: str, block_id: str, data: bytes, md5: bytes) -> None:
        blob = self._client.get_blob_client(name)
        await self._write(lambda: blob.stage_block(block_id, data, transactional_content_md5=md5))

    async def commit(
        self,
        name: str,
        block_ids: Sequence[str],
        properties: Properties,
        condition: Condition | None = None,
    ) -> str:
        blob = self._client.get_blob_client(name)
        committed = await self._write(
            lambda: blob.commit_block_list(
                [BlobBlock(block_id) for block_id in block_ids],
                metadata=dict(properties.metadata),
                content_settings=_content_settings(properties),
                **_match(condition),
            )
        )
        return str(committed["etag"])

    async def copy_from(
        self, source: "AzureContainer", source_name: str, etag: str, name: str
    ) -> Blob | None:
        address = self._requests.address(source.name, source_name)
        if len(address) > MAX_COPY_SOURCE:
            return await self._carry(source, source_name, etag, name)

        async def copy() -> str:
            try:
                return await self._requests.copy(address, etag, self.name, name)
            except HttpResponseError as error:
                if service_code(error) not in _MAY_BE_THERE or await self._head(name) is None:
                    raise
                return "there is a blob"

        try:
            status = await self._write(copy)
        except ConditionNotMetError as error:  # there is no blob that could have stood in the way
            raise SourceConditionNotMetError(str(error)) from error
        return None if status == "success" else await self._copied(name)

    async def set_metadata(self, name: str, metadata: Mapping[str, str], condition: Condition) -> str:
        headers = _metadata(metadata) | _condition(condition)
        async with translated(), asyncio.timeout(CALL_TIMEOUT):
            try:
                return await self._requests.set_metadata(self.name, name, headers)
            except HttpResponseError as error:
                if error.status_code != 404:
                    raise
                raise ConditionNotMetError(
                    f"A blob is not there any more ({service_code(error)})."
                ) from error

    async def delete(self, name: str, condition: Condition | None = None) -> bool:
        async with translated(), asyncio.timeout(CALL_TIMEOUT):
            try:
                await self._requests.delete(self.name, name, _condition(condition))
            except HttpResponseError as error:
                # A blob that is not there does not meet If-Match either: services answer one or the other.
                is_gone = error.status_code == 404 or (
                    error.status_code == 412 and await self._head(name) is None
                )
                if not is_gone:
                    raise
                return False
        return True

    async def get(self, name: str, offset: int = 0, length: int | None = None) -> bytes:
        async with translated(), asyncio.timeout(CALL_TIMEOUT):
            try:
                return await self._requests.get(self.name, name, offset, length)
            except HttpResponseError as error:
                if service_code(error) != "InvalidRange":
                    raise
                return b""  # nothing at this offset; an empty blob has no offset at all

    async def find(self, name: str) -> Blob | None:
        async with translated(), asyncio.timeout(CALL_TIMEOUT):
            headers = await self._head(name)
        return None if headers is None else _blob(name, headers)

    async def page(self, prefix: str, marker: str = "", *, metadata: bool = False) -> Page:
        async with translated(), asyncio.timeout(CALL_TIMEOUT):
            try:
                page = await self._requests.list(self.name, prefix, marker, metadata=metadata)
            except HttpResponseError as error:
                if service_code(error) != "ContainerNotFound":
                    raise
                return Page((), "")
        blobs = tuple(_listed(blob, metadata=metadata) for blob in page.iterfind("Blobs/Blob"))
        return Page(blobs, page.findtext("NextMarker") or "")

    async def list(self, prefix: str, *, metadata: bool = False) -> AsyncIterator[Blob]:
        marker: str | None = None
        while marker != "":
            page = await self.page(prefix, marker or "", metadata=metadata)
            for blob in page.blobs:
                yield blob
            marker = page.marker

    async def _head(self, name: str) -> Mapping[str, str] | None:
        """Return what HEAD says of a blob; None if there is none."""
        try:
            return await self._requests.head(self.name, name)
        except HttpResponseError as error:
            if error.status_code != 404:
                raise
            return None

    async def _copied(self, name: str) -> Blob:
        """Return the blob `name`, once no copy to it is under way any more.

        One that failed leaves an empty blob, which is deleted: else there would never be another try.
        """
        async with translated(), asyncio.timeout(COPY_TIMEOUT):
            while (headers := await self._head(name)) is not None:
                status = headers.get(COPY_STATUS, "success")
                if status == "success":
                    return _blob(name, headers)
                if status != "pending":
                    with suppress(ConditionNotMetError):
                        await self.delete(name, Condition(headers["ETag"]))
                    break
                await asyncio.sleep(_COPY_POLL)
        raise StorageUnavailableError("Storage has not finished a copy.")

    async def _carry(self, source: "AzureContainer", source_name: str, etag: str, name: str) -> Blob | None:
        """Do what `copy_from` does, with the content passing through this process in small blocks.

        It takes as long as its content takes: for blobs whose address no request to copy can name.
        """
        if (there := await self.find(name)) is not None:
            return there
        headers = await source._expected(source_name, etag)
        blob = _blob(source_name, headers)
        attempt = uuid.uuid4().hex
        block_ids: list[str] = []
        size = max(_CARRIED, -(-blob.size // MAX_BLOCKS))
        for offset in range(0, blob.size, size):
            data = await source.get(source_name, offset, size)
            block_ids.append(f"{attempt}-{len(block_ids):05}")
            await self.stage(name, block_ids[-1], data, md5(data))
        await source._expected(source_name, etag)  # so every block was of this content
        properties = Properties(blob.md5, headers["Content-Type"], blob.metadata or {})
        try:
            await self.commit(name, block_ids, properties, ABSENT)
        except ConditionNotMetError:
            return await self.find(name)
        return None

    async def _expected(self, name: str, etag: str) -> Mapping[str, str]:
        """Return what HEAD says of a blob to copy; raises an error unless it has this `etag`."""
        async with translated(), asyncio.timeout(CALL_TIMEOUT):
            headers = await self._head(name)
        if headers is None:
            raise BlobMissingError("A blob to copy is missing.")
        if headers["ETag"] != etag:
            raise SourceConditionNotMetError("A blob to copy is not what it was.")
        return headers

    async def _write[T](self, upload: Callable[[], Awaitable[T]]) -> T:
        """Run `upload`; when the container is missing, create it and run `upload` again."""
        async with translated(), asyncio.timeout(CALL_TIMEOUT):
            try:
                return await upload()
            except HttpResponseError as error:
                if service_code(error) != "ContainerNotFound":
                    raise
                await self._create()
                return await upload()

    async def _create(self) -> None:
        try:
            await self._client.create_container()
        except HttpResponseError as error:
            if service_code(error) != "ContainerAlreadyExists":
                raise


def _metadata(metadata: Mapping[str, str]) -> dict[str, str]:
    return {f"{METADATA}{key}": value for key, value in metadata.items()}


def _headers(properties: Properties) -> dict[str, str]:
    """Return the headers of `properties` for Put Blob."""
    headers = _metadata(properties.metadata)
    if properties.content_type is not None:
        headers["x-ms-blob-content-type"] = properties.content_type
    if properties.md5 is not None:
        headers["Content-MD5"] = headers["x-ms-blob-content-md5"] = md5_header(properties.md5)
    return headers


def _condition(condition: Condition | None) -> dict[str, str]:
    """Return `condition` as a header."""
    if condition is None:
        return {}
    return {"If-None-Match": "*"} if condition.etag is None else {"If-Match": condition.etag}


def _match(condition: Condition | None) -> dict[str, Any]:
    """Return `condition` as the storage client takes it."""
    if condition is None:
        return {}
    if condition.etag is None:
        return {"match_condition": MatchConditions.IfMissing}
    return {"match_condition": MatchConditions.IfNotModified, "etag": condition.etag}


def _blob(name: str, headers: Mapping[str, str]) -> Blob:
    """Read what HEAD answers."""
    metadata = {
        header[len(METADATA) :].lower(): value
        for header, value in headers.items()
        if header.lower().startswith(METADATA)
    }
    size = int(headers.get("Content-Length", "0"))
    return Blob(name, size, md5_of(headers.get("Content-MD5")), headers["ETag"], metadata)


def _listed(blob: ET.Element, *, metadata: bool) -> Blob:
    """Read one blob of a listing."""
    name = blob.find("Name")
    text = name.text or "" if name is not None else ""
    if name is not None and name.get("Encoded") == "true":  # it has characters that XML has not
        text = unquote(text)
    size = int(blob.findtext("Properties/Content-Length", "0"))
    etag = blob.findtext("Properties/Etag", "").strip('"')  # storage lists it without its quotes
    pairs = {pair.tag.lower(): pair.text or "" for pair in blob.iterfind("Metadata/*")} if metadata else None
    return Blob(text, size, md5_of(blob.findtext("Properties/Content-MD5")), f'"{etag}"', pairs)


def _content_settings(properties: Properties) -> ContentSettings:
    digest = bytearray(properties.md5) if properties.md5 is not None else None
    return ContentSettings(content_type=properties.content_type, content_md5=digest)
