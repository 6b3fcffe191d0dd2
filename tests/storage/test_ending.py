"""The end of a run: its record, and what is deleted."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from sitebackup import __version__
from sitebackup.activities import ending
from sitebackup.activities.ending import end_run
from sitebackup.activities.manifest import write_manifest
from sitebackup.blobs.container import Properties
from sitebackup.digests import root_id
from sitebackup.engine.engine import Engine
from sitebackup.errors import BlobRefusedError
from sitebackup.messages import EndRequest
from sitebackup.records.catalogue import newest_manifest
from sitebackup.records.plans import Task
from sitebackup.tally import Tally
from tests.e2e.support.manifests import validate
from tests.storage.conftest import an_engine
from tests.support.handmade import ROOT, STARTED, asked, new, put_outcomes, put_plan, saved
from tests.support.memory import MemoryContainer

ENDED = "2026-01-02T03:04:09.000010Z"
RECORD = f"runs/{root_id(ROOT)}/20260102T030405000006Z_run.json"


def ended(run: str = "run", **more: Any) -> dict[str, Any]:
    about: dict[str, Any] = {"state": "completed", "tally": Tally(files=3), "has_manifest": True, **more}
    return EndRequest(run, ROOT, STARTED, ENDED, **about).to_json()


async def finish(engine: Engine, run: str = "run") -> None:
    """Leave scratch and a manifest: of a complete plan, and of one with a task."""
    plans = [
        await put_plan(engine, run, [saved("a")]),
        await put_plan(engine, run, [saved("b")], [[Task("c", "file")]]),
    ]
    await put_outcomes(engine, run, plans[1], [new(saved("c"))])
    for name in ("attempts/p-0.ndjson", "progress/process.json", "compare/1.ndjson", "plans/p.left.ndjson"):
        await engine.runs.put(f"{run}/{name}", b"", Properties())
    await write_manifest(asked(run, plans).to_json(), engine)


async def test_the_record_says_how_the_run_ended(engine: Engine, catalog: MemoryContainer) -> None:
    await finish(engine)
    await end_run(ended(state="partial", message="1 of 4 entries were not backed up"), engine)
    data, properties = catalog.blobs[RECORD]
    record = json.loads(data)
    validate("record", record)
    assert record.pop("options")["include"] == []
    assert record == {
        "run": "run",
        "root": ROOT,
        "source": engine.settings.source,
        "version": __version__,
        "started": STARTED,
        "ended": ENDED,
        "state": "partial",
        "format": 2,
        "totals": {"files": 3},
        "message": "1 of 4 entries were not backed up",
    }
    assert properties.metadata == {"state": "partial", "format": "2"}
    found = await newest_manifest(catalog, ROOT)
    assert found is not None
    assert (found[0].run, found[1].entries) == ("run", 3)


async def test_what_the_run_needed_while_it_worked_is_deleted_and_nothing_else(
    engine: Engine, catalog: MemoryContainer, runs: MemoryContainer
) -> None:
    await finish(engine)
    await finish(engine, "run 2")
    await finish(engine, "ru")
    others = {name for name in runs.blobs if not name.startswith("run/")}
    parts = {part["name"] for part in json.loads(catalog.blobs["manifests/run/index.json"][0])["parts"]}
    for _ in range(2):
        await end_run(ended(), engine)
        assert runs.blobs.keys() == others
        left = {name for name in catalog.blobs if name.startswith("manifests/run/")}
        assert left == {"manifests/run/index.json", *(f"manifests/run/{part}.ndjson" for part in parts)}
        assert len([name for name in catalog.blobs if name.startswith("manifests/run 2/")]) == 4


@pytest.mark.parametrize("is_said", [True, False])
async def test_a_run_without_a_manifest_keeps_all_that_there_is(
    engine: Engine, catalog: MemoryContainer, runs: MemoryContainer, is_said: bool
) -> None:
    await finish(engine)
    if is_said:
        del catalog.blobs["manifests/run/index.json"]
    before = dict(runs.blobs)
    await end_run(ended(state="failed", has_manifest=is_said, message="storage is down"), engine)
    assert runs.blobs == before
    assert json.loads(catalog.blobs[RECORD][0])["state"] == "failed"


class Stubborn(MemoryContainer):
    """Refuses to delete some blobs, or takes for ever to."""

    def __init__(self, *, silent: bool = False) -> None:
        super().__init__()
        self.silent = silent

    async def delete(self, name: str, condition: Any = None) -> bool:
        if "outcomes" in name:
            if self.silent:
                await asyncio.Event().wait()
            raise BlobRefusedError("leased")
        return await super().delete(name, condition)


@pytest.fixture(params=[True, False])
async def stubborn(request: pytest.FixtureRequest) -> AsyncIterator[tuple[Engine, Stubborn]]:
    runs = Stubborn(silent=request.param)
    async with an_engine(MemoryContainer(), runs, Path("/")) as engine:
        yield engine, runs


async def test_what_cannot_be_deleted_stays_and_harms_nobody(
    stubborn: tuple[Engine, Stubborn], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ending, "_SECONDS", 0.2)
    engine, runs = stubborn
    await finish(engine)
    assert await end_run(ended(), engine) == {"advanced": True}
    assert [name for name in runs.blobs if "outcomes" not in name] == []
    assert len(runs.blobs) == 1
