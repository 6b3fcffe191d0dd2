"""Listings: a tree, joined with what the run before has saved of it."""

import asyncio
import json
import shutil
from pathlib import Path

import pytest

from sitebackup.activities import listing
from sitebackup.engine.engine import Engine
from sitebackup.records.packing import MAX_FILES
from sitebackup.tally import Tally
from sitebackup.tree.entries import Item, Odd, Unreached
from sitebackup.tree.keys import Range
from tests.storage.conftest import an_engine
from tests.support.listings import a_walk_of, leave, list_all, list_tree, make, tasks_in
from tests.support.memory import MemoryContainer


async def test_a_small_tree_is_planned_one_file_a_batch(engine: Engine, tmp_path: Path) -> None:
    files = make(tmp_path, 20, size=3)
    (answer,) = await list_all(engine, tmp_path)
    assert (answer.tally, answer.pending) == (Tally(directories=8), Tally(files=20, bytes=60))
    assert answer.portions == ()
    batches = await tasks_in(engine, [answer])
    assert all(len(batch) == 1 for batch in batches)
    assert {file for (file,) in batches} == files


async def test_a_tree_beyond_the_budget_is_listed_by_more_calls_and_every_file_once(
    backups: MemoryContainer, runs: MemoryContainer, tmp_path: Path
) -> None:
    files = make(tmp_path, 700)
    async with an_engine(backups, runs, tmp_path, list_budget=150) as engine:
        answers = await list_all(engine, tmp_path)
        assert len(answers) > 3
        assert sum(answer.pending.files for answer in answers) == 700
        batches = await tasks_in(engine, answers)
    assert sorted(file.path for batch in batches for file in batch) == sorted(file.path for file in files)
    assert max(map(len, batches)) <= MAX_FILES


async def test_listing_the_same_twice_at_the_same_time_writes_two_plans(
    engine: Engine, tmp_path: Path
) -> None:
    make(tmp_path, 300)
    first, second = await asyncio.gather(list_all(engine, tmp_path), list_all(engine, tmp_path))
    assert first[0].plans != second[0].plans
    assert await tasks_in(engine, first) == await tasks_in(engine, second)


async def test_a_root_that_leads_elsewhere_since_the_listing_began_is_said(
    backups: MemoryContainer, runs: MemoryContainer, tmp_path: Path
) -> None:
    for release in ("1", "2"):
        make(tmp_path / release, 14)
    current = tmp_path / "current"
    current.symlink_to("1")
    async with an_engine(backups, runs, tmp_path, list_budget=1) as engine:
        first = await list_tree(engine, current)
        current.unlink()
        current.symlink_to("2")
        shutil.rmtree(tmp_path / "1")
        (error,) = (await list_tree(engine, current, *first.portions)).errors
        assert error == f"'{current}' is not where it was when the backup began."


async def test_a_root_that_cannot_be_read_is_no_tree_with_one_failure(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "walk", a_walk_of(Odd("", "failed", "Permission denied")))
    answer = await list_tree(engine, tmp_path)
    assert answer.errors == ("The root cannot be listed: Permission denied.",)


async def test_directories_that_do_not_answer_are_left_for_later_and_all_others_are_listed(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    walk = a_walk_of(Item("a", "file", 1), Unreached("d", "Host is down"), Item("e", "file", 1))
    monkeypatch.setattr(listing, "walk", walk)
    answer = await list_tree(engine, tmp_path)
    assert answer.troubles == ("A directory cannot be listed now: Host is down.",)
    assert (answer.pending.files, answer.advanced) == (2, True)
    (portion,) = answer.portions
    _, baseline, left = await engine.plans.read_portion("run", portion.of, portion.first)
    assert (portion.count, baseline, left) == (1, None, Range("d/", "d0"))


async def test_directories_that_do_not_answer_and_nothing_else_are_no_progress(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    portion = await leave(engine, tmp_path, Range("d/", "d0"))
    monkeypatch.setattr(listing, "walk", a_walk_of(Unreached("d", "Host is down")))
    answer = await list_tree(engine, tmp_path, portion)
    assert (len(answer.troubles), len(answer.portions), answer.advanced) == (1, 1, False)


async def test_a_directory_that_does_not_answer_has_failed_when_nobody_will_list_it_again(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    portion = await leave(engine, tmp_path, Range("d/", "d0"))
    monkeypatch.setattr(listing, "walk", a_walk_of(Unreached("d", "Input/output error")))
    answer = await list_tree(engine, tmp_path, portion, last=True)
    assert (answer.tally.failed, answer.portions, answer.troubles) == (1, (), ())


async def test_an_entry_that_the_listing_cannot_save_is_a_line_of_the_draft(
    engine: Engine, catalog: MemoryContainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    fifo = Odd("fifo", "skipped", "fifo")
    gone = Odd("gone", "vanished", "vanished while the tree was listed", "directory")
    monkeypatch.setattr(listing, "walk", a_walk_of(fifo, gone))
    answer = await list_tree(engine, tmp_path)
    assert answer.tally == Tally(vanished=1, skipped=1)
    (plan,) = answer.plans
    assert plan.is_complete
    draft = catalog.blobs[f"manifests/run/{plan.id}.ndjson"][0].splitlines()
    assert [json.loads(line) for line in draft] == [
        {"path": "fifo", "outcome": "skipped", "reason": "fifo"},
        {
            "path": "gone/",
            "kind": "directory",
            "outcome": "vanished",
            "reason": "vanished while the tree was listed",
        },
    ]
