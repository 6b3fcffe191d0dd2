"""The activities: plans, outcomes, the tutorial's bare strings, and what may not be backed up."""

import asyncio
import hashlib
import json
import logging
import os
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from sitebackup.activities.copying import copy_file_to_blob
from sitebackup.activities.listing import get_file_list
from sitebackup.activities.running import run as run_activity
from sitebackup.blobs import blobname
from sitebackup.blobs.container import Properties
from sitebackup.engine.engine import Engine
from sitebackup.errors import FatalError, SourceUnavailableError, StorageUnavailableError
from sitebackup.records.packing import MAX_FILES
from sitebackup.tree.walking import Item
from tests.storage.conftest import an_engine
from tests.support.fuse import mounted
from tests.support.memory import MemoryContainer


def make(root: Path, count: int, size: int = 1) -> set[Item]:
    for number in range(count):
        path = root / f"d{number % 7}" / f"f{number}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * size)
    return {Item(f"d{number % 7}/f{number}", "file", size) for number in range(count)}


async def list_all(engine: Engine, root: Path) -> list[dict[str, Any]]:
    """List `root` as the orchestration does, and return every answer."""
    answers: list[dict[str, Any]] = []
    hands: list[list[Any]] = [[]]
    while hands:
        hand = hands.pop()
        request = {"run": "run", "request": str(root), "left": hand}
        answer: dict[str, Any] = await run_activity(get_file_list, request, lambda: engine)
        answers.append(json.loads(json.dumps(answer)))
        hands += [[part] for part in answer["left"]]
    return answers


async def files_in(engine: Engine, answers: list[dict[str, Any]]) -> list[list[Item]]:
    """Return the copy tasks of the plans in `answers`."""
    return [
        (await engine.runs.read_task("run", plan, task))[1]
        for answer in answers
        for plan, tasks, _ in answer["plans"]
        for task in range(tasks)
    ]


async def test_a_small_tree_is_planned_one_file_a_task(engine: Engine, tmp_path: Path) -> None:
    files = make(tmp_path, 20, size=3)
    (answer,) = await list_all(engine, tmp_path)
    assert answer.items() >= {"files": 20, "bytes": 60, "left": []}.items()
    tasks = await files_in(engine, [answer])
    assert all(len(task) == 1 for task in tasks)
    assert {file for (file,) in tasks} == files


async def test_a_tree_beyond_the_budget_is_listed_by_more_calls_and_every_file_once(
    backups: MemoryContainer, runs: MemoryContainer, tmp_path: Path
) -> None:
    files = make(tmp_path, 700)
    async with an_engine(backups, runs, tmp_path, list_budget=150) as engine:
        answers = await list_all(engine, tmp_path)
        assert len(answers) > 3
        assert sum(answer["files"] for answer in answers) == 700
        tasks = await files_in(engine, answers)
    assert sorted(file.path for task in tasks for file in task) == sorted(file.path for file in files)
    assert max(map(len, tasks)) <= MAX_FILES


async def test_listing_the_same_twice_at_the_same_time_writes_two_plans(
    engine: Engine, tmp_path: Path
) -> None:
    make(tmp_path, 300)
    first, second = await asyncio.gather(list_all(engine, tmp_path), list_all(engine, tmp_path))
    assert first[0]["plans"] != second[0]["plans"]
    assert await files_in(engine, first) == await files_in(engine, second)


async def test_no_file_name_is_in_what_the_activities_return(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "name below the root").write_bytes(b"x")
    (tmp_path / "name of a link").symlink_to("nowhere")
    os.mkfifo(tmp_path / "name of a fifo")
    (answer,) = await list_all(engine, tmp_path)
    ((plan, tasks, _),) = answer["plans"]
    requests = [{"run": "run", "plan": plan, "task": task} for task in range(tasks)]
    answers = [answer, *[await copy_file_to_blob(request, engine) for request in requests]]
    assert "name" not in json.dumps(answers)


