"""What the null blob service knows of its blobs, and what it answers.

Of a blob in a container of `KEPT` it keeps the content, because a backup reads its own plans back. Of any
other it keeps what a listing says: size, MD5, type and metadata.
"""

import re
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from xml.sax.saxutils import escape

KEPT = frozenset({"backup-runs"})
"""Containers whose blobs keep their content."""

_PAGE = 5_000
"""Blobs in a page of a listing, as in Azure."""

_BLOCK_ID = re.compile(rb"<Latest>([^<]+)</Latest>")
_RANGE = re.compile(r"bytes=(\d+)-(\d*)")
_METADATA = "x-ms-meta-"

_TIME = "Thu, 01 Jan 2026 00:00:00 GMT"
_COMMON = f'ETag: "0x1"\r\nLast-Modified: {_TIME}\r\nx-ms-request-id: null\r\nx-ms-version: 2025-11-05\r\n'
"""Headers of every answer."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request. `size` is the length in bytes of its body, which is empty where it is not kept anyway."""

    method: str
    container: str
    blob: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    body: bytes
    size: int

    def parameter(self, name: str) -> str:
        """Return a parameter of the query; empty if it is not there."""
        return self.query.get(name, [""])[0]


@dataclass(frozen=True, slots=True)
class _Blob:
    size: int
    content: bytes
    md5: str
    content_type: str
    metadata: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, request: Request, size: int, content: bytes) -> "_Blob":
        headers = request.headers
        return cls(
            size,
            content,
            headers.get("x-ms-blob-content-md5") or headers.get("content-md5") or "",
            headers.get("x-ms-blob-content-type") or "application/octet-stream",
            tuple((name, value) for name, value in headers.items() if name.startswith(_METADATA)),
        )

    def headers(self) -> str:
        """Return the headers with which the blob is read."""
        md5 = f"x-ms-blob-content-md5: {self.md5}\r\n" if self.md5 else ""
        metadata = "".join(f"{name}: {value}\r\n" for name, value in self.metadata)
        return f"x-ms-blob-type: BlockBlob\r\nContent-Type: {self.content_type}\r\n{md5}{metadata}"


@dataclass(slots=True)
class _Container:
    blobs: dict[str, _Blob] = field(default_factory=dict[str, _Blob])
    blocks: dict[tuple[str, str], tuple[int, bytes]] = field(
        default_factory=dict[tuple[str, str], tuple[int, bytes]]
    )
    _names: list[str] = field(default_factory=list[str])

    def names(self) -> list[str]:
        """Return the names of the blobs, sorted; none is ever deleted."""
        if len(self._names) != len(self.blobs):
            self._names = sorted(self.blobs)
        return self._names


class Blobs:
    """All blobs, and what each request gets for an answer."""

    def __init__(self) -> None:
        self._containers: dict[str, _Container] = {}

    def answer(self, request: Request) -> bytes:
        """Carry `request` out. A container is there as soon as it is named."""
        container = self._containers.setdefault(request.container, _Container())
        if request.method == "PUT":
            _put(request, container)
            return _response(201, "Created")
        if request.parameter("comp") == "list":
            return _listing(request, container)
        blob = container.blobs.get(request.blob)
        if blob is None:
            return _response(404, "Not Found", extra="x-ms-error-code: BlobNotFound\r\n")
        if request.method == "HEAD":
            return _head(200, "OK", blob.size, blob.headers())
        return _range(request, blob)


def _put(request: Request, container: _Container) -> None:
    name = request.blob
    match request.parameter("comp"):
        case "block":
            container.blocks[name, request.parameter("blockid")] = (request.size, request.body)
        case "blocklist":
            ids = [block_id.decode() for block_id in _BLOCK_ID.findall(request.body)]
            blocks = [container.blocks.pop((name, block_id)) for block_id in ids]
            size = sum(size for size, _ in blocks)
            container.blobs[name] = _Blob.of(request, size, b"".join(body for _, body in blocks))
        case _ if name:
            container.blobs[name] = _Blob.of(request, request.size, request.body)
        case _:
            pass  # Create Container


def _range(request: Request, blob: _Blob) -> bytes:
    span = _RANGE.match(request.headers.get("x-ms-range", ""))
    first = int(span[1]) if span else 0
    if first >= blob.size:
        return _response(416, "Range Not Satisfiable", extra="x-ms-error-code: InvalidRange\r\n")
    last = min(int(span[2]) if span and span[2] else blob.size, blob.size - 1)
    content = blob.content[first : last + 1]
    whole = f"Content-Range: bytes {first}-{last}/{blob.size}\r\n"
    return _response(206, "Partial Content", content, blob.headers() + whole)


def _listing(request: Request, container: _Container) -> bytes:
    """List a page: a marker is the name that comes next."""
    prefix = request.parameter("prefix")
    names = container.names()
    begin = bisect_left(names, request.parameter("marker") or prefix)
    page = islice(names, begin, begin + _PAGE + 1)
    found = [name for name in page if name.startswith(prefix)]
    marker = escape(found.pop()) if len(found) > _PAGE else ""
    document = (
        f'<?xml version="1.0" encoding="utf-8"?><EnumerationResults><Prefix>{escape(prefix)}</Prefix><Blobs>'
        f"{''.join(_rows(found, container))}</Blobs><NextMarker>{marker}</NextMarker></EnumerationResults>"
    )
    return _response(200, "OK", document.encode(), "Content-Type: application/xml\r\n")


def _rows(names: list[str], container: _Container) -> Iterator[str]:
    """Yield the elements of blobs, with all the properties that Azure lists: reading them takes its time."""
    for name in names:
        blob = container.blobs[name]
        yield (
            f"<Blob><Name>{escape(name)}</Name><Properties><Creation-Time>{_TIME}</Creation-Time>"
            f"<Last-Modified>{_TIME}</Last-Modified><Etag>0x1</Etag>"
            f"<Content-Length>{blob.size}</Content-Length><Content-Type>{blob.content_type}</Content-Type>"
            f"<Content-Encoding /><Content-Language /><Content-CRC64 /><Content-MD5>{blob.md5}</Content-MD5>"
            "<Cache-Control /><Content-Disposition /><BlobType>BlockBlob</BlobType>"
            "<AccessTier>Hot</AccessTier><AccessTierInferred>true</AccessTierInferred>"
            "<LeaseStatus>unlocked</LeaseStatus><LeaseState>available</LeaseState>"
            "<ServerEncrypted>true</ServerEncrypted></Properties><OrMetadata /></Blob>"
        )


def _response(status: int, reason: str, body: bytes = b"", extra: str = "") -> bytes:
    return _head(status, reason, len(body), extra) + body


def _head(status: int, reason: str, length: int, extra: str) -> bytes:
    return f"HTTP/1.1 {status} {reason}\r\nContent-Length: {length}\r\n{_COMMON}{extra}\r\n".encode()
