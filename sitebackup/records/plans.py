"""Plans: what a listing found to do, in batches, and what it left to list, in portions.

A plan is one range of the tree, without holes. What is unchanged in it is in its draft (`records.manifest`).
"""

import json
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from async_lru import alru_cache

from sitebackup.blobs.container import Container, Properties
from sitebackup.digests import md5
from sitebackup.records.entries import Entry, from_line, to_lines
from sitebackup.records.lines import LineWriter, ndjson
from sitebackup.records.run_blobs import plan_name, portions_name
from sitebackup.tree.entries import Kind
from sitebackup.tree.keys import Range
from sitebackup.tree.place import Place

_HEAD = 256 * 1024
"""Bytes of a plan that are read, and kept, at once: all of a small plan, the index of a large one."""


class Task(msgspec.Struct, frozen=True, omit_defaults=True):
    """Something to do: save what is at a `path`, or, if it is `gone`, remove its blob.

    `path`: an entry's, so a directory's ends with a slash. `size`: in bytes when it was listed. `base`: its
    entry in the manifest of the run before, if it has one there.
    """

    path: str
    kind: Kind
    size: int = 0
    base: Entry | None = None
    gone: bool = False


@dataclass(frozen=True, slots=True)
class _Head:
    """The beginning of a plan: its index, and where the lines of the tasks begin."""

    place: Place
    batches: list[tuple[int, int]]  # offset from `start` and length, in bytes
    start: int
    data: bytes


class PlanStore:
    """The plans of all runs; one a process, since it remembers the plans that its batches share."""

    def __init__(self, container: Container) -> None:
        self._container = container
        self._head = alru_cache(maxsize=16)(self._read_head)

    def new_plan(self, run: str, place: Place) -> "PlanWriter":
        """Begin the plan of one range of the tree at `place`."""
        return PlanWriter(self._container, run, place)

    async def read_batch(self, run: str, plan: str, batch: int) -> tuple[Place, list[Task]]:
        """Return where the tree is, and the tasks of a batch."""
        name = plan_name(run, plan)
        head = await self._head(name)
        offset, length = head.batches[batch]
        begin = head.start + offset
        lines = head.data[begin : begin + length]
        if len(lines) < length:
            lines = await self._container.get(name, begin, length)
        return head.place, [from_line(line, Task) for line in lines.splitlines()]

    async def write_portions(
        self, run: str, listing: str, place: Place, baseline: str | None, ranges: Iterable[Range]
    ) -> None:
        """Store the ranges that the `listing` with this ID left, and the run that is the baseline."""
        head = {"place": (place.root, place.real, place.marker), "baseline": baseline}
        data = ndjson([head, *((left.begin, left.end) for left in ranges)])
        await self._container.put(portions_name(run, listing), data, Properties(md5(data)))

    async def read_portion(self, run: str, listing: str, number: int) -> tuple[Place, str | None, Range]:
        """Return where the tree is, the run that is the baseline, and the range of one portion."""
        head, *ranges = (await self._container.get(portions_name(run, listing))).splitlines()
        about = json.loads(head)
        return Place(*about["place"]), about["baseline"], Range(*json.loads(ranges[number]))

    async def _read_head(self, name: str) -> _Head:
        size = _HEAD
        while b"\n" not in (data := await self._container.get(name, 0, size)):
            size *= 4
        start = data.index(b"\n") + 1
        index = json.loads(data[:start])
        return _Head(Place(*index["place"]), index["batches"], start, data)


class PlanWriter:
    """Writes one plan. `batches`: the place of each batch in it, offset and length in bytes."""

    def __init__(self, container: Container, run: str, place: Place) -> None:
        self.id = uuid.uuid4().hex
        self.batches: list[tuple[int, int]] = []
        self._place: tuple[Any, ...] = (place.root, place.real, place.marker)
        self._lines = LineWriter(container, plan_name(run, self.id))

    async def add(self, batches: Iterable[Sequence[Task]]) -> None:
        """Append batches."""
        for batch in batches:
            lines = to_lines(batch)
            self.batches.append((self._lines.size, len(lines)))
            await self._lines.add(lines)

    async def close(self) -> None:
        """Make the plan readable."""
        await self._lines.close(head=ndjson([{"place": self._place, "batches": self.batches}]))