async def test_a_copy_task_records_the_outcome_of_each_file(
    engine: Engine, backups: MemoryContainer, runs: MemoryContainer, tmp_path: Path
) -> None:
    make(tmp_path, 300)
    (answer,) = await list_all(engine, tmp_path)
    ((plan, *_),) = answer["plans"]
    first, second, third, *others = [file.path for file in (await files_in(engine, [answer]))[0]]
    (tmp_path / first).unlink()
    (tmp_path / second).unlink()
    (tmp_path / second).symlink_to("/etc/passwd")
    (tmp_path / third).write_bytes(b"longer")
    tally = await copy_file_to_blob({"run": "run", "plan": plan, "task": 0}, engine)
    assert tally == {"files": len(others) + 1, "bytes": len(others) + 6, "failed": 1, "vanished": 1}
    assert set(backups.blobs) == {blobname.encode(f"{tmp_path}/{path}") for path in [third, *others]}

    outcomes = [json.loads(line) for line in runs.blobs[f"run/outcomes/{plan}-0.ndjson"][0].splitlines()]
    assert [row["path"] for row in outcomes] == sorted([first, second, third, *others])
    by_path = {row["path"]: row for row in outcomes}
    assert by_path[first] == {
        "path": first,
        "outcome": "vanished",
        "kind": "file",
        "size": 0,
        "reason": "vanished since it was listed",
    }
    assert by_path[second]["outcome"] == "failed"
    assert by_path[second]["reason"] == "is a symbolic link now"
    copied = by_path[third]
    status = (tmp_path / third).stat()
    assert re.fullmatch(r'".+"', copied.pop("etag"))
    assert copied.pop("mtime").endswith(f".{status.st_mtime_ns % 10**9:09d}Z")
    assert copied == {
        "path": third,
        "outcome": "copied",
        "kind": "file",
        "size": 6,
        "mode": f"{status.st_mode:o}",
        "uid": status.st_uid,
        "gid": status.st_gid,
        "blob": f"{tmp_path}/{third}"[1:],
        "md5": hashlib.md5(b"longer", usedforsecurity=False).hexdigest(),
    }


async def test_a_root_that_was_unmounted_is_no_tree_whose_files_have_vanished(
    backups: MemoryContainer, runs: MemoryContainer, tmp_path: Path
) -> None:
    make(tmp_path, 14)
    async with an_engine(backups, runs, tmp_path, list_budget=1) as engine:
        root: dict[str, Any] = {"run": "run", "request": str(tmp_path), "left": []}
        first: Any = await get_file_list(root, engine)
        entered: Any = await get_file_list({**root, "left": first["left"][:1]}, engine)
        for path in tmp_path.iterdir():
            shutil.rmtree(path)

        [[plan, _, _]] = entered["plans"]
        with pytest.raises(FatalError, match="is empty or not there any more, or not mounted"):
            await copy_file_to_blob({"run": "run", "plan": plan, "task": 0}, engine)
        with pytest.raises(FatalError, match="is empty or not there any more, or not mounted"):
            await get_file_list({**root, "left": first["left"][1:]}, engine)


async def test_a_root_that_leads_elsewhere_since_the_listing_began_is_said(
    backups: MemoryContainer, runs: MemoryContainer, tmp_path: Path
) -> None:
    for release in ("1", "2"):
        make(tmp_path / release, 14)
    current = tmp_path / "current"
    current.symlink_to("1")
    async with an_engine(backups, runs, tmp_path, list_budget=1) as engine:
        root: dict[str, Any] = {"run": "run", "request": str(current), "left": []}
        first: Any = await get_file_list(root, engine)
        current.unlink()
        current.symlink_to("2")
        shutil.rmtree(tmp_path / "1")
        with pytest.raises(FatalError, match=r"current' is not where it was when the backup began\.$"):
            await get_file_list({**root, "left": first["left"]}, engine)


