"""NDJSON blobs of any length, written and read in flat memory."""

import json
import uuid
from collections.abc import AsyncIterator, Iterable
from typing import Any

from sitebackup.blobs.container import Container, Properties
from sitebackup.digests import md5

_STAGE_AT = 1024 * 1024
"""Bytes that are collected before they are uploaded as a block.

A worker has 16 listings at once, each with a draft, and these bytes are in memory several times while they
are sent. With 4 MiB the listings of a large tree took 253 MiB over idle, with 1 MiB they take 108."""

_CHUNK = 1024 * 1024
"""Bytes that are read at once."""

_LINE = 4 * 1024
"""Bytes that are read beyond the end of a range, for the rest of its last line."""


class LineWriter:
    """Writes one blob: in one request while it is small, in blocks as it grows.

    `size` is the length in bytes of what was added. Block IDs are the writer's own, so that of two writers of
    one name at the same time, one wins whole.
    """

    def __init__(self, container: Container, name: str) -> None:
        self._container = container
        self._name = name
        self._buffer = bytearray()
        self._attempt = uuid.uuid4().hex
        self._blocks: list[str] = []
        self.size = 0

    async def add(self, lines: bytes) -> None:
        """Append whole lines."""
        self._buffer += lines
        self.size += len(lines)
        if len(self._buffer) >= _STAGE_AT:
            await self._stage(bytes(self._buffer))
            self._buffer.clear()

    async def close(self, head: bytes = b"") -> None:
        """Make the blob readable, with `head` before everything that was added.

        The head is known last and wanted first; the order in which blocks are committed is free.
        """
        if not self._blocks:
            data = head + self._buffer
            await self._container.put(self._name, data, Properties(md5(data)))
            return
        if self._buffer:
            await self._stage(bytes(self._buffer))
        order = list(self._blocks)
        if head:
            await self._stage(head)
            order.insert(0, self._blocks[-1])
        await self._container.commit(self._name, order, Properties())

    async def _stage(self, data: bytes) -> None:
        block_id = f"{self._attempt}-{len(self._blocks):05d}"
        await self._container.stage(self._name, block_id, data, md5(data))
        self._blocks.append(block_id)


def ndjson(rows: Iterable[Any]) -> bytes:
    """Return `rows` as lines."""
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


async def read_lines(
    container: Container, name: str, begin: int = 0, end: int | None = None
) -> AsyncIterator[bytes]:
    """Yield the lines that begin in a range of a blob, in bytes; a chunk is in memory at a time.

    Ranges that cover a blob without overlapping thus yield each of its lines once.
    """
    position = max(begin - 1, 0)  # the byte before tells whether a line begins at `begin`
    rest = b""
    skip = begin > 0
    while True:
        size = _CHUNK if end is None else min(_CHUNK, max(end - position, 0) + _LINE)
        chunk = await container.get(name, position, size)
        lines = (rest + chunk).split(b"\n")
        start = position - len(rest)
        rest = lines.pop()
        for line in lines:
            if skip:
                skip = False
            elif end is not None and start >= end:
                return
            else:
                yield line
            start += len(line) + 1
        position += len(chunk)
        if len(chunk) < size:
            return
