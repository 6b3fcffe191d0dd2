"""Blob storage behind a small Protocol, and settings -> clients.

Every call has a time limit. Transient trouble is retried here with exponential back-off and jitter, for about
twenty seconds where storage answers and `CALL_TIMEOUT` at most, and in an outage not at all; what still fails
is raised as `StorageUnavailableError` and is the retry policy's matter. What cannot succeed is not retried.
Service codes become the app's own errors in one place, `_translate`; their messages carry the service's code
and request id, never a URL's query or a header.
"""

import asyncio
import base64
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol, cast
from urllib.parse import unquote
from xml.etree import ElementTree as ET

from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    HttpResponseError,
    ResourceNotFoundError,
)
from azure.storage.blob import BlobBlock, BlobProperties, ContentSettings
from azure.storage.blob.aio import BlobServiceClient, ContainerClient

from sitebackup.blobrequests import BlobRequests, md5_header
from sitebackup.errors import BlobMissingError, BlobRefusedError, FatalError, StorageUnavailableError
from sitebackup.retries import Outage, Retries

CONNECT_TIMEOUT = 10
"""Seconds."""

READ_TIMEOUT = 60
"""Seconds without a byte from storage."""

CALL_TIMEOUT = 300
"""Seconds for one call with all its retries: a peer that stops reading a body ends by no other limit."""

RETRIES = 3
"""Times that the client tries a request again, unless it is told otherwise."""

# The client logs every request and every retry at INFO; a backup of a million files is a million requests.
logging.getLogger("azure").setLevel(logging.WARNING)


type Options = Callable[[], dict[str, Any]]
"""Gives the options of a pipeline of requests."""


@dataclass(frozen=True, slots=True)
class Blob:
    """A blob in a listing: `size` in bytes, `md5` the digest that is stored with it."""

    name: str
    size: int
    md5: bytes | None


@dataclass(frozen=True, slots=True)
class Properties:
    """What is stored with a blob's content: its MD5 digest, content type and metadata."""

    md5: bytes | None = None
    content_type: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])


class Container(Protocol):
    """A container, created when it is missing.

    Every method raises `StorageUnavailableError`, `FatalError` or `BlobRefusedError`. Writes overwrite, and
    return the blob's new ETag.
    """

    async def put(self, name: str, data: bytes, properties: Properties) -> str:
        """Store a whole blob. Its MD5, when given, is verified by the service."""
        ...

    async def stage(self, name: str, block_id: str, data: bytes, md5: bytes) -> None:
        """Upload a block, to be committed later; the service verifies `md5`."""
        ...

    async def commit(self, name: str, block_ids: Sequence[str], properties: Properties) -> str:
        """Make staged blocks, in this order, the blob's content."""
        ...

    async def get(self, name: str, offset: int = 0, length: int | None = None) -> bytes:
        """Return a range of a blob, or as much of it as there is."""
        ...

    async def find(self, name: str) -> Blob | None:
        """Return what a listing would say of the blob `name`; None if there is none."""
        ...

    def list(self, prefix: str) -> AsyncIterator[Blob]:
        """Yield the blobs whose name starts with `prefix`, sorted by name."""
        ...


