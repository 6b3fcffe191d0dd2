"""What a run keeps in the container `backup-runs`: plans, directories left to list, outcomes.

This is the claim check: names and outcomes stay out of the orchestration's history, which passes references
and counts. Everything is below `<run>/`, the orchestration's instance ID.

    <run>/plans/<plan>.ndjson           one line an item, grouped into copy tasks; the first line is the index
    <run>/plans/<plan>.left-<n>.ndjson  where the tree is; one line a directory that the listing did not enter
    <run>/outcomes/<plan>-<task>.ndjson one line an item of a copy task, sorted by path
    <run>/manifest.ndjson               what the run saved and what it did not, `sitebackup.manifest`

A plan's ID is its listing attempt's own. Listing a tree twice need not give the same answer, so two attempts
at one listing must not write into one plan; the orchestration goes on with the plan that was returned to it.
"""

import json
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from async_lru import alru_cache

from sitebackup.blobs import blobname
from sitebackup.blobs.container import Container, Properties
from sitebackup.digests import md5
from sitebackup.records.lines import LineWriter, ndjson
from sitebackup.records.outcomes import Outcome
from sitebackup.tree.place import Place
from sitebackup.tree.walking import Item

_HEAD = 256 * 1024
"""Bytes of a plan that are read, and kept, at once: all of a small plan, the index of a large one."""

LISTING = "listing"
"""In place of a task's number: the outcomes that the listing itself found."""


@dataclass(frozen=True, slots=True)
class _Head:
    """The beginning of a plan: its index, and where the lines of the items begin."""

    place: Place
    tasks: list[tuple[int, int]]  # offset from `start` and length, in bytes
    start: int
    data: bytes


class RunStore:
    """The blobs of all runs; one a process, since it remembers the plans that its copy tasks share."""

    def __init__(self, container: Container) -> None:
        self.container = container
        self._head = alru_cache(maxsize=16)(self._read_head)

    def new_plan(self, run: str, place: Place) -> "PlanWriter":
        """Begin the plan of one listing of the tree at `place`."""
        return PlanWriter(self.container, run, place)

    async def read_task(self, run: str, plan: str, task: int) -> tuple[Place, list[Item]]:
        """Return where the tree is, and the items of a copy task."""
        name = _plan_name(run, plan)
        head = await self._head(name)
        offset, length = head.tasks[task]
        begin = head.start + offset
        lines = head.data[begin : begin + length]
        if len(lines) < length:
            lines = await self.container.get(name, begin, length)
        return head.place, [Item(*json.loads(line)) for line in lines.splitlines()]

    async def read_left(self, run: str, plan: str, part: int) -> tuple[Place, list[str]]:
        """Return where the tree is, and the directories of one part of what a listing left."""
        data = await self.container.get(_left_name(run, plan, part))
        head, *directories = (json.loads(line) for line in data.splitlines())
        return Place(*head), directories

    async def write_outcomes(self, run: str, plan: str, task: int | str, outcomes: Iterable[Outcome]) -> None:
        """Record the outcomes of a copy task, or of the listing itself (`LISTING`)."""
        ordered = sorted(outcomes, key=lambda outcome: outcome.path)
        await self._put(outcomes_name(run, plan, task), ndjson(outcome.to_json() for outcome in ordered))

    async def _put(self, name: str, data: bytes) -> None:
        await self.container.put(name, data, Properties(md5(data)))

    async def _read_head(self, name: str) -> _Head:
        size = _HEAD
        while b"\n" not in (data := await self.container.get(name, 0, size)):
            size *= 4
        start = data.index(b"\n") + 1
        index = json.loads(data[:start])
        return _Head(Place(index["root"], index["real"]), index["tasks"], start, data)


class PlanWriter:
    """Writes one plan. `tasks`: the place of each copy task in it, offset and length in bytes."""

    def __init__(self, container: Container, run: str, place: Place) -> None:
        self.id = uuid.uuid4().hex
        self.tasks: list[tuple[int, int]] = []
        self._container = container
        self._run = run
        self._place = place
        self._lines = LineWriter(container, _plan_name(run, self.id))

    async def add(self, tasks: Iterable[Sequence[Item]]) -> None:
        """Append copy tasks."""
        for task in tasks:
            lines = ndjson((item.path, item.kind, item.size) for item in task)
            self.tasks.append((self._lines.size, len(lines)))
            await self._lines.add(lines)

    async def close(self, left: Sequence[Sequence[str]]) -> None:
        """Make the plan readable, and store the directories `left` to list, in parts."""
        for part, directories in enumerate(left):
            data = ndjson([(self._place.root, self._place.real), *directories])
            name = _left_name(self._run, self.id, part)
            await self._container.put(name, data, Properties(md5(data)))
        index = {"root": self._place.root, "real": self._place.real, "tasks": self.tasks}
        await self._lines.close(head=ndjson([index]))


def outcomes_name(run: str, plan: str, task: int | str) -> str:
    """Return the blob of a copy task's outcomes."""
    return f"{folder(run)}/outcomes/{plan}-{task}.ndjson"


def manifest_name(run: str) -> str:
    """Return the blob of a run's manifest."""
    return f"{folder(run)}/manifest.ndjson"


def folder(run: str) -> str:
    """Return the prefix, without a slash, of all blobs of a run; an instance ID may have any characters."""
    return blobname.encode(run)


def _plan_name(run: str, plan: str) -> str:
    return f"{folder(run)}/plans/{plan}.ndjson"


def _left_name(run: str, plan: str, part: int) -> str:
    return f"{folder(run)}/plans/{plan}.left-{part}.ndjson"
