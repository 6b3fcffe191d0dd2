"""Manifests of versions before 0.2 are verified and restored as before."""

import json
from pathlib import Path
from typing import Any

import pytest

from sitebackup.activities.restoring import restore
from sitebackup.activities.verifying import verify_blobs, verify_manifest
from sitebackup.blobs.container import Properties
from sitebackup.digests import md5
from sitebackup.engine.engine import Engine
from sitebackup.messages import Compared, CompareRequest, ReadBack, SpansRequest
from tests.support.memory import MemoryContainer

HEAD: dict[str, Any] = {
    "format": 1,
    "run": "old",
    "root": "/site",
    "options": {"include": [], "exclude": [], "oneFileSystem": False, "allowPartial": False},
    "started": "2026-01-02T03:04:05Z",
    "finished": "2026-01-02T03:04:06Z",
    "totals": {"files": 2, "bytes": 3, "links": 1, "directories": 1, "failed": 1, "skipped": 1},
}
"""As version 0.1 wrote it."""


def copied(path: str, kind: str, content: bytes, mode: str) -> dict[str, Any]:
    return {
        "path": path,
        "outcome": "copied",
        "kind": kind,
        "size": len(content),
        "mtime": "2020-01-02T03:04:05.000000006Z",
        "mode": mode,
        "uid": 0,
        "gid": 0,
        "blob": f"site/{path}".replace("\udcff", "%FF"),
        "md5": md5(content).hex(),
        "etag": '"0x8D"',
    }


ENTRIES: list[dict[str, Any]] = [
    {"path": "closed", "outcome": "failed", "kind": "file", "size": 0, "reason": "Permission denied"},
    copied("d/a", "file", b"12", "100640"),
    copied("d/\udcff", "file", b"3", "100644"),
    copied("empty", "directory", b"", "40750"),
    {"path": "fifo", "outcome": "skipped", "size": 0, "reason": "fifo"},
    copied("link", "link", b"d/a", "120777"),
]


@pytest.fixture(autouse=True)
async def saved(backups: MemoryContainer, runs: MemoryContainer) -> None:
    """A run `old` and its blobs."""
    lines = "".join(f"{json.dumps(row)}\n" for row in (HEAD, *ENTRIES))
    await runs.put("old/manifest.ndjson", lines.encode(), Properties())
    contents = {"site/d/a": b"12", "site/d/%FF": b"3", "site/empty": b"", "site/link": b"d/a"}
    for name, content in contents.items():
        await backups.put(name, content, Properties(md5(content)))


async def verify(engine: Engine) -> tuple[Compared, ReadBack]:
    compared = Compared.from_json(await verify_manifest(CompareRequest("v", "old").to_json(), engine))
    request = SpansRequest("v", "old", compared.spans)
    return compared, ReadBack.from_json(await verify_blobs(request.to_json(), engine))


async def test_it_is_verified(engine: Engine, backups: MemoryContainer) -> None:
    for answer in await verify(engine):
        assert (answer.findings.checked, answer.findings.bytes, answer.findings.wrong) == (4, 6, 0)
    await backups.put("site/d/a", b"xx", Properties(md5(b"xx")))
    compared, deep = await verify(engine)
    assert compared.findings.named == ("site/d/a has another MD5",)
    assert deep.findings.named == ("site/d/a has another content",)


async def test_a_version_of_it_that_a_later_run_moved_to_the_history_is_found(
    engine: Engine, backups: MemoryContainer, history: MemoryContainer
) -> None:
    history.blobs[f"site/d/a/{md5(b'12').hex()}"] = backups.blobs.pop("site/d/a")
    for answer in await verify(engine):
        assert (answer.findings.checked, answer.findings.wrong) == (4, 0)


async def test_it_is_restored(engine: Engine, tmp_path: Path) -> None:
    summary = await restore("old", str(tmp_path / "to"), engine)
    assert (summary.tally.files, summary.tally.links, summary.tally.directories) == (2, 1, 1)
    assert summary.named == ["closed: that run could not save it: Permission denied"]
    found = {str(path.relative_to(tmp_path / "to")): path for path in (tmp_path / "to").rglob("*")}
    assert found.keys() == {"d", "d/a", "d/\udcff", "empty", "link"}
    assert (found["d/a"].read_bytes(), found["d/\udcff"].read_bytes()) == (b"12", b"3")
    assert str(found["link"].readlink()) == "d/a"
    assert found["empty"].stat().st_mode == 0o40750
    assert found["d/a"].stat().st_mtime_ns % 10**9 == found["empty"].stat().st_mtime_ns % 10**9 == 6