class AzureContainer:
    """A `Container` of an Azure storage account or its emulator."""

    def __init__(self, client: ContainerClient, requests: BlobRequests) -> None:
        self._client = client
        self._requests = requests

    async def put(self, name: str, data: bytes, properties: Properties) -> str:
        headers = _headers(properties)
        container = str(self._client.container_name)
        return await self._write(lambda: self._requests.put(container, name, data, headers))

    async def stage(self, name: str, block_id: str, data: bytes, md5: bytes) -> None:
        blob = self._client.get_blob_client(name)
        await self._write(lambda: blob.stage_block(block_id, data, transactional_content_md5=md5))

    async def commit(self, name: str, block_ids: Sequence[str], properties: Properties) -> str:
        blob = self._client.get_blob_client(name)
        committed = await self._write(
            lambda: blob.commit_block_list(
                [BlobBlock(block_id) for block_id in block_ids],
                metadata=dict(properties.metadata),
                content_settings=_content_settings(properties),
            )
        )
        return str(committed["etag"])

    async def get(self, name: str, offset: int = 0, length: int | None = None) -> bytes:
        async with _translated(), asyncio.timeout(CALL_TIMEOUT):
            try:
                return await self._requests.get(str(self._client.container_name), name, offset, length)
            except HttpResponseError as error:
                if _code(error) != "InvalidRange":
                    raise
                return b""  # nothing at this offset; an empty blob has no offset at all

    async def find(self, name: str) -> Blob | None:
        async with _translated(), asyncio.timeout(CALL_TIMEOUT):
            try:
                return _blob(await self._client.get_blob_client(name).get_blob_properties())
            except ResourceNotFoundError:
                return None

    async def list(self, prefix: str) -> AsyncIterator[Blob]:
        marker: str | None = ""
        while marker is not None:
            async with _translated(), asyncio.timeout(CALL_TIMEOUT):
                try:
                    page = await self._requests.list(str(self._client.container_name), prefix, marker)
                except HttpResponseError as error:
                    if _code(error) != "ContainerNotFound":
                        raise
                    return
            for blob in page.iterfind("Blobs/Blob"):
                yield _listed(blob)
            marker = page.findtext("NextMarker") or None

    async def _write[T](self, upload: Callable[[], Awaitable[T]]) -> T:
        """Run `upload`; when the container is missing, create it and run `upload` again."""
        async with _translated(), asyncio.timeout(CALL_TIMEOUT):
            try:
                return await upload()
            except HttpResponseError as error:
                if _code(error) != "ContainerNotFound":
                    raise
                await self._create()
                return await upload()

    async def _create(self) -> None:
        try:
            await self._client.create_container()
        except HttpResponseError as error:
            if _code(error) != "ContainerAlreadyExists":
                raise


class Storage:
    """A connection to one storage account; make one a process and close it."""

    def __init__(self, service: BlobServiceClient, options: Options, credential: Any = None) -> None:
        self._service = service
        self._requests = BlobRequests(service, **options())
        self._credential = credential

    @property
    def url(self) -> str:
        """Where it is; never with a secret in it."""
        return self._service.url.partition("?")[0]

    def container(self, name: str) -> AzureContainer:
        """Return the container `name`, which need not exist yet."""
        return AzureContainer(self._service.get_container_client(name), self._requests)

    async def close(self) -> None:
        """Close the connections of the clients."""
        await self._service.close()
        await self._requests.close()
        if self._credential is not None:
            await self._credential.close()


def connect(environment: Mapping[str, str], retries: int = RETRIES) -> Storage:
    """Connect to the account that `BackupStorage` names, or else `AzureWebJobsStorage`.

    Either is a connection string, or the identity form that Azure Functions has for it:
    `<name>__blobServiceUri` or `<name>__accountName`, and `<name>__clientId` for a user-assigned identity
    (https://learn.microsoft.com/azure/azure-functions/functions-reference#configure-an-identity-based-connection).

    Raises `FatalError` when neither is configured or one cannot be read.
    """
    # Two pipelines, each with a policy of its own, learn of one outage.
    options = partial(_client_options, retries, Outage())
    for name in ("BackupStorage", "AzureWebJobsStorage"):
        if connection_string := environment.get(name, "").strip():
            return _by_connection_string(name, connection_string, options)
        if uri := _service_uri(environment, name):
            return _by_identity(uri, environment.get(f"{name}__clientId"), options)
    raise FatalError("AzureWebJobsStorage is not configured.")


def _service_uri(environment: Mapping[str, str], name: str) -> str | None:
    account = environment.get(f"{name}__accountName")
    return environment.get(f"{name}__blobServiceUri") or (
        f"https://{account}.blob.core.windows.net" if account else None
    )


def _by_connection_string(name: str, connection_string: str, options: Options) -> Storage:
    try:
        service = BlobServiceClient.from_connection_string(connection_string, **options())
    except ValueError as error:  # its text quotes no part of the string, but a later version's might
        raise FatalError(f"{name} is not a valid connection string.") from error
    return Storage(service, options)


def _by_identity(uri: str, client_id: str | None, options: Options) -> Storage:
    # Imported here: it takes a third of a second, which a connection string never needs.
    from azure.identity.aio import DefaultAzureCredential  # noqa: PLC0415

    credential = DefaultAzureCredential(managed_identity_client_id=client_id)
    service = BlobServiceClient(uri, credential=credential, **options())
    return Storage(service, options, credential)


