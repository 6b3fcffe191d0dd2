"""A blob service that answers at once and forgets: what is left of a backup when storage costs nothing.

Run it as a process of its own: `python -m benchmarks.null_service [--delay-ms N]`. It prints its port, and
ends when its standard input does, so that it cannot outlive whoever started it. Only what the containers in
`KEPT` are sent is remembered, because a backup reads its own plans back. It knows the requests that the app
makes, Put Blob, Put Block, Put Block List, Get Blob, List Blobs and Create Container, and checks none of
their credentials.

    socket -> _Connection (HTTP/1.1, one request at a time) -> Blobs -> answer, after the delay

One `asyncio.Protocol` a connection and no HTTP library: the server must never be what is measured.
"""

import argparse
import asyncio
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

KEPT = frozenset({"backup-runs"})
"""Containers whose blobs are kept."""

_BLOCK_ID = re.compile(rb"<Latest>([^<]+)</Latest>")
_RANGE = re.compile(r"bytes=(\d+)-(\d*)")

# Headers of every answer: the client looks for no others.
_COMMON = (
    'ETag: "0x1"\r\nLast-Modified: Thu, 01 Jan 2026 00:00:00 GMT\r\nx-ms-request-id: null\r\n'
    "x-ms-version: 2025-11-05\r\n"
)


@dataclass(frozen=True, slots=True)
class Request:
    """One request, its body already read; `body` is empty where the service forgets it anyway."""

    method: str
    container: str
    blob: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    body: bytes

    @property
    def comp(self) -> str:
        """The operation's `comp` parameter; empty for a whole blob or a container."""
        return self.query.get("comp", [""])[0]


class Blobs:
    """The blobs and uncommitted blocks of the kept containers, and what each request gets for an answer."""

    def __init__(self) -> None:
        self._blobs: dict[tuple[str, str], tuple[bytes, dict[str, str]]] = {}
        self._blocks: dict[tuple[str, str, str], bytes] = {}

    def answer(self, request: Request) -> bytes:
        """Carry `request` out."""
        if request.method == "PUT":
            if request.container in KEPT:
                self._keep(request)
            return _response(201, "Created")
        if request.comp == "list":
            return self._listing(request)
        return self._range(request)

    def _keep(self, request: Request) -> None:
        key = (request.container, request.blob)
        metadata = {
            name.removeprefix("x-ms-meta-"): value
            for name, value in request.headers.items()
            if name.startswith("x-ms-meta-")
        }
        match request.comp:
            case "block":
                self._blocks[*key, request.query["blockid"][0]] = request.body
            case "blocklist":
                ids = [block_id.decode() for block_id in _BLOCK_ID.findall(request.body)]
                self._blobs[key] = (b"".join(self._blocks.pop((*key, one)) for one in ids), metadata)
            case _ if request.blob:
                self._blobs[key] = (request.body, metadata)
            case _:
                pass  # a container is there as soon as it is named

    def _range(self, request: Request) -> bytes:
        blob = self._blobs.get((request.container, request.blob))
        if blob is None:
            return _response(404, "Not Found", extra="x-ms-error-code: BlobNotFound\r\n")
        content, _ = blob
        span = _RANGE.match(request.headers.get("x-ms-range", ""))
        first = int(span[1]) if span else 0
        last = min(int(span[2]) if span and span[2] else len(content), len(content) - 1)
        return _response(
            206,
            "Partial Content",
            content[first : last + 1],
            f"x-ms-blob-type: BlockBlob\r\nContent-Range: bytes {first}-{last}/{len(content)}\r\n",
        )

    def _listing(self, request: Request) -> bytes:
        prefix = request.query.get("prefix", [""])[0]
        rows = "".join(
            f"<Blob><Name>{escape(name)}</Name><Properties><Content-Length>{len(content)}</Content-Length>"
            "</Properties><Metadata>"
            + "".join(f"<{key}>{escape(value)}</{key}>" for key, value in metadata.items())
            + "</Metadata></Blob>"
            for (container, name), (content, metadata) in sorted(self._blobs.items())
            if container == request.container and name.startswith(prefix)
        )
        document = (
            f'<?xml version="1.0" encoding="utf-8"?><EnumerationResults><Blobs>{rows}</Blobs><NextMarker />'
            "</EnumerationResults>"
        )
        return _response(200, "OK", document.encode(), "Content-Type: application/xml\r\n")


def _response(status: int, reason: str, body: bytes = b"", extra: str = "") -> bytes:
    head = f"HTTP/1.1 {status} {reason}\r\nContent-Length: {len(body)}\r\n{_COMMON}{extra}\r\n"
    return head.encode() + body


class _Connection(asyncio.Protocol):
    """HTTP/1.1 with persistent connections, as much of it as the storage client speaks."""

    def __init__(self, blobs: Blobs, delay: float) -> None:
        self._blobs = blobs
        self._delay = delay
        self._buffer = bytearray()
        self._head: tuple[str, str, dict[str, str]] | None = None
        self._to_come = 0
        self._forget = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - what a TCP server always gets
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if self._head is None:
            self._buffer += data
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            self._begin(self._buffer[:end].decode())
            del self._buffer[: end + 4]
            data = bytes(self._buffer)
            self._buffer.clear()
        self._to_come -= len(data)
        if not self._forget:
            self._buffer += data
        if self._to_come <= 0:
            self._answer()

    def _begin(self, head: str) -> None:
        first, *lines = head.split("\r\n")
        method, target, _ = first.split(" ", 2)
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        self._head = method, target, headers
        self._to_come = int(headers.get("content-length", 0))
        self._forget = target.split("/", 3)[2].partition("?")[0] not in KEPT

    def _answer(self) -> None:
        assert self._head is not None  # noqa: S101 - set by the request's first bytes
        method, target, headers = self._head
        url = urlsplit(target)
        _, _, container, *blob = url.path.split("/", 3)
        request = Request(
            method,
            container,
            unquote("".join(blob)),
            parse_qs(url.query) if url.query else {},
            headers,
            bytes(self._buffer),
        )
        self._head = None
        self._buffer.clear()
        answer = self._blobs.answer(request)
        if self._delay:
            asyncio.get_running_loop().call_later(self._delay, self._transport.write, answer)
        else:
            self._transport.write(answer)


async def serve(delay: float) -> None:
    """Serve on a free port of loopback, each answer `delay` seconds late, until standard input ends."""
    loop = asyncio.get_running_loop()
    blobs = Blobs()
    server = await loop.create_server(lambda: _Connection(blobs, delay), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)  # noqa: T201 - how the port becomes known
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


def main() -> None:
    """Run the service from the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.null_service")
    parser.add_argument("--delay-ms", type=float, default=0, help="milliseconds that each answer is late")
    asyncio.run(serve(parser.parse_args().delay_ms / 1000))


if __name__ == "__main__":
    main()
