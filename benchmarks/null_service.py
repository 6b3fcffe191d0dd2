"""A blob service that answers at once and forgets: what is left of a backup when storage costs nothing.

Run it as a process of its own: `python -m benchmarks.null_service [--delay-ms N]`. It prints its port. It
knows the requests that the app makes, Put Blob, Put Block, Put Block List, Copy Blob, Set Blob Metadata,
Delete Blob, Get Blob, Get Blob Properties, List Blobs and Create Container, with their conditions on ETags,
and Delete Container. It checks none of their credentials.

    socket -> _Connection (HTTP/1.1, one request at a time) -> Blobs -> answer, after the delay

One `asyncio.Protocol` a connection and no HTTP library: the server must never be what is measured.
"""

import argparse
import asyncio
from urllib.parse import parse_qs, unquote, urlsplit

from benchmarks.null_blobs import KEPT, Blobs, Request
from benchmarks.saved_tree import SavedTree


class _Connection(asyncio.Protocol):
    """HTTP/1.1 with persistent connections, as much of it as the storage client speaks."""

    def __init__(self, blobs: Blobs, delay: float) -> None:
        self._blobs = blobs
        self._delay = delay
        self._buffer = bytearray()
        self._head: tuple[str, str, dict[str, str]] | None = None
        self._size = 0
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
        self._size = self._to_come = int(headers.get("content-length", 0))
        container = target.split("/", 3)[2].partition("?")[0]
        self._forget = container not in KEPT and "comp=blocklist" not in target

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
            self._size,
        )
        self._head = None
        self._buffer.clear()
        answer = self._blobs.answer(request)
        if self._delay:
            asyncio.get_running_loop().call_later(self._delay, self._transport.write, answer)
        else:
            self._transport.write(answer)


async def serve(delay: float, saved: SavedTree | None) -> None:
    """Serve on a free port of loopback, each answer `delay` seconds late, until the process is ended.

    The blobs of a `saved` tree are there from the beginning.
    """
    loop = asyncio.get_running_loop()
    blobs = Blobs(saved)
    server = await loop.create_server(lambda: _Connection(blobs, delay), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)  # noqa: T201 - how the port becomes known
    await server.serve_forever()


def main() -> None:
    """Run the service from the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.null_service")
    parser.add_argument("--delay-ms", type=float, default=0, help="milliseconds that each answer is late")
    parser.add_argument("--saved", type=SavedTree.from_argument, help="a tree that is saved already")
    arguments = parser.parse_args()
    asyncio.run(serve(arguments.delay_ms / 1000, arguments.saved))


if __name__ == "__main__":
    main()
