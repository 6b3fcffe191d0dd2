"""Giving back what a manifest says, also if it was not this app that wrote the manifest."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from sitebackup.activities.restoring import restore
from sitebackup.blobs.container import Properties
from sitebackup.blobs.historyname import history_name
from sitebackup.digests import md5
from sitebackup.engine.engine import Engine
from sitebackup.records.entries import Entry
from tests.support.handmade import directory, put_manifest, saved
from tests.support.memory import MemoryContainer


async def put_saved(
    engine: Engine, backups: MemoryContainer, entries: Sequence[tuple[str, str, bytes]]
) -> None:
    """Store entries, each path, kind and content, as a run `run` would have."""
    rows: list[Entry] = []
    for number, (path, kind, content) in enumerate(entries):
        await backups.put(f"b{number}", content, Properties(md5(content)))
        rows.append(saved(path, content, kind=kind, blob=f"b{number}"))
    await put_manifest(engine, "run", [rows])


@pytest.mark.parametrize("kind", ["file", "directory"])
@pytest.mark.parametrize("path", ["../evil", "d/../../evil", "{tmp}/evil", "..", "."])
async def test_no_path_leads_out_of_the_directory(
    engine: Engine, backups: MemoryContainer, tmp_path: Path, path: str, kind: str
) -> None:
    hostile = path.replace("{tmp}", str(tmp_path))
    await put_saved(engine, backups, [(hostile, kind, b""), ("good", "file", b"good")])

    summary = await restore("run", str(tmp_path / "to"), engine)

    assert (summary.tally.files, summary.tally.failed) == (1, 1)
    assert [str(p.relative_to(tmp_path)) for p in sorted(tmp_path.rglob("*"))] == ["to", "to/good"]


async def test_nothing_is_made_through_a_link(
    engine: Engine, backups: MemoryContainer, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir(0o755)
    entries = [
        ("a", "link", bytes(outside)),
        ("a/file", "file", b"evil"),
        ("b", "link", bytes(outside)),
        ("b/link", "link", b"evil"),
        ("c", "link", bytes(outside)),
        ("c/", "directory", b""),
    ]
    await put_saved(engine, backups, entries)

    summary = await restore("run", str(tmp_path / "to"), engine)

    assert summary.tally.failed == 3
    assert list(outside.iterdir()) == []
    assert outside.stat().st_mode == 0o40755


async def test_a_tree_of_many_files_comes_back_whole(
    engine: Engine, backups: MemoryContainer, tmp_path: Path
) -> None:
    files = {f"d{n % 7}/f{n}": b"%d" % n * (n % 50) for n in range(2_000)}
    await put_saved(engine, backups, [(path, "file", data) for path, data in files.items()])

    summary = await restore("run", str(tmp_path / "to"), engine)

    assert summary.tally.files == 2_000
    assert summary.named == []
    found = {str(p.relative_to(tmp_path / "to")): p.read_bytes() for p in (tmp_path / "to").rglob("f*")}
    assert found == files


async def test_directories_have_their_modes_and_times_when_all_is_in_them(
    engine: Engine, backups: MemoryContainer, tmp_path: Path
) -> None:
    modes = {"": "40750", "a/": "40555", "a/b/": "40000", "a/b/c/": "40711", "d/": "41777"}
    directories = [directory(path, mode) for path, mode in modes.items()]
    files = [saved("a/b/c/f", b"1"), saved("a/f", b"1"), saved("d/link", b"f", kind="link")]
    for entry in files:
        await backups.put(entry.blob or "", b"f" if entry.kind == "link" else b"1", Properties())
    await put_manifest(engine, "run", [sorted([*directories, *files], key=lambda entry: entry.path)])
    to = tmp_path / "to"
    (to).mkdir()

    summary = await restore("run", str(to), engine)

    assert (summary.tally.directories, summary.tally.failed) == (5, 0)
    moment = 1_767_323_045 * 10**9
    found = {path: (to / path).stat() for path in modes}
    assert {path: f"{status.st_mode:o}" for path, status in found.items()} == modes
    assert {status.st_mtime_ns for status in found.values()} == {moment}
    assert (to / "a/b/c/f").read_bytes() == b"1"


async def test_nobody_else_can_look_into_a_directory_before_all_is_in_it(
    engine: Engine, backups: MemoryContainer, tmp_path: Path
) -> None:
    entries = [directory("secret/", "40700"), saved("secret/f", b"1")]
    await put_manifest(engine, "run", [entries])
    seen: list[int] = []
    get = backups.get

    async def look(*args: Any) -> bytes:
        seen.append((tmp_path / "to/secret").stat().st_mode & 0o777)
        return await get(*args)

    backups.get = look  # pyright: ignore[reportAttributeAccessIssue]
    await backups.put("site/secret/f", b"1", Properties())
    old = os.umask(0)
    try:
        await restore("run", str(tmp_path / "to"), engine)
    finally:
        os.umask(old)
    assert seen == [0o700]


@pytest.mark.parametrize("size", [2, 9_000_000])
@pytest.mark.parametrize("there", [None, "shorter", "other", "longer"])
async def test_an_earlier_version_comes_back_from_the_history(
    engine: Engine,
    backups: MemoryContainer,
    history: MemoryContainer,
    tmp_path: Path,
    size: int,
    there: str | None,
) -> None:
    content = b"x" * size
    entry, link = saved("f", content), saved("link", b"old", kind="link")
    others = {"shorter": b"y", "other": b"y" * size, "longer": b"y" * (size + 1)}
    for old, data in ((entry, content), (link, b"old")):
        await history.put(history_name(old.blob or "", old.md5 or ""), data, Properties(md5(data)))
        if there is not None:
            await backups.put(old.blob or "", others[there], Properties(md5(others[there])))
    await put_manifest(engine, "run", [[entry, link]])

    summary = await restore("run", str(tmp_path / "to"), engine)

    assert summary.named == []
    assert (tmp_path / "to/f").read_bytes() == content
    assert str((tmp_path / "to/link").readlink()) == "old"


async def test_what_is_nowhere_does_not_come_back_and_it_is_said_what_is_wrong_with_the_latest(
    engine: Engine, backups: MemoryContainer, history: MemoryContainer, tmp_path: Path
) -> None:
    entries = [saved("gone", b"1"), saved("other", b"2"), saved("there", b"3")]
    await backups.put("site/other", b"x", Properties(md5(b"x")))
    await backups.put("site/there", b"3", Properties(md5(b"3")))
    await history.put(history_name("site/other", md5(b"2").hex()), b"z", Properties())
    await put_manifest(engine, "run", [entries])

    summary = await restore("run", str(tmp_path / "to"), engine)

    assert sorted(summary.named) == [
        "gone: BlobNotFound",
        "other: the blob has another content than this run saved",
    ]
    assert [path.name for path in (tmp_path / "to").iterdir()] == ["there"]


async def test_what_that_run_could_not_save_is_said_and_what_it_left_out_is_not(
    engine: Engine, tmp_path: Path
) -> None:
    entries = [
        Entry("a", "file", outcome="failed", reason="Permission denied"),
        Entry("b", outcome="skipped", reason="fifo"),
        saved("c").not_saved("kept", "not selected any more"),
    ]
    await put_manifest(engine, "run", [entries])

    summary = await restore("run", str(tmp_path / "to"), engine)

    assert summary.named == ["a: that run could not save it: Permission denied"]
    assert summary.tally.failed == 1
