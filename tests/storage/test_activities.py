"""The activities: plans, outcomes, the tutorial's bare strings, and what may not be backed up."""

import asyncio
import hashlib
import json
import logging
import os
import re
import shutil
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from sitebackup.activities import listing
from sitebackup.activities.copying import copy_file_to_blob
from sitebackup.activities.listing import get_file_list
from sitebackup.activities.running import run as run_activity
from sitebackup.blobs import blobname
from sitebackup.engine.engine import Engine
from sitebackup.engine.threads import Disk
from sitebackup.errors import FatalError, SourceError, SourceUnavailableError
from sitebackup.messages import Answer, CopyRequest, Listed
from sitebackup.ranges import split
from sitebackup.settings import Settings
from sitebackup.tally import Tally
from sitebackup.tree.entries import Odd
from tests.storage.conftest import an_engine, goes_on
from tests.support.fuse import mounted
from tests.support.listings import a_walk_of, answer_of, copy, list_all, list_tree, make, tasks_in
from tests.support.memory import MemoryContainer


async def test_no_file_name_is_in_what_the_activities_return(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "name below the root").write_bytes(b"x")
    (tmp_path / "name of a link").symlink_to("nowhere")
    os.mkfifo(tmp_path / "name of a fifo")
    (answer,) = await list_all(engine, tmp_path)
    (plan,) = answer.plans
    copies = [CopyRequest("run", plan.id, batch) for batch in range(plan.batches)]
    answers = [await answer_of(copy_file_to_blob, request, engine) for request in copies]
    assert "name" not in json.dumps([answer.to_json(), *answers])


async def test_a_batch_records_the_outcome_of_each_file(
    engine: Engine, backups: MemoryContainer, runs: MemoryContainer, tmp_path: Path
) -> None:
    make(tmp_path, 300)
    (answer,) = await list_all(engine, tmp_path)
    (plan,) = answer.plans
    first, second, third, *others = [task.path for task in (await tasks_in(engine, [answer]))[0]]
    (tmp_path / first).unlink()
    (tmp_path / second).unlink()
    (tmp_path / second).symlink_to("/etc/passwd")
    (tmp_path / third).write_bytes(b"longer")
    os.utime(tmp_path / third, ns=(1, 10**9))
    done = await copy(engine, plan)
    files, size = len(others) + 1, len(others) + 6
    assert done.tally == Tally(files=files, bytes=size, new=files, uploaded=size, failed=1, vanished=1)
    assert set(backups.blobs) == {blobname.encode(f"{tmp_path}/{path}") for path in [third, *others]}

    outcomes = [json.loads(line) for line in runs.blobs[f"run/outcomes/{plan.id}-0.ndjson"][0].splitlines()]
    entries = {outcome["entry"]["path"]: outcome["entry"] for outcome in outcomes}
    assert list(entries) == sorted([first, second, third, *others])
    assert entries[first] == {
        "path": first,
        "outcome": "vanished",
        "kind": "file",
        "reason": "vanished since it was listed",
    }
    assert entries[second]["outcome"] == "failed"
    assert entries[second]["reason"] == "is a symbolic link now"
    saved = entries[third]
    status = (tmp_path / third).stat()
    assert re.fullmatch(r'".+"', saved.pop("etag"))
    assert saved.pop("ctime").endswith(f".{status.st_ctime_ns % 10**9:09d}Z")
    assert saved == {
        "path": third,
        "kind": "file",
        "size": 6,
        "mtime": "1970-01-01T00:00:01.000000000Z",
        "inode": status.st_ino,
        "mode": f"{status.st_mode:o}",
        "uid": status.st_uid,
        "gid": status.st_gid,
        "blob": f"{tmp_path}/{third}"[1:],
        "md5": hashlib.md5(b"longer", usedforsecurity=False).hexdigest(),
        "since": "run",
        "recheck": True,  # it was changed just now
    }


async def test_a_root_that_was_unmounted_is_no_tree_whose_files_have_vanished(
    backups: MemoryContainer, runs: MemoryContainer, tmp_path: Path
) -> None:
    make(tmp_path, 14)
    async with an_engine(backups, runs, tmp_path, list_budget=3) as engine:
        first = await list_tree(engine, tmp_path)
        piece, *others = split(first.portions, 1)
        (plan,) = (await list_tree(engine, tmp_path, *piece)).plans
        for path in tmp_path.iterdir():
            shutil.rmtree(path)

        (error,) = (await copy(engine, plan)).errors
        assert "is empty or not there any more, or not mounted" in error
        (error,) = (await list_tree(engine, tmp_path, *others[0])).errors
        assert "is empty or not there any more, or not mounted" in error


async def test_nothing_is_read_of_another_tree_that_is_at_the_path_when_files_are_copied(
    engine: Engine, backups: MemoryContainer, tmp_path: Path
) -> None:
    make(tmp_path / "source", 1)
    root = tmp_path / "share"
    with mounted(tmp_path / "source", root):
        (answer,) = await list_all(engine, root)
    make(root, 1)  # on the machine that copies, the share is not mounted
    (error,) = (await copy(engine, answer.plans[0])).errors
    assert "is not the tree that was listed" in error
    assert not backups.blobs


