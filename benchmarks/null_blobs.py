"""What the null blob service knows of its blobs, and what it answers.

Of a blob in a container of `KEPT` it keeps the content, because a backup reads its own plans and manifests
back. Of any other it keeps what a listing says: size, MD5, type, metadata and ETag.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import count, islice, takewhile
from typing import Protocol
from urllib.parse import unquote, urlsplit
from xml.sax.saxutils import escape

from benchmarks.saved_tree import SavedTree
from benchmarks.sorted_names import SortedNames
from sitebackup.names import BACKUPS_CONTAINER

KEPT = frozenset({"backup-runs", "backup-catalog"})
"""Containers whose blobs keep their content."""

_PAGE = 5_000
"""Blobs in a page of a listing, as in Azure."""

_BLOCK_ID = re.compile(rb"<Latest>([^<]+)</Latest>")
_RANGE = re.compile(r"bytes=(\d+)-(\d*)")
_METADATA = "x-ms-meta-"

_TIME = "Thu, 01 Jan 2026 00:00:00 GMT"
_COMMON = f"Last-Modified: {_TIME}\r\nx-ms-request-id: null\r\nx-ms-version: 2025-11-05\r\n"
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

    def metadata(self) -> tuple[tuple[str, str], ...]:
        """Return the metadata among the headers."""
        return tuple(
            (name.removeprefix(_METADATA), value)
            for name, value in self.headers.items()
            if name.startswith(_METADATA)
        )


@dataclass(frozen=True, slots=True)
class _Blob:
    size: int
    content: bytes
    md5: str
    content_type: str
    metadata: tuple[tuple[str, str], ...]
    version: int
    """Another one with every write, in all containers."""

    @property
    def etag(self) -> str:
        """The ETag, without quotes."""
        return f"0x{self.version:X}"

    def headers(self) -> str:
        """Return the headers with which the blob is read."""
        md5 = f"x-ms-blob-content-md5: {self.md5}\r\nContent-MD5: {self.md5}\r\n" if self.md5 else ""
        metadata = "".join(f"{_METADATA}{name}: {value}\r\n" for name, value in self.metadata)
        kind = f"x-ms-blob-type: BlockBlob\r\nContent-Type: {self.content_type}\r\n"
        return f'ETag: "{self.etag}"\r\n{kind}{md5}{metadata}'


class _Names(Protocol):
    def since(self, name: str) -> Iterator[str]: ...


class _SavedBlobs(Mapping[str, _Blob]):
    """The blobs of a tree, all of them alike."""

    def __init__(self, tree: SavedTree) -> None:
        self.tree = tree
        self._each = _Blob(tree.size, b"", tree.md5_header, "application/octet-stream", (), 0)

    def __getitem__(self, name: str) -> _Blob:
        if name not in self.tree:
            raise KeyError(name)
        return self._each

    def __iter__(self) -> Iterator[str]:
        return self.tree.since(self.tree.prefix)

    def __len__(self) -> int:
        return len(self.tree.shape)


@dataclass(slots=True)
class _Container:
    blobs: dict[str, _Blob] = field(default_factory=dict[str, _Blob])
    blocks: dict[tuple[str, str], tuple[int, bytes]] = field(
        default_factory=dict[tuple[str, str], tuple[int, bytes]]
    )
    names: SortedNames = field(default_factory=SortedNames)

    def keep(self, name: str, blob: _Blob) -> None:
        """Have `blob` under `name` from now on."""
        if name not in self.blobs:
            self.names.add(name)
        self.blobs[name] = blob

    def forget(self, name: str) -> bytes:
        """Have no blob `name` any more; return the answer to that."""
        del self.blobs[name]
        self.names.remove(name)
        return _response(202, "Accepted")


class Blobs:
    """All blobs, and what each request gets for an answer; of a `saved` tree, requests can only read."""

    def __init__(self, saved: SavedTree | None = None) -> None:
        self._saved = None if saved is None else _SavedBlobs(saved)
        self._containers: dict[str, _Container] = {}
        self._versions = count(1)

    def answer(self, request: Request) -> bytes:
        """Carry `request` out. A container is there as soon as it is named."""
        container = self._container(request.container)
        blobs, names = self._readable(request, container)
        if request.parameter("comp") == "list":
            return _listing(request, blobs, names)
        blob = blobs.get(request.blob)
        if request.method == "DELETE" and not request.blob:
            del self._containers[request.container]
            return _response(202, "Accepted")
        if request.method == "PUT":
            return _unmet(request, blob) or self._put(request, container, blob)
        if blob is None:
            return _refused(404, "BlobNotFound")
        if request.method == "DELETE":
            return _unmet(request, blob) or container.forget(request.blob)
        return (
            _head(200, "OK", blob.size, blob.headers()) if request.method == "HEAD" else _range(request, blob)
        )

    def _readable(self, request: Request, container: _Container) -> tuple[Mapping[str, _Blob], _Names]:
        """Return the blobs that a request is about, and their names."""
        name = request.blob or request.parameter("prefix")
        is_of_backups = request.container == BACKUPS_CONTAINER
        if self._saved is not None and is_of_backups and name.startswith(self._saved.tree.prefix):
            return self._saved, self._saved.tree
        return container.blobs, container.names

    def _container(self, name: str) -> _Container:
        return self._containers.setdefault(name, _Container())

    def _put(self, request: Request, container: _Container, there: _Blob | None) -> bytes:
        name = request.blob
        match request.parameter("comp"):
            case "block":
                container.blocks[name, request.parameter("blockid")] = (request.size, request.body)
                return _response(201, "Created")
            case "blocklist":
                ids = [block_id.decode() for block_id in _BLOCK_ID.findall(request.body)]
                blocks = [container.blocks.pop((name, block_id)) for block_id in ids]
                size = sum(size for size, _ in blocks)
                return self._made(request, container, size, b"".join(body for _, body in blocks))
            case "metadata":
                return self._describe(request, container, there)
            case _ if "x-ms-copy-source" in request.headers:
                return self._copy(request, container)
            case _ if name:
                return self._made(request, container, request.size, request.body)
            case _:
                return _response(201, "Created")  # Create Container

    def _made(self, request: Request, container: _Container, size: int, content: bytes) -> bytes:
        headers = request.headers
        blob = _Blob(
            size,
            content,
            headers.get("x-ms-blob-content-md5") or headers.get("content-md5") or "",
            headers.get("x-ms-blob-content-type") or "application/octet-stream",
            request.metadata(),
            next(self._versions),
        )
        container.keep(request.blob, blob)
        return _response(201, "Created", extra=f'ETag: "{blob.etag}"\r\n')

    def _describe(self, request: Request, container: _Container, there: _Blob | None) -> bytes:
        if there is None:
            return _refused(404, "BlobNotFound")
        changed = replace(there, metadata=request.metadata(), version=next(self._versions))
        container.keep(request.blob, changed)
        return _response(200, "OK", extra=changed.headers())

    def _copy(self, request: Request, container: _Container) -> bytes:
        _, _, source, name = urlsplit(request.headers["x-ms-copy-source"]).path.split("/", 3)
        blob = self._container(source).blobs.get(unquote(name))
        if blob is None:
            return _refused(404, "BlobNotFound")
        if request.headers.get("x-ms-source-if-match") not in (None, f'"{blob.etag}"'):
            return _refused(412, "SourceConditionNotMet")
        copy = replace(blob, version=next(self._versions))
        container.keep(request.blob, copy)
        return _response(202, "Accepted", extra=f'ETag: "{copy.etag}"\r\nx-ms-copy-status: success\r\n')


def _unmet(request: Request, blob: _Blob | None) -> bytes | None:
    """Return the refusal of a write whose condition `blob`, which is there now, does not meet."""
    if request.headers.get("if-none-match") == "*" and blob is not None:
        return _refused(409, "BlobAlreadyExists")
    wanted = request.headers.get("if-match")
    if wanted is not None and (blob is None or wanted != f'"{blob.etag}"'):
        return _refused(412, "ConditionNotMet")
    return None


def _range(request: Request, blob: _Blob) -> bytes:
    span = _RANGE.match(request.headers.get("x-ms-range", ""))
    first = int(span[1]) if span else 0
    if first >= blob.size:
        return _refused(416, "InvalidRange")
    last = min(int(span[2]) if span and span[2] else blob.size, blob.size - 1)
    content = blob.content[first : last + 1]
    whole = f"Content-Range: bytes {first}-{last}/{blob.size}\r\n"
    return _response(206, "Partial Content", content, blob.headers() + whole)


def _listing(request: Request, blobs: Mapping[str, _Blob], names: _Names) -> bytes:
    """List a page: a marker is the name that comes next."""
    prefix = request.parameter("prefix")
    rest = names.since(request.parameter("marker") or prefix)
    found = list(islice(takewhile(lambda name: name.startswith(prefix), rest), _PAGE + 1))
    marker = escape(found.pop()) if len(found) > _PAGE else ""
    rows = _rows(found, blobs, metadata=request.parameter("include") == "metadata")
    document = (
        f'<?xml version="1.0" encoding="utf-8"?><EnumerationResults><Prefix>{escape(prefix)}</Prefix><Blobs>'
        f"{''.join(rows)}</Blobs><NextMarker>{marker}</NextMarker></EnumerationResults>"
    )
    return _response(200, "OK", document.encode(), "Content-Type: application/xml\r\n")


def _rows(names: list[str], blobs: Mapping[str, _Blob], *, metadata: bool) -> Iterator[str]:
    """Yield the elements of blobs, with all the properties that Azure lists: reading them takes its time."""
    for name in names:
        blob = blobs[name]
        pairs = "".join(f"<{key}>{escape(value)}</{key}>" for key, value in blob.metadata if metadata)
        yield (
            f"<Blob><Name>{escape(name)}</Name><Properties><Creation-Time>{_TIME}</Creation-Time>"
            f"<Last-Modified>{_TIME}</Last-Modified><Etag>{blob.etag}</Etag>"
            f"<Content-Length>{blob.size}</Content-Length><Content-Type>{blob.content_type}</Content-Type>"
            f"<Content-Encoding /><Content-Language /><Content-CRC64 /><Content-MD5>{blob.md5}</Content-MD5>"
            "<Cache-Control /><Content-Disposition /><BlobType>BlockBlob</BlobType>"
            "<AccessTier>Hot</AccessTier><AccessTierInferred>true</AccessTierInferred>"
            "<LeaseStatus>unlocked</LeaseStatus><LeaseState>available</LeaseState>"
            "<ServerEncrypted>true</ServerEncrypted></Properties>"
            f"<Metadata>{pairs}</Metadata><OrMetadata /></Blob>"
        )


def _refused(status: int, code: str) -> bytes:
    return _response(status, code, extra=f"x-ms-error-code: {code}\r\n")


def _response(status: int, reason: str, body: bytes = b"", extra: str = "") -> bytes:
    return _head(status, reason, len(body), extra) + body


def _head(status: int, reason: str, length: int, extra: str) -> bytes:
    return f"HTTP/1.1 {status} {reason}\r\nContent-Length: {length}\r\n{_COMMON}{extra}\r\n".encode()