async def test_copying_a_task_again_replaces_its_outcomes(
    engine: Engine, runs: MemoryContainer, tmp_path: Path
) -> None:
    make(tmp_path, 1)
    (answer,) = await list_all(engine, tmp_path)
    ((plan, *_),) = answer["plans"]
    request = {"run": "run", "plan": plan, "task": 0}
    (tmp_path / "d0" / "f0").rename(tmp_path / "aside")
    assert await copy_file_to_blob(request, engine) == {"vanished": 1}
    (tmp_path / "aside").rename(tmp_path / "d0" / "f0")
    assert await copy_file_to_blob(request, engine) == {"files": 1, "bytes": 1}
    assert b"vanished" not in runs.blobs[f"run/outcomes/{plan}-0.ndjson"][0]


async def test_storage_that_fails_is_raised_for_the_retry_policy(engine: Engine, tmp_path: Path) -> None:
    class Down(MemoryContainer):
        async def put(self, name: str, data: bytes, properties: Properties) -> str:
            raise StorageUnavailableError("down")

    make(tmp_path, 300)
    (answer,) = await list_all(engine, tmp_path)
    ((plan, *_),) = answer["plans"]
    runs = engine.runs
    async with an_engine(Down(), MemoryContainer(), tmp_path) as broken:
        broken.runs = runs
        with pytest.raises(StorageUnavailableError):
            await run_activity(copy_file_to_blob, {"run": "run", "plan": plan, "task": 0}, lambda: broken)


async def test_an_entry_that_the_listing_cannot_save_is_an_outcome_of_the_listing(
    engine: Engine, runs: MemoryContainer, tmp_path: Path
) -> None:
    make(tmp_path, 3)
    os.mkfifo(tmp_path / "fifo")
    await leave(runs, tmp_path, "d0", "gone", "")
    request = {"run": "run", "request": str(tmp_path), "left": [["p", 0]]}
    answer = await get_file_list(request, engine)
    assert isinstance(answer, dict)
    assert answer.items() >= {"vanished": 1, "skipped": 1}.items()
    ((plan, _, odd),) = answer["plans"]
    assert odd
    outcomes = runs.blobs[f"run/outcomes/{plan}-listing.ndjson"][0].splitlines()
    assert [json.loads(line) for line in outcomes] == [
        {"path": "fifo", "outcome": "skipped", "size": 0, "reason": "fifo"},
        {"path": "gone", "outcome": "vanished", "size": 0, "reason": "vanished while the tree was listed"},
    ]


async def leave(runs: MemoryContainer, root: Path, *directories: str) -> None:
    """Leave `directories` to list as part 0 of the plan "p"."""
    lines = b"".join(json.dumps(row).encode() + b"\n" for row in [(str(root), str(root)), *directories])
    await runs.put("run/plans/p.left-0.ndjson", lines, Properties())


async def test_a_bare_directory_gives_the_list_of_its_files(engine: Engine, tmp_path: Path) -> None:
    files = make(tmp_path, 20)
    paths = await get_file_list(f" {tmp_path}/ ", engine)
    assert sorted(paths) == sorted(f"{tmp_path}/{file.path}" for file in files)


async def test_a_bare_file_is_copied_and_gives_its_size(
    engine: Engine, backups: MemoryContainer, tmp_path: Path
) -> None:
    (tmp_path / "f").write_bytes(b"hello")
    assert await copy_file_to_blob(f"{tmp_path}/f", engine) == 5
    assert backups.blobs[f"{tmp_path}/f"[1:]][0] == b"hello"


async def test_the_tutorials_log_lines_are_written(
    engine: Engine, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "sitebackup")
    (tmp_path / "f").write_bytes(b"hello")
    await get_file_list(str(tmp_path), engine)
    await copy_file_to_blob(f"{tmp_path}/f", engine)
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("INFO", f"Searching for files under '{tmp_path}'..."),
        ("INFO", f"Found 1 file(s) under {tmp_path}."),
        ("INFO", f"Copying '{tmp_path}/f' to 'backups{tmp_path}/f'. Total bytes = 5."),
    ]


