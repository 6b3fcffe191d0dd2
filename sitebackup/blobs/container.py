"""Blob storage behind a small Protocol.

Azure's is in `azure`. Every call has a time limit. Transient trouble is retried there with exponential
back-off and jitter, for about twenty seconds where storage answers and `azure.CALL_TIMEOUT` at most, and in
an outage not at all; what still fails is raised as `StorageUnavailableError`, and the orchestration waits for
it to pass. What cannot succeed is not retried. Service codes become the app's own errors in one place,
`translation`; their messages carry the service's code and request id, never a URL's query or a header.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, Self


@dataclass(frozen=True, slots=True)
class Blob:
    """A blob that is there: `size` in bytes, `md5` the digest that is stored with it, `etag` with its quotes.

    A listing that was not asked for its `metadata` does not say it, which is None then.
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


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a listing, sorted by name, and the `marker` of the next one, which is empty if there is none.

    A page may have no blobs and yet not be the last one. A marker may be kept and used later.
    """

    blobs: tuple[Blob, ...]
    marker: str


class Container(Protocol):
    """A container, created when it is missing.

    Every method raises `StorageUnavailableError`, `FatalError` or `BlobRefusedError`. Writes return the new
    ETag. Without a condition they overwrite; with one that is not met they raise `ConditionNotMetError`. A
    write whose answer was lost is tried again, and may then fail its own condition; what that means is said
    where it means anything else.
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

    async def copy_from(self, source: Self, source_name: str, etag: str, name: str) -> Blob | None:
        """Copy a blob of `source`, a container of the same account, to `name`, unless there is a blob.

        The service copies content, MD5, content type and metadata, and only of the blob with this `etag`.
        Returns None if it has done so at once, else what is at `name` now, complete: what was there before,
        what another attempt copied, or this one if it took a while or its answer was lost.

        Raises `SourceConditionNotMetError` if the source has another ETag, `BlobMissingError` if there is no
        source, `StorageUnavailableError` if the copy takes long or has failed: the next call goes on with it.
        """
        ...

    async def set_metadata(self, name: str, metadata: Mapping[str, str], condition: Condition) -> str:
        """Give a blob other metadata, all of it, and leave its content as it is; return the new ETag.

        Raises `ConditionNotMetError`, also if there is no such blob.
        """
        ...

    async def delete(self, name: str, condition: Condition | None = None) -> bool:
        """Delete a blob; False if there is none, which is also so if the answer of the first try was lost."""
        ...

    async def get(self, name: str, offset: int = 0, length: int | None = None) -> bytes:
        """Return a range of a blob, or as much of it as there is."""
        ...

    async def find(self, name: str) -> Blob | None:
        """Return what there is to know of the blob `name`; None if there is none."""
        ...

    async def page(self, prefix: str, marker: str = "", *, metadata: bool = False) -> Page:
        """Return the page at `marker`, the first one if that is empty, of the listing of `prefix`.

        `metadata` says whether the blobs have theirs.
        """
        ...

    def list(self, prefix: str, *, metadata: bool = False) -> AsyncIterator[Blob]:
        """Yield the blobs whose name starts with `prefix`, sorted by name: all pages, one after the other."""
        ...
