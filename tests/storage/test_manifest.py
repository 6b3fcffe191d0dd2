"""The manifest, and comparing it with what a container holds."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from sitebackup.activities import comparing
from sitebackup.activities.comparing import compare
from sitebackup.activities.copying import copy_file_to_blob
from sitebackup.activities.listing import get_file_list
from sitebackup.activities.manifest import write_manifest
from sitebackup.activities.running import run as run_activity
from sitebackup.activities.verifying import verify_blobs, verify_manifest
from sitebackup.blobs.container import Blob, Properties
from sitebackup.digests import md5
from sitebackup.engine.engine import Engine
from sitebackup.records import manifest
from sitebackup.records.outcomes import Outcome
from tests.support.memory import MemoryContainer

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "manifest.schema.json").read_text())


async def back_up(engine: Engine, root: Path, run: str = "run") -> dict[str, Any]:
    """List, copy and write the manifest of `root`, as the orchestration does; return what the last says."""
    request: Any = {"run": run, "request": str(root), "left": []}
    listed: dict[str, Any] = await run_activity(get_file_list, request, lambda: engine)
    for plan, tasks, _ in listed["plans"]:
        for task in range(tasks):
            await copy_file_to_blob({"run": run, "plan": plan, "task": task}, engine)
    return await write_manifest(
        {
            "run": run,
            "request": str(root),
            "plans": listed["plans"],
            "started": "2026-01-02T03:04:05Z",
            "finished": "2026-01-02T03:04:06Z",
        },
        engine,
    )


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "site"
    for number in range(600):
        path = root / f"d{number % 13}" / f"f{number}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * (number % 5))
    (root / "link").symlink_to("d0")
    (root / "empty").mkdir()
    (root / "ü tab\t").write_bytes(b"odd name")
    return root


def rows(runs: MemoryContainer, run: str = "run") -> list[dict[str, Any]]:
    return [json.loads(line) for line in runs.blobs[f"{run}/manifest.ndjson"][0].splitlines()]


async def test_the_manifest_has_a_head_and_one_line_an_entry_sorted_by_path(
    engine: Engine, runs: MemoryContainer, tree: Path
) -> None:
    assert await back_up(engine, tree) == {"manifest": "run/manifest.ndjson", "failed": 0, "named": []}
    head, *entries = rows(runs)
    assert head == {
        "format": 1,
        "run": "run",
        "root": str(tree),
        "options": {"include": [], "exclude": [], "oneFileSystem": False, "allowPartial": False},
        "started": "2026-01-02T03:04:05Z",
        "finished": "2026-01-02T03:04:06Z",
        "totals": {"files": 601, "bytes": sum(n % 5 for n in range(600)) + 8, "links": 1, "directories": 1},
    }
    paths = [entry["path"] for entry in entries]
    assert paths == sorted(paths)
    assert len(set(paths)) == 603
    assert {entry["kind"] for entry in entries} == {"file", "link", "directory"}


async def test_every_line_is_what_the_published_schema_says(
    engine: Engine, runs: MemoryContainer, tree: Path
) -> None:
    (tree / ("long" * 50)).mkdir()
    (tree / ("long" * 50) / ("long" * 50)).write_bytes(b"")
    deep = tree
    for _ in range(5):
        deep = deep / ("x" * 220)
        deep.mkdir()
    (deep / "f").touch()
    report = await back_up(engine, tree)
    assert [text.rpartition(": ")[2] for text in report["named"]] == [
        "blob name is longer than 1024 characters"
    ]
    validator: Any = jsonschema.Draft202012Validator(SCHEMA)
    for row in rows(runs):
        validator.validate(row)
    with pytest.raises(jsonschema.ValidationError):
        validator.validate({"path": "f", "outcome": "lost", "size": 0})


async def test_a_manifest_of_many_parts_is_merged_in_passes(
    engine: Engine, runs: MemoryContainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manifest, "_MERGED_AT_ONCE", 3)
    for task in range(25):
        outcomes = [Outcome(f"{number:04d}", "vanished", "gone") for number in range(task, 500, 25)]
        await engine.runs.write_outcomes("run", "p", task, outcomes)
    await manifest.write(engine.runs, "run", [("p", 25, False)], {})
    assert [row["path"] for row in rows(runs)[1:]] == [f"{number:04d}" for number in range(500)]


async def test_a_container_that_holds_what_was_saved_has_nothing_missing_or_changed(
    engine: Engine, backups: MemoryContainer, tree: Path
) -> None:
    await back_up(engine, tree)
    await backups.put(f"{tree}/old"[1:], b"from an earlier run", Properties())
    await backups.put(f"{tree}-other/file"[1:], b"of another tree", Properties())
    found = await verify_manifest({"run": "run"}, engine)
    assert (found["checked"], found["missing"], found["changed"], found["extra"]) == (603, 0, 0, 1)
    assert found["named"] == []


async def test_what_is_missing_or_changed_is_counted_and_named(
    engine: Engine, backups: MemoryContainer, tree: Path
) -> None:
    await back_up(engine, tree)
    prefix = f"{tree}/"[1:]
    del backups.blobs[f"{prefix}d0/f0.txt"]
    data, properties = backups.blobs[f"{prefix}d1/f1.txt"]
    backups.blobs[f"{prefix}d1/f1.txt"] = (data + b"!", properties)
    data, _ = backups.blobs[f"{prefix}d2/f2.txt"]
    backups.blobs[f"{prefix}d2/f2.txt"] = (data, Properties(bytes(16)))
    found = await verify_manifest({"run": "run"}, engine)
    assert (found["checked"], found["missing"], found["changed"]) == (603, 1, 2)
    assert sorted(found["named"]) == [
        f"{prefix}d0/f0.txt is missing",
        f"{prefix}d1/f1.txt has 2 bytes instead of 1",
        f"{prefix}d2/f2.txt has another MD5",
    ]


async def test_only_reading_back_finds_content_that_changed_behind_its_properties(
    engine: Engine, backups: MemoryContainer, tree: Path
) -> None:
    await back_up(engine, tree)
    name = f"{tree}/d4/f4.txt"[1:]
    backups.blobs[name] = (b"yyyy", backups.blobs[name][1])
    found = await verify_manifest({"run": "run"}, engine)
    assert (found["missing"], found["changed"]) == (0, 0)
    halves = [(0, found["size"] // 2), (found["size"] // 2, found["size"])]
    deep = [await verify_blobs({"shares": [("run", begin, end - begin)]}, engine) for begin, end in halves]
    assert [part["checked"] for part in deep] != [603, 0]
    assert sum(part["checked"] for part in deep) == 603
    assert [text for part in deep for text in part["named"]] == [f"{name} has another content"]


async def test_a_run_without_a_manifest_is_said(engine: Engine) -> None:
    answer = await run_activity(verify_manifest, {"run": "nothing"}, lambda: engine)
    assert answer == {"errors": ["There is no manifest of a run 'nothing'."]}


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("waiting", [1, 10, 1_000])
async def test_the_order_of_a_listing_changes_nothing_in_the_findings(
    monkeypatch: pytest.MonkeyPatch, backwards: bool, waiting: int
) -> None:
    monkeypatch.setattr(comparing, "_WAITING", waiting)

    class Listed(MemoryContainer):
        async def list(self, prefix: str) -> AsyncIterator[Blob]:
            for name in sorted(self.blobs, reverse=backwards):
                if (blob := await self.find(name)) is not None:
                    yield blob

    container = Listed()
    for number in range(100):
        await container.put(f"{number:03d}", b"", Properties(md5(b"")))

    async def entries() -> AsyncIterator[Outcome]:
        for number in range(10, 110):
            yield Outcome("p", "copied", kind="file", blob=f"{number:03d}", md5=md5(b"").hex())

    found = await compare(entries(), container, "")
    assert (found.checked, found.missing, found.changed, found.extra) == (100, 10, 0, 10)
