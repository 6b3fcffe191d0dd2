"""Plans: what a listing found to copy, in batches, and what it left to list, in portions."""

import json
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from async_lru import alru_cache

from sitebackup.blobs.container import Container, Properties
from sitebackup.digests import md5
from sitebackup.records.lines import LineWriter, ndjson
from sitebackup.records.run_blobs import plan_name, portion_name
from sitebackup.tree.place import Place
from sitebackup.tree.walking import Item

_HEAD = 256 * 1024
"""Bytes of a plan that are read, and kept, at once: all of a small plan, the index of a large one."""


@dataclass(frozen=True, slots=True)
class _Head:
    """The beginning of a plan: its index, and where the lines of the items begin."""

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
        """Begin the plan of one listing of the tree at `place`."""
        return PlanWriter(self._container, run, place)

    async def read_batch(self, run: str, plan: str, batch: int) -> tuple[Place, list[Item]]:
        """Return where the tree is, and the items of a batch."""
        name = plan_name(run, plan)
        head = await self._head(name)
        offset, length = head.batches[batch]
        begin = head.start + offset
        lines = head.data[begin : begin + length]
        if len(lines) < length:
            lines = await self._container.get(name, begin, length)
        return head.place, [Item(*json.loads(line)) for line in lines.splitlines()]

    async def read_portion(self, run: str, plan: str, number: int) -> tuple[Place, list[str]]:
        """Return where the tree is, and the directories of a portion."""
        data = await self._container.get(portion_name(run, plan, number))
        head, *directories = (json.loads(line) for line in data.splitlines())
        return Place(*head), directories

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
        self._container = container
        self._run = run
        self._place: tuple[Any, ...] = (place.root, place.real, place.marker)
        self._lines = LineWriter(container, plan_name(run, self.id))

    async def add(self, batches: Iterable[Sequence[Item]]) -> None:
        """Append batches."""
        for batch in batches:
            lines = ndjson((item.path, item.kind, item.size) for item in batch)
            self.batches.append((self._lines.size, len(lines)))
            await self._lines.add(lines)

    async def close(self, portions: Sequence[Sequence[str]]) -> None:
        """Make the plan readable, and store the directories that are left to list."""
        for number, directories in enumerate(portions):
            data = ndjson([self._place, *directories])
            name = portion_name(self._run, self.id, number)
            await self._container.put(name, data, Properties(md5(data)))
        await self._lines.close(head=ndjson([{"place": self._place, "batches": self.batches}]))
