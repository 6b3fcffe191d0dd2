"""A manifest of 300,000 entries, written in parts and compared in steps: its size costs no memory."""

import asyncio
import json
import tracemalloc
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sitebackup.activities import comparing
from sitebackup.activities.manifest import write_manifest
from sitebackup.activities.verifying import verify_manifest
from sitebackup.blobs.container import Blob, Page, Properties
from sitebackup.engine.engine import Engine
from sitebackup.messages import Compared, CompareRequest, Findings, Plan, Written
from sitebackup.records.entries import Entry
from sitebackup.records.plans import Task
from sitebackup.settings import Settings
from sitebackup.tally import Tally
from tests.support.handmade import asked, new, put_outcomes, put_plan, saved
from tests.support.memory import MemoryContainer

PLAN = 10_000
"""Entries of a plan: half of them in its draft, half in outcomes of ten batches."""

BATCH = 500


class OnDisk(MemoryContainer):
    """A container whose blobs are files: what a test measures is the memory of the app."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder
        self._numbers: dict[str, int] = {}

    def _file(self, name: str) -> Path:
        return self._folder / str(self._numbers.setdefault(name, len(self._numbers)))

    async def put(self, name: str, data: bytes, properties: Properties, condition: Any = None) -> str:
        self._file(name).write_bytes(data)
        return '"1"'

    async def stage(self, name: str, block_id: str, data: bytes, md5: bytes) -> None:
        self._file(f"{name} {block_id}").write_bytes(data)

    async def commit(
        self, name: str, block_ids: Sequence[str], properties: Properties, condition: Any = None
    ) -> str:
        with self._file(name).open("wb") as file:
            for block_id in block_ids:
                file.write(self._file(f"{name} {block_id}").read_bytes())
        return '"1"'

    async def get(self, name: str, offset: int = 0, length: int | None = None) -> bytes:
        with self._file(name).open("rb") as file:
            file.seek(offset)
            return file.read(-1 if length is None else length)


class Numbered(MemoryContainer):
    """A container that lists as many blobs as it is told, without having them."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self._count = count
        self._any = Blob("", 1, bytes.fromhex(entry_of(0).md5 or ""), '"1"')

    async def page(self, prefix: str, marker: str = "", *, metadata: bool = False) -> Page:
        first = int(marker or 0)
        last = min(first + self.page_size, self._count)
        blobs = tuple(replace(self._any, name=entry_of(number).blob or "") for number in range(first, last))
        return Page(blobs, str(last) if last < self._count else "")


def entry_of(number: int) -> Entry:
    return saved(f"f{number:07d}", b"x", blob=f"site/f{number:07d}")


async def a_plan(engine: Engine, first: int) -> Plan:
    entries = [entry_of(number) for number in range(first, first + PLAN)]
    tasks = [Task(entry.path, "file", 1) for entry in entries[1::2]]
    batches = [tasks[begin : begin + BATCH] for begin in range(0, len(tasks), BATCH)]
    plan = await put_plan(engine, "run", entries[::2], batches)
    news = [new(entry) for entry in entries[1::2]]
    await put_outcomes(
        engine, "run", plan, *(news[begin : begin + BATCH] for begin in range(0, len(news), BATCH))
    )
    return plan


@asynccontextmanager
async def an_engine(folder: Path, count: int) -> AsyncGenerator[Engine]:
    for name in ("runs", "catalog"):
        (folder / name).mkdir(parents=True)
    runs, catalog = OnDisk(folder / "runs"), OnDisk(folder / "catalog")
    settings = Settings(("/site",), concurrency=8, list_budget=20_000)
    engine = Engine(settings, Numbered(count), runs, MemoryContainer(), catalog)
    try:
        yield engine
    finally:
        engine.close()


async def peak(folder: Path, count: int) -> int:
    """Write and compare a manifest of so many entries; return the memory that it took, in bytes."""
    async with an_engine(folder, count) as engine:
        plans = [await a_plan(engine, first) for first in range(0, count, PLAN)]
        tracemalloc.start()
        request = asked("run", plans, tally=Tally(files=count // 2)).to_json()
        written = Written.from_json(await write_manifest(request, engine))
        assert written.manifest
        steps = [await step(engine)]
        while not steps[-1].is_done:
            steps.append(await step(engine, steps[-1].state))
        assert len(steps) > 1
        assert sum((step.findings for step in steps), Findings()) == Findings(checked=count, bytes=count)
        used = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        index = json.loads(await engine.catalog.get("manifests/run/index.json"))
        assert index["totals"]["files"] == sum(part["entries"] for part in index["parts"]) == count
        return used


async def step(engine: Engine, after: str = "") -> Compared:
    return Compared.from_json(await verify_manifest(CompareRequest("v", "run", after).to_json(), engine))


@pytest.mark.timeout(300)
def test_memory_does_not_grow_with_the_manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparing, "_SECONDS", 0.3)
    assert asyncio.run(peak(tmp_path, 300_000)) < 48 * 1024 * 1024
