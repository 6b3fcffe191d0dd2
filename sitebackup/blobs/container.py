"""Blob storage behind a small Protocol.

Every call has a time limit. Transient trouble is retried here with exponential back-off and jitter, for about
twenty seconds where storage answers and `CALL_TIMEOUT` at most, and in an outage not at all; what still fails
is raised as `StorageUnavailableError`, and the orchestration waits for it to pass. What cannot succeed is not
retried. Service codes become the app's own errors in one place, `translation`; their messages carry the
service's code and request id, never a URL's query or a header.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import unquote
from xml.etree import ElementTree as ET

from azure.core import MatchConditions
from azure.core.exceptions import HttpResponseError
from azure.storage.blob import BlobBlock, ContentSettings
from azure.storage.blob.aio import ContainerClient

from sitebackup.blobs.requests import METADATA, BlobRequests, md5_header, md5_of
from sitebackup.blobs.translation import service_code, translated

CALL_TIMEOUT = 300
"""Seconds for one call with all its retries: a peer that stops reading a body ends by no other limit."""


@dataclass(frozen=True, slots=True)
class Blob:
    """A blob that is there: `size` in bytes, `md5` the digest that is stored with it, `etag` with its quotes.

    A listing does not say its `metadata`, which is None then.
    """

    name: str
    size: int
    md5: bytes | None
    etag: str
    metadata: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Properties:
    """What is stored with a blob's content: its MD5 digest, content type and metadata."""

    md5: bytes | None = None
    content_type: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Condition:
    """What a blob has to be for a write to be carried out: the one with this `etag`, or with None not there.

    https://learn.microsoft.com/rest/api/storageservices/specifying-conditional-headers-for-blob-service-operations
    """

    etag: str | None


ABSENT = Condition(None)
"""There is no such blob."""


class Container(Protocol):
    """A container, created when it is missing.

    Every method raises `StorageUnavailableError`, `FatalError` or `BlobRefusedError`. Writes return the new
    ETag. Without a condition they overwrite; with one that is not met they raise `ConditionNotMetError`. A
    write whose answer was lost is tried again, and may then fail its own condition.
    """

    async def put(
        self, name: str, data: bytes, properties: Properties, condition: Condition | None = None
    ) -> str:
        """Store a whole blob. Its MD5, when given, is verified by the service."""
        ...

    async def stage(self, name: str, block_id: str, data: bytes, md5: bytes) -> None:
        """Upload a block, to be committed later; the service verifies `md5`."""
        ...

    async def commit(
        self,
        name: str,
        block_ids: Sequence[str],
        properties: Properties,
        condition: Condition | None = None,
    ) -> str:
        """Make staged blocks, in this order, the blob's content."""
        ...

    async def get(self, name: str, offset: int = 0, length: int | None = None) -> bytes:
        """Return a range of a blob, or as much of it as there is."""
        ...

    async def find(self, name: str) -> Blob | None:
        """Return what there is to know of the blob `name`; None if there is none."""
        ...

    def list(self, prefix: str) -> AsyncIterator[Blob]:
        """Yield the blobs whose name starts with `prefix`, sorted by name."""
        ...


class AzureContainer:
    """A `Container` of an Azure storage account or its emulator."""

    def __init__(self, client: ContainerClient, requests: BlobRequests) -> None:
        self._client = client
        self._requests = requests

    async def put(
        self, name: str, data: bytes, properties: Properties, condition: Condition | None = None
    ) -> str:
        headers = _headers(properties)
        if condition is not None:
            headers |= {"If-None-Match": "*"} if condition.etag is None else {"If-Match": condition.etag}
        container = str(self._client.container_name)
        return await self._write(lambda: self._requests.put(container, name, data, headers))

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

    async def get(self, name: str, offset: int = 0, length: int | None = None) -> bytes:
        async with translated(), asyncio.timeout(CALL_TIMEOUT):
            try:
                return await self._requests.get(str(self._client.container_name), name, offset, length)
            except HttpResponseError as error:
                if service_code(error) != "InvalidRange":
                    raise
                return b""  # nothing at this offset; an empty blob has no offset at all

    async def find(self, name: str) -> Blob | None:
        async with translated(), asyncio.timeout(CALL_TIMEOUT):
            try:
                headers = await self._requests.head(str(self._client.container_name), name)
            except HttpResponseError as error:
                if error.status_code != 404:
                    raise
                return None
        return _blob(name, headers)

    async def list(self, prefix: str) -> AsyncIterator[Blob]:
        marker: str | None = ""
        while marker is not None:
            async with translated(), asyncio.timeout(CALL_TIMEOUT):
                try:
                    page = await self._requests.list(str(self._client.container_name), prefix, marker)
                except HttpResponseError as error:
                    if service_code(error) != "ContainerNotFound":
                        raise
                    return
            for blob in page.iterfind("Blobs/Blob"):
                yield _listed(blob)
            marker = page.findtext("NextMarker") or None

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


def _headers(properties: Properties) -> dict[str, str]:
    """Return the headers of `properties` for Put Blob."""
    headers = {f"{METADATA}{key}": value for key, value in properties.metadata.items()}
    if properties.content_type is not None:
        headers["x-ms-blob-content-type"] = properties.content_type
    if properties.md5 is not None:
        headers["Content-MD5"] = headers["x-ms-blob-content-md5"] = md5_header(properties.md5)
    return headers


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


def _listed(blob: ET.Element) -> Blob:
    """Read one blob of a listing."""
    name = blob.find("Name")
    text = name.text or "" if name is not None else ""
    if name is not None and name.get("Encoded") == "true":  # it has characters that XML has not
        text = unquote(text)
    size = int(blob.findtext("Properties/Content-Length", "0"))
    etag = blob.findtext("Properties/Etag", "").strip('"')  # storage lists it without its quotes
    return Blob(text, size, md5_of(blob.findtext("Properties/Content-MD5")), f'"{etag}"')


def _content_settings(properties: Properties) -> ContentSettings:
    digest = bytearray(properties.md5) if properties.md5 is not None else None
    return ContentSettings(content_type=properties.content_type, content_md5=digest)
