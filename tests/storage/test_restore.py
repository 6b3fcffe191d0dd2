"""Giving back what a manifest says, also if it was not this app that wrote the manifest."""

import json
from pathlib import Path

import pytest

from sitebackup.activities.restoring import restore
from sitebackup.blobs.container import Properties
from sitebackup.digests import md5
from sitebackup.engine.engine import Engine
from sitebackup.records.outcomes import Outcome
from tests.support.memory import MemoryContainer


async def put_manifest(
    backups: MemoryContainer, runs: MemoryContainer, entries: list[tuple[str, str, bytes]]
) -> None:
    """Store entries, each path, kind and content, as a run `run` would have."""
    rows: list[str] = [json.dumps({"format": 1, "root": "/site"})]
    for number, (path, kind, content) in enumerate(entries):
        await backups.put(f"b{number}", content, Properties(md5(content)))
        outcome = Outcome(
            path=path,
            outcome="copied",
            kind=kind,
            size=len(content),
            mtime="2026-01-02T03:04:05.000000000Z",
            mode="100644",
            blob=f"b{number}",
            md5=md5(content).hex(),
        )
        rows.append(json.dumps(outcome.to_json()))
    await runs.put("run/manifest.ndjson", "".join(f"{row}\n" for row in rows).encode(), Properties())


@pytest.mark.parametrize("path", ["../evil", "d/../../evil", "{tmp}/evil", "..", "."])
async def test_no_path_leads_out_of_the_directory(
    engine: Engine, backups: MemoryContainer, runs: MemoryContainer, tmp_path: Path, path: str
) -> None:
    hostile = path.replace("{tmp}", str(tmp_path))
    await put_manifest(backups, runs, [(hostile, "file", b"evil"), ("good", "file", b"good")])

    summary = await restore("run", str(tmp_path / "to"), engine)

    assert (summary.tally.files, summary.tally.failed) == (1, 1)
    assert [str(p.relative_to(tmp_path)) for p in sorted(tmp_path.rglob("*"))] == ["to", "to/good"]


async def test_nothing_is_made_through_a_link(
    engine: Engine, backups: MemoryContainer, runs: MemoryContainer, tmp_path: Path
) -> None:
    (tmp_path / "outside").mkdir()
    await put_manifest(
        backups,
        runs,
        [
            ("a", "link", str(tmp_path / "outside").encode()),
            ("a/file", "file", b"evil"),
            ("b", "link", str(tmp_path / "outside").encode()),
            ("b/link", "link", b"evil"),
        ],
    )

    summary = await restore("run", str(tmp_path / "to"), engine)

    assert summary.tally.failed == 2
    assert list((tmp_path / "outside").iterdir()) == []


async def test_a_tree_of_many_files_comes_back_whole(
    engine: Engine, backups: MemoryContainer, runs: MemoryContainer, tmp_path: Path
) -> None:
    files = {f"d{n % 7}/f{n}": b"%d" % n * (n % 50) for n in range(2_000)}
    await put_manifest(backups, runs, [(path, "file", data) for path, data in files.items()])

    summary = await restore("run", str(tmp_path / "to"), engine)

    assert summary.tally.files == 2_000
    assert summary.named == []
    found = {str(p.relative_to(tmp_path / "to")): p.read_bytes() for p in (tmp_path / "to").rglob("f*")}
    assert found == files