def _client_options(retries: int, outage: Outage) -> dict[str, Any]:
    return {
        "connection_timeout": CONNECT_TIMEOUT,
        "read_timeout": READ_TIMEOUT,
        # The transport would look for ~/.netrc, in a thread, at every request, and use what it finds there.
        "use_env_settings": False,
        "retry_policy": Retries(retries, outage),
    }


def _headers(properties: Properties) -> dict[str, str]:
    """Return the headers of `properties` for Put Blob."""
    headers = {f"x-ms-meta-{key}": value for key, value in properties.metadata.items()}
    if properties.content_type is not None:
        headers["x-ms-blob-content-type"] = properties.content_type
    if properties.md5 is not None:
        headers["Content-MD5"] = headers["x-ms-blob-content-md5"] = md5_header(properties.md5)
    return headers


def _blob(properties: BlobProperties) -> Blob:
    md5 = properties.content_settings.content_md5
    return Blob(str(properties.name), properties.size, bytes(md5) if md5 is not None else None)


def _listed(blob: ET.Element) -> Blob:
    """Read one blob of a listing."""
    name = blob.find("Name")
    text = name.text or "" if name is not None else ""
    if name is not None and name.get("Encoded") == "true":  # it has characters that XML has not
        text = unquote(text)
    md5 = blob.findtext("Properties/Content-MD5")
    size = int(blob.findtext("Properties/Content-Length", "0"))
    return Blob(text, size, base64.b64decode(md5) if md5 else None)


def _content_settings(properties: Properties) -> ContentSettings:
    digest = bytearray(properties.md5) if properties.md5 is not None else None
    return ContentSettings(content_type=properties.content_type, content_md5=digest)


def _header(error: HttpResponseError, name: str) -> str | None:
    return cast("Mapping[str, str]", getattr(error.response, "headers", {})).get(name)


def _code(error: HttpResponseError) -> str:
    return _header(error, "x-ms-error-code") or str(error.status_code or type(error).__name__)


_REFUSES_THE_BLOB = {
    "BlobArchived",
    "BlobBeingRehydrated",
    "BlobImmutableDueToPolicy",
    "BlobUsesCustomerSpecifiedEncryption",
    "BlockCountExceedsLimit",
    "InvalidBlobType",
    "InvalidResourceName",
    "InvalidUri",
    "LeaseIdMissing",
    "OutOfRangeInput",
    "PendingCopyOperation",
    "RequestBodyTooLarge",
    "SnapshotsPresent",
}
_MAY_PASS = {
    "AccountBeingCreated",
    "ContainerBeingDeleted",
    "InvalidBlobOrBlock",  # another attempt's commit threw away this attempt's blocks
    "InvalidBlockList",
    "Md5Mismatch",  # the request was damaged on its way
    "OperationTimedOut",
    "RequestBodyIncomplete",
    "ServerBusy",
    "SystemInUse",
}
_TRANSIENT_STATUS = {408, 429, 500, 502, 503, 504}


@asynccontextmanager
async def _translated() -> AsyncGenerator[None]:
    """Turn the client's errors into the app's own."""
    try:
        yield
    except HttpResponseError as error:
        # Of the token's source: there is no identity, or it is not to be reached.
        if isinstance(error, ClientAuthenticationError) and error.response is None:
            raise StorageUnavailableError("No token could be obtained for the app's identity.") from error
        raise _translate(error) from error
    except (AzureError, TimeoutError) as error:  # no answer at all: refused, reset, timed out, unknown host
        raise StorageUnavailableError(f"Storage does not answer ({type(error).__name__}).") from error


def _translate(error: HttpResponseError) -> Exception:
    code = _code(error)
    text = f"{code}, request {_header(error, 'x-ms-request-id') or 'unknown'}"
    if code == "BlobNotFound":
        return BlobMissingError(f"A blob is missing ({text}).")
    if code in _REFUSES_THE_BLOB:
        return BlobRefusedError(f"storage refuses the blob ({text})")
    if code in _MAY_PASS or error.status_code in _TRANSIENT_STATUS:
        return StorageUnavailableError(f"Storage cannot serve the request now ({text}).")
    if error.status_code in (401, 403):
        return FatalError(f"Storage refuses the app's credentials ({text}).")
    return FatalError(f"Storage refuses the request ({text}).")