@pytest.mark.parametrize("form", ["string", "object"])
async def test_what_is_outside_the_allowed_roots_is_not_touched(
    engine: Engine, backups: MemoryContainer, runs: MemoryContainer, tmp_path: Path, form: str
) -> None:
    (tmp_path / "out").symlink_to("/etc")
    for root in ("/etc", f"{tmp_path}/out", f"{tmp_path}/../.."):
        request: Any = root if form == "string" else {"run": "r", "request": root, "left": []}
        if form == "string":
            with pytest.raises(FatalError, match="outside the directories"):
                await get_file_list(request, engine)
            with pytest.raises(FatalError, match="outside the directories"):
                await copy_file_to_blob(f"{root}/passwd", engine)
        else:
            answer = await run_activity(get_file_list, request, lambda: engine)
            assert isinstance(answer, dict)
            assert "outside the directories" in answer["errors"][0]
    assert not backups.blobs
    assert not runs.blobs


async def test_what_was_planned_is_not_touched_either_once_it_is_outside_the_allowed_roots(
    backups: MemoryContainer, runs: MemoryContainer, tmp_path: Path
) -> None:
    make(tmp_path / "site", 14)
    (tmp_path / "other").mkdir()
    (tmp_path / "root").symlink_to("site")
    root: dict[str, Any] = {"run": "run", "request": str(tmp_path / "root"), "left": []}
    async with an_engine(backups, runs, tmp_path, list_budget=1) as engine:
        first: Any = await get_file_list(root, engine)
        entered: Any = await get_file_list({**root, "left": first["left"][:1]}, engine)
    (tmp_path / "root").unlink()
    (tmp_path / "root").symlink_to("other")
    [[plan, _, _]] = entered["plans"]
    planned = dict(runs.blobs)
    async with an_engine(backups, runs, tmp_path / "other", list_budget=1) as engine:
        with pytest.raises(FatalError, match="site' is outside the directories"):
            await copy_file_to_blob({"run": "run", "plan": plan, "task": 0}, engine)
        with pytest.raises(FatalError, match="site' is outside the directories"):
            await get_file_list({**root, "left": first["left"][1:]}, engine)
    assert not backups.blobs
    assert runs.blobs == planned


@pytest.mark.parametrize("name", ["missing", "file"])
async def test_a_root_that_is_no_directory_is_said_with_its_path(
    engine: Engine, tmp_path: Path, name: str
) -> None:
    (tmp_path / "file").touch()
    request: Any = {"run": "r", "request": {"rootDirectory": f"{tmp_path}/{name}"}, "left": []}
    answer = await run_activity(get_file_list, request, lambda: engine)
    said = {"missing": "does not exist", "file": "is not a directory"}[name]
    assert answer == {"errors": [f"'{tmp_path}/{name}' {said}."]}


async def test_a_share_that_does_not_answer_is_neither_missing_nor_empty(
    engine: Engine, backups: MemoryContainer, runs: MemoryContainer, tmp_path: Path
) -> None:
    make(tmp_path / "source", 2)
    root = tmp_path / "share"
    with mounted(tmp_path / "source", root) as share:
        (answer,) = await list_all(engine, root)
        share.end()
        written = dict(runs.blobs)
        requests: list[Any] = [str(root), {"run": "run", "request": str(root), "left": []}]
        for request in requests:
            with pytest.raises(SourceUnavailableError, match="not connected"):
                await run_activity(get_file_list, request, lambda: engine)
        for task in range(2):
            with pytest.raises(SourceUnavailableError, match="not connected"):
                await copy_file_to_blob({"run": "run", "plan": answer["plans"][0][0], "task": task}, engine)
    assert not backups.blobs
    assert runs.blobs == written


async def test_an_engine_that_cannot_connect_is_an_answer_to_an_orchestration() -> None:
    def connect() -> Engine:
        raise FatalError("AzureWebJobsStorage is not configured.")

    assert await run_activity(get_file_list, {"run": "r"}, connect) == {
        "errors": ["AzureWebJobsStorage is not configured."]
    }
    with pytest.raises(FatalError):
        await run_activity(get_file_list, os.sep, connect)