async def test_a_silent_share_does_not_stop_the_backup_of_another_root(
    engine: Engine, backups: MemoryContainer, tmp_path: Path
) -> None:
    engine.disk = Disk(2, deadline=0.5)
    make(tmp_path / "source", 2)
    make(tmp_path / "site", 2)
    with mounted(tmp_path / "source", tmp_path / "share") as share:
        (known,) = await list_all(engine, tmp_path / "share")
        share.trouble = lambda operation, path: 0
        listings = [asyncio.create_task(list_tree(engine, tmp_path / "share")) for _ in range(4)]
        copies = [asyncio.create_task(copy(engine, known.plans[0], batch)) for batch in range(2)]
        await asyncio.sleep(0)
        (answer,) = await list_all(engine, tmp_path / "site")
        for batch in range(2):
            assert (await copy(engine, answer.plans[0], batch)).tally.files == 1
        for told in (*await asyncio.gather(*listings), *await asyncio.gather(*copies)):
            assert told.troubles == ("The disk or share has not answered for 0.5 seconds",)
            assert told.errors == ()
    assert len(backups.blobs) == 2


async def test_a_bare_directory_gives_the_list_of_its_files(engine: Engine, tmp_path: Path) -> None:
    files = make(tmp_path, 20)
    paths = await get_file_list(f" {tmp_path}/ ", engine)
    assert sorted(paths) == sorted(f"{tmp_path}/{file.path}" for file in files)


async def test_a_bare_directory_names_no_path_unless_that_is_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "walk", a_walk_of(Odd("secret", "failed", "Permission denied")))
    settings = Settings((str(tmp_path),), concurrency=8, list_budget=1, log_paths=False)
    engine = Engine(settings, MemoryContainer(), MemoryContainer(), MemoryContainer(), MemoryContainer())
    with closing(engine), pytest.raises(SourceError, match=r"^Permission denied$"):
        await get_file_list(str(tmp_path), engine)


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
        if form == "string":
            with pytest.raises(FatalError, match="outside the directories"):
                await get_file_list(root, engine)
            with pytest.raises(FatalError, match="outside the directories"):
                await copy_file_to_blob(f"{root}/passwd", engine)
        else:
            (error,) = (await list_tree(engine, Path(root))).errors
            assert "outside the directories" in error
    assert not backups.blobs
    assert not runs.blobs


async def test_what_was_planned_is_not_touched_either_once_it_is_outside_the_allowed_roots(
    backups: MemoryContainer, runs: MemoryContainer, tmp_path: Path
) -> None:
    make(tmp_path / "site", 14)
    (tmp_path / "other").mkdir()
    (tmp_path / "root").symlink_to("site")
    async with an_engine(backups, runs, tmp_path, list_budget=3) as engine:
        first = await list_tree(engine, tmp_path / "root")
        piece, *others = split(first.portions, 1)
        (plan,) = (await list_tree(engine, tmp_path / "root", *piece)).plans
    (tmp_path / "root").unlink()
    (tmp_path / "root").symlink_to("other")
    planned = dict(runs.blobs)
    async with an_engine(backups, runs, tmp_path / "other", list_budget=1) as engine:
        (error,) = (await copy(engine, plan)).errors
        assert "site' is outside the directories" in error
        (error,) = (await list_tree(engine, tmp_path / "root", *others[0])).errors
        assert "site' is outside the directories" in error
    assert not backups.blobs
    assert runs.blobs == planned


@pytest.mark.parametrize("name", ["missing", "file"])
async def test_a_root_that_is_no_directory_is_said_with_its_path(
    engine: Engine, tmp_path: Path, name: str
) -> None:
    (tmp_path / "file").touch()
    said = {"missing": "does not exist", "file": "is not a directory"}[name]
    assert (await list_tree(engine, tmp_path / name)).errors == (f"'{tmp_path}/{name}' {said}.",)


async def test_a_share_that_does_not_answer_is_neither_missing_nor_empty(
    engine: Engine, backups: MemoryContainer, runs: MemoryContainer, tmp_path: Path
) -> None:
    make(tmp_path / "source", 2)
    root = tmp_path / "share"
    with mounted(tmp_path / "source", root) as share:
        (listed,) = await list_all(engine, root)
        share.end()
        written = dict(runs.blobs)
        with pytest.raises(SourceUnavailableError, match="not connected"):
            await get_file_list(str(root), engine)
        answers = [await list_tree(engine, root), *[await copy(engine, listed.plans[0], n) for n in range(2)]]
        assert all("not connected" in trouble for answer in answers for trouble in answer.troubles)
        assert [len(answer.troubles) for answer in answers] == [1, 1, 1]
    assert not backups.blobs
    assert runs.blobs == written


async def test_a_run_that_is_started_anew_at_once_under_its_id_has_the_work_done_again(
    engine: Engine,
) -> None:
    async def is_over(_: str) -> bool:
        return True

    async def wait(_: Any, engine: Engine) -> None:
        await asyncio.sleep(60)

    for _ in range(2):
        answer = Answer.from_json(await run_activity(wait, {"run": "r"}, lambda: engine, is_over))
        assert answer == Answer(troubles=("The run has ended.",))


async def test_an_engine_that_cannot_connect_is_an_answer_to_an_orchestration() -> None:
    def connect() -> Engine:
        raise FatalError("AzureWebJobsStorage is not configured.")

    answer = await run_activity(get_file_list, {"run": "r"}, connect, goes_on)
    assert Listed.from_json(answer).errors == ("AzureWebJobsStorage is not configured.",)
    with pytest.raises(FatalError):
        await run_activity(get_file_list, os.sep, connect, goes_on)
