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
from sitebackup.messages import (
    Compared,
    CompareRequest,
    CopyRequest,
    Listed,
    ListRequest,
    ManifestRequest,
    ReadBack,
    SpansRequest,
    Written,
)
from sitebackup.ranges import Span
from sitebackup.records import manifest
from sitebackup.records.outcomes import Outcome, write_outcomes
from sitebackup.records.run_blobs import outcomes_name
from sitebackup.tally import Tally
from tests.storage.conftest import an_engine, goes_on
from tests.support.memory import MemoryContainer

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "manifest.schema.json").read_text())


async def back_up(engine: Engine, root: Path, run: str = "run") -> Written:
    """List, copy and write the manifest of `root`, as the orchestration does; return what the last says."""
    listed = Listed.from_json(await get_file_list(ListRequest(run, str(root)).to_json(), engine))
    for plan in listed.plans:
        for batch in range(plan.batches):
            await copy_file_to_blob(CopyRequest(run, plan.id, batch).to_json(), engine)
    return Written.from_json(await write_manifest(asked(root, listed, run).to_json(), engine))


def asked(root: Path, listed: Listed, run: str = "run", **more: Any) -> ManifestRequest:
    """What the orchestration asks for when all is copied."""
    times = {"started": "2026-01-02T03:04:05Z", "finished": "2026-01-02T03:04:06Z"}
    return ManifestRequest(run, str(root), plans=listed.plans, **times, **more)


async def compare_again(engine: Engine, run: str = "run") -> Compared:
    return Compared.from_json(await verify_manifest(CompareRequest("v", run).to_json(), engine))


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
    saved = Tally(files=601, bytes=sum(n % 5 for n in range(600)) + 8, links=1, directories=1)
    assert await back_up(engine, tree) == Written(manifest="run/manifest.ndjson", tally=saved)
    head, *entries = rows(runs)
    assert head == {
        "format": 1,
        "run": "run",
        "root": str(tree),
        "options": {
            "include": [],
            "exclude": [],
            "oneFileSystem": False,
            "allowPartial": False,
            "allowEmpty": False,
        },
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
    assert [text.rpartition(": ")[2] for text in report.named] == ["blob name is longer than 1024 characters"]
    validator: Any = jsonschema.Draft202012Validator(SCHEMA)
    for row in rows(runs):
        validator.validate(row)
    with pytest.raises(jsonschema.ValidationError):
        validator.validate({"path": "f", "outcome": "lost", "size": 0})


async def test_a_manifest_of_many_parts_is_merged_in_passes(
    engine: Engine, runs: MemoryContainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manifest, "_MERGED_AT_ONCE", 3)
    for batch in range(25):
        outcomes = [Outcome(f"{number:04d}", "vanished", "gone") for number in range(batch, 500, 25)]
        await write_outcomes(engine.runs, "run", "p", batch, outcomes)
    await manifest.write(engine.runs, "run", [outcomes_name("run", "p", batch) for batch in range(25)], {})
    assert [row["path"] for row in rows(runs)[1:]] == [f"{number:04d}" for number in range(500)]


async def test_a_container_that_holds_what_was_saved_has_nothing_missing_or_changed(
    engine: Engine, backups: MemoryContainer, tree: Path
) -> None:
    await back_up(engine, tree)
    await backups.put(f"{tree}/old"[1:], b"from an earlier run", Properties())
    await backups.put(f"{tree}-other/file"[1:], b"of another tree", Properties())
    found = (await compare_again(engine)).findings
    assert (found.checked, found.missing, found.changed, found.extra) == (603, 0, 0, 1)
    assert found.named == ()


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
    found = (await compare_again(engine)).findings
    assert (found.checked, found.missing, found.changed) == (603, 1, 2)
    assert sorted(found.named) == [
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
    compared = await compare_again(engine)
    assert compared.findings.wrong == 0
    half = compared.size // 2
    spans = [Span("run", 0, half), Span("run", half, compared.size - half)]
    answers = [await verify_blobs(SpansRequest("v", (span,)).to_json(), engine) for span in spans]
    deep = [ReadBack.from_json(answer).findings for answer in answers]
    assert [part.checked for part in deep] != [603, 0]
    assert sum(part.checked for part in deep) == 603
    assert [text for part in deep for text in part.named] == [f"{name} has another content"]


async def test_a_run_without_a_manifest_is_said(engine: Engine) -> None:
    request = CompareRequest("v", "nothing").to_json()
    answer = await run_activity(verify_manifest, request, lambda: engine, goes_on)
    assert Compared.from_json(answer).errors == ("There is no manifest of a run 'nothing'.",)


async def test_a_manifest_of_a_later_format_is_refused_with_a_sentence(
    engine: Engine, runs: MemoryContainer, tree: Path
) -> None:
    await back_up(engine, tree)
    data, properties = runs.blobs["run/manifest.ndjson"]
    runs.blobs["run/manifest.ndjson"] = (data.replace(b'"format": 1', b'"format": 2', 1), properties)
    request = CompareRequest("v", "run").to_json()
    answer = await run_activity(verify_manifest, request, lambda: engine, goes_on)
    assert Compared.from_json(answer).errors == (
        "The manifest of run 'run' has format 2. This version of the app reads 1 only.",
    )


async def test_a_field_that_a_later_version_adds_to_an_entry_stops_no_reader(
    engine: Engine, runs: MemoryContainer, tree: Path
) -> None:
    await back_up(engine, tree)
    data, properties = runs.blobs["run/manifest.ndjson"]
    head, *lines = data.splitlines(keepends=True)
    lines = [line.replace(b'{"path"', b'{"since": "then", "path"', 1) for line in lines]
    runs.blobs["run/manifest.ndjson"] = (head + b"".join(lines), properties)
    assert (await compare_again(engine)).findings.checked == 603


async def test_what_a_run_that_was_given_up_did_not_reach_has_failed_for_that_reason(
    engine: Engine, backups: MemoryContainer, runs: MemoryContainer, tmp_path: Path
) -> None:
    root = tmp_path / "site"
    for number in range(6):
        (root / f"d{number}").mkdir(parents=True)
        (root / f"d{number}" / "f").write_bytes(b"x")
    async with an_engine(backups, runs, tmp_path, list_budget=8) as small:
        listed = Listed.from_json(await get_file_list(ListRequest("run", str(root)).to_json(), small))
    assert listed.portions
    (plan,) = listed.plans
    for batch in range(plan.batches - 1):
        await copy_file_to_blob(CopyRequest("run", plan.id, batch).to_json(), engine)
    request = asked(root, listed, gave_up="storage is down", portions=listed.portions)
    written = Written.from_json(await write_manifest(request.to_json(), engine))
    _, *entries = rows(runs)
    failed = {entry["path"] for entry in entries if entry["outcome"] == "failed"}
    copied = {entry["path"] for entry in entries if entry["outcome"] == "copied"}
    assert all(entry["reason"] == "storage is down" for entry in entries if entry["path"] in failed)
    assert {path.removesuffix("/f") for path in failed | copied} == {f"d{number}" for number in range(6)}
    assert len(copied) == len(backups.blobs)
    assert written.tally.failed == len(failed) > 0


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("waiting", [1, 10, 1_000])
async def test_the_order_of_a_listing_changes_nothing_in_the_findings(
    monkeypatch: pytest.MonkeyPatch, backwards: bool, waiting: int
) -> None:
    monkeypatch.setattr(comparing, "_WAITING", waiting)

    class Listed(MemoryContainer):
        async def list(self, prefix: str, *, metadata: bool = False) -> AsyncIterator[Blob]:
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
