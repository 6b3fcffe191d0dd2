"""What a run keeps in the container `backup-runs`: plans, directories left to list, outcomes.

This is the claim check: names and outcomes of files stay out of the orchestration's history, which passes
references and counts. Everything is below `<run>/`, the orchestration's instance ID.

    <run>/plans/<plan>.ndjson           one line a file, grouped into copy tasks; the first line is the index
    <run>/plans/<plan>.left-<n>.ndjson  one line a directory that the listing did not enter
    <run>/outcomes/<plan>-<task>.ndjson one line a file; the blob's metadata counts the failures in it

A plan's ID is its listing attempt's own. Listing a tree twice need not give the same answer, so two attempts
at one listing must not write into one plan; the orchestration goes on with the plan that was returned to it.
"""

import hashlib
import json
import uuid
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from async_lru import alru_cache

from sitebackup import blobname
from sitebackup.filetree import File
from sitebackup.storage import Container, Properties

_STAGE_AT = 4 * 1024 * 1024
"""Bytes of a plan that are collected before they are uploaded as a block."""

_HEAD = 256 * 1024
"""Bytes of a plan that are read, and kept, at once: all of a small plan, the index of a large one."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How it went with one file or directory: `outcome` is copied, skipped, vanished or failed.

    `path` is relative to the root; `reason` says why it was not copied; `md5` is in hexadecimal.
    """

    path: str
    outcome: str
    size: int = 0
    reason: str | None = None
    md5: str | None = None


@dataclass(frozen=True, slots=True)
class _Head:
    """The beginning of a plan: its index, and where the lines of the files begin."""

    root: str
    tasks: list[tuple[int, int]]  # offset from `start` and length, in bytes
    start: int
    data: bytes


class RunStore:
    """The blobs of all runs; one a process, since it remembers the plans that its copy tasks share."""

    def __init__(self, container: Container) -> None:
        self._container = container
        self._head = alru_cache(maxsize=16)(self._read_head)

    def new_plan(self, run: str, root: str) -> "PlanWriter":
        """Begin the plan of one listing of the tree at the absolute path `root`."""
        return PlanWriter(self._container, _folder(run), root)

    async def read_task(self, run: str, plan: str, task: int) -> tuple[str, list[File]]:
        """Return the root and the files of a copy task."""
        name = _plan_name(_folder(run), plan)
        head = await self._head(name)
        offset, length = head.tasks[task]
        begin = head.start + offset
        lines = head.data[begin : begin + length]
        if len(lines) < length:
            lines = await self._container.get(name, begin, length)
        return head.root, [File(**json.loads(line)) for line in lines.splitlines()]

    async def read_left(self, run: str, plan: str, part: int) -> list[str]:
        """Return the directories, relative to the root, of one part of what a listing left."""
        data = await self._container.get(_left_name(_folder(run), plan, part))
        return [json.loads(line) for line in data.splitlines()]

    async def write_outcomes(self, run: str, plan: str, task: int | str, outcomes: Sequence[Outcome]) -> None:
        """Record the outcomes of a copy task, or of the listing itself (`task` "listing")."""
        failed = sum(outcome.outcome == "failed" for outcome in outcomes)
        lines = (
            {key: value for key, value in asdict(outcome).items() if value is not None}
            for outcome in outcomes
        )
        await _put(
            self._container, f"{_folder(run)}/outcomes/{plan}-{task}.ndjson", _ndjson(lines), failed=failed
        )

    async def failures(self, run: str, plans: Iterable[str]) -> AsyncIterator[Outcome]:
        """Yield the failed outcomes of `plans`, reading no more blobs than it is asked for."""
        prefix = f"{_folder(run)}/outcomes/"
        current = set(plans)
        async for blob in self._container.list(prefix):
            plan = blob.name.removeprefix(prefix).partition("-")[0]
            if plan in current and int(blob.metadata["failed"]):
                for line in (await self._container.get(blob.name)).splitlines():
                    outcome = Outcome(**json.loads(line))
                    if outcome.outcome == "failed":
                        yield outcome

    async def _read_head(self, name: str) -> _Head:
        size = _HEAD
        while b"\n" not in (data := await self._container.get(name, 0, size)):
            size *= 4
        start = data.index(b"\n") + 1
        index = json.loads(data[:start])
        return _Head(index["root"], index["tasks"], start, data)


@dataclass(slots=True)
class PlanWriter:
    """Writes one plan: whole when it is small, in blocks as it grows, so that memory stays flat."""

    container: Container
    folder: str
    root: str
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    tasks: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])
    _buffer: bytearray = field(default_factory=bytearray)
    _staged: int = 0
    _blocks: list[str] = field(default_factory=list[str])

    async def add(self, tasks: Iterable[Sequence[File]]) -> None:
        """Append copy tasks."""
        for task in tasks:
            lines = _ndjson({"path": file.path, "size": file.size} for file in task)
            self.tasks.append((self._staged + len(self._buffer), len(lines)))
            self._buffer += lines
            if len(self._buffer) >= _STAGE_AT:
                await self._stage(bytes(self._buffer))
                self._staged += len(self._buffer)
                self._buffer.clear()

    async def close(self, left: Sequence[Sequence[str]]) -> None:
        """Make the plan readable, and store the directories `left` to list, in parts."""
        for part, directories in enumerate(left):
            await _put(self.container, _left_name(self.folder, self.id, part), _ndjson(directories))
        index = _ndjson([{"root": self.root, "tasks": self.tasks}])
        if not self._blocks:
            await _put(self.container, self._name, index + self._buffer)
            return
        if self._buffer:
            await self._stage(bytes(self._buffer))
        await self._stage(index)  # known last, needed first: the order of a commit is free
        await self.container.commit(self._name, [self._blocks[-1], *self._blocks[:-1]], Properties())

    @property
    def _name(self) -> str:
        return _plan_name(self.folder, self.id)

    async def _stage(self, data: bytes) -> None:
        block_id = f"{len(self._blocks):05d}"
        await self.container.stage(self._name, block_id, data, _md5(data))
        self._blocks.append(block_id)


def _folder(run: str) -> str:
    return blobname.encode(run)


def _plan_name(folder: str, plan: str) -> str:
    return f"{folder}/plans/{plan}.ndjson"


def _left_name(folder: str, plan: str, part: int) -> str:
    return f"{folder}/plans/{plan}.left-{part}.ndjson"


def _ndjson(rows: Iterable[Any]) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def _md5(data: bytes) -> bytes:
    return hashlib.md5(data, usedforsecurity=False).digest()


async def _put(container: Container, name: str, data: bytes, **counts: int) -> None:
    metadata = {key: str(value) for key, value in counts.items()}
    await container.put(name, data, Properties(_md5(data), metadata))
