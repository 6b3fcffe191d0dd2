"""How far a comparison of a manifest with the container is: what one step leaves to the next one.

A head line, then the entries that wait for their blob, then the blobs that wait for their entry. Each attempt
at a step leaves a blob of its own, and the comparison goes on from the one whose answer counts.
"""

import uuid
from collections.abc import Collection
from dataclasses import dataclass
from itertools import batched, chain

import msgspec

from sitebackup.blobs.container import Blob, Container
from sitebackup.records.entries import Entry, entry_of, from_line, to_line, to_lines
from sitebackup.records.lines import LineWriter
from sitebackup.records.run_blobs import comparison_name


class Position(msgspec.Struct, frozen=True):
    """Where the next step begins.

    In the listing: its `marker`, None at its end, and the `last` name before it. In the manifest: the number
    of a `part` and an `offset` in bytes in it. `dropped` and `found`: counts of blobs that nobody remembers.
    """

    marker: str | None = ""
    last: str = ""
    part: int = 0
    offset: int = 0
    dropped: int = 0
    found: int = 0


_BEGIN = Position()


class _Head(msgspec.Struct):
    position: Position
    entries: int


class _Blob(msgspec.Struct):
    """A blob without its ETag, which comparing does not need."""

    name: str
    size: int
    md5: str | None


@dataclass(frozen=True, slots=True)
class State:
    """What one step leaves: a position, and what waits."""

    position: Position = _BEGIN
    entries: Collection[Entry] = ()
    blobs: Collection[Blob] = ()


async def write_state(runs: Container, run: str, state: State) -> str:
    """Leave what a comparison has come to; return the name that `read_state` takes."""
    name = uuid.uuid4().hex
    writer = LineWriter(runs, comparison_name(run, name))
    listed = (_Blob(blob.name, blob.size, blob.md5.hex() if blob.md5 else None) for blob in state.blobs)
    for rows in batched(chain[msgspec.Struct](state.entries, listed), 1_000, strict=False):
        await writer.add(to_lines(rows))
    await writer.close(head=to_line(_Head(state.position, len(state.entries))))
    return name


async def read_state(runs: Container, run: str, name: str) -> State:
    """Return what a step has left. Raises `BlobMissingError` if it is not there."""
    first, *lines = (await runs.get(comparison_name(run, name))).splitlines()
    head = from_line(first, _Head)
    rows = (from_line(line, _Blob) for line in lines[head.entries :])
    blobs = [Blob(row.name, row.size, bytes.fromhex(row.md5) if row.md5 else None, "") for row in rows]
    return State(head.position, list(map(entry_of, lines[: head.entries])), blobs)
