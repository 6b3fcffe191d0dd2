"""What a run saved and what it did not: one sorted list of entries, in parts, with an index.

`manifests/<run>/index.json` in the container `backup-catalog` is the head: root, options, times, totals, and
the parts in order, each with its first path. A part has one line an entry, sorted by path, so that the parts
in order are sorted too. `docs/manifest.schema.json` describes both. A manifest is there once its index is.

Runs of versions before 0.2 left another format, 1: one blob `<run>/manifest.ndjson` in `backup-runs`.
`records.format1` reads it.
"""

import json
from bisect import bisect_right
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any

import msgspec

from sitebackup.blobs.container import ABSENT, Condition, Container, Properties
from sitebackup.digests import md5
from sitebackup.errors import BlobMissingError, ConditionNotMetError, FatalError
from sitebackup.records.entries import Entry, entry_of
from sitebackup.records.lines import read_lines
from sitebackup.records.run_blobs import index_name, part_name
from sitebackup.tally import NAMED, Tally
from sitebackup.tree.keys import Range

FORMAT = 2
"""Version of the manifest's format."""

_SEAL = {"sealed": "true"}
"""The metadata of an index that is not written any more."""

_LINE = 64 * 1024
"""Bytes that the line of an entry hardly ever exceeds: it has a path and a blob's name, both escaped."""


class Part(msgspec.Struct, frozen=True):
    """A part of a manifest: its `name`, and of its entries the first path, the count, the bytes."""

    name: str
    first: str
    entries: int
    bytes: int


class Index(msgspec.Struct, frozen=True):
    """The head of a manifest. `options` and `totals` are JSON objects, times are RFC 3339.

    `gave_up`: why the run did not reach everything, if it did not.
    """

    format: int
    run: str
    root: str
    options: dict[str, Any]
    started: str
    finished: str
    totals: dict[str, int]
    parts: tuple[Part, ...]
    gave_up: str | None = None

    @property
    def entries(self) -> int:
        """How many entries the manifest has."""
        return sum(part.entries for part in self.parts)


@dataclass(slots=True)
class Summary:
    """What a manifest, or a part of it, adds up to, and its first failures in words."""

    tally: Tally = field(default_factory=Tally)
    named: list[str] = field(default_factory=list[str])

    def add(self, entry: Entry, tally: Tally) -> None:
        """Count an entry, and name it if it failed and not too many have."""
        self.tally += tally
        if entry.outcome == "failed" and len(self.named) < NAMED:
            self.named.append(f"{entry.path or '.'}: {entry.reason}")

    @classmethod
    def of(cls, parts: Iterable["Summary"]) -> "Summary":
        """Return what `parts` add up to."""
        each = list(parts)
        named = chain.from_iterable(part.named for part in each)
        return cls(Tally.of(part.tally for part in each), list(islice(named, NAMED)))


async def write_index(catalog: Container, index: Index, *, again: bool = False) -> None:
    """Make a manifest readable: all of its parts are written.

    An index that is there stays: another attempt wrote it. `again`: it is replaced, unless it is sealed.
    """
    there = await catalog.find(index_name(index.run)) if again else None
    if there is not None and _SEAL.items() <= (there.metadata or {}).items():
        return
    data = json.dumps(msgspec.to_builtins(index), indent=1).encode()
    condition = ABSENT if there is None else Condition(there.etag)
    with suppress(ConditionNotMetError):
        await catalog.put(index_name(index.run), data, Properties(md5(data), "application/json"), condition)


async def seal_index(catalog: Container, run: str) -> Index:
    """Return the index of a run's manifest, which nobody writes any more from now on.

    So what the index does not name can be deleted: no attempt that comes late can put it into the index.
    Raises as `read_index`, and `ConditionNotMetError` if such an attempt has written just now.
    """
    there = await catalog.find(index_name(run))
    if there is not None and not _SEAL.items() <= (there.metadata or {}).items():
        await catalog.set_metadata(there.name, _SEAL, Condition(there.etag))
    return await read_index(catalog, run)


async def read_index(catalog: Container, run: str) -> Index:
    """Return the index of a run's manifest.

    Raises `BlobMissingError` if there is none, and `FatalError` if this version of the app cannot read it.
    """
    data = json.loads(await catalog.get(index_name(run)))
    check_format(data, run, FORMAT)
    return msgspec.convert(data, Index)


def check_format(head: dict[str, Any], run: str, known: int) -> None:
    """Raise `FatalError` unless the head of a manifest says that it has the `known` format."""
    if head["format"] != known:
        raise FatalError(
            f"The manifest of run '{run}' has format {head['format']}. This version of the app reads 1 and"
            f" {FORMAT}."
        )


async def read_range(
    catalog: Container, index: Index, wanted: Range, missing: list[Part]
) -> AsyncIterator[tuple[bytes, Entry]]:
    """Yield the entries whose path is in a range, in order, each with its line.

    A chunk of a part is in memory at a time. A part that is not there is passed over, and added to `missing`.
    """
    firsts = [part.first for part in index.parts]
    for part in index.parts[max(0, bisect_right(firsts, wanted.begin) - 1) :]:
        if wanted.end is not None and part.first >= wanted.end:
            return
        try:
            async for line in read_lines(catalog, part_name(index.run, part.name)):
                entry = entry_of(line)
                if wanted.end is not None and entry.path >= wanted.end:
                    return
                if entry.path >= wanted.begin:
                    yield line, entry
        except BlobMissingError:
            missing.append(part)


async def first_path(catalog: Container, run: str, part: str) -> str:
    """Return the path of the first entry of a part. Raises `FatalError` if it has none."""
    size = _LINE
    while b"\n" not in (data := await catalog.get(part_name(run, part), 0, size)):
        if len(data) < size:
            raise FatalError(f"A part of the manifest of run '{run}' is empty.")
        size *= 4
    return entry_of(data[: data.index(b"\n")]).path


def ranges(index: Index, size: int) -> Sequence[Range]:
    """Cut all keys where parts of the manifest begin: ranges of `size` entries at most, or of one part."""
    begins: list[str] = []
    entries = size
    for part in index.parts:
        if entries + part.entries > size:
            begins.append(part.first)
            entries = 0
        entries += part.entries
    begins[:1] = [""]
    return [Range(begin, end) for begin, end in zip(begins, [*begins[1:], None], strict=True)]
