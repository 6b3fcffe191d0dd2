"""Listings: a tree, joined with what the run before has saved of it."""

import asyncio
import errno
import json
import os
import random
import shutil
from collections import Counter
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sitebackup import __version__
from sitebackup.activities import listing
from sitebackup.blobs.container import Condition, Properties
from sitebackup.digests import root_id
from sitebackup.engine.engine import Engine
from sitebackup.messages import Listed
from sitebackup.ranges import Portion, split
from sitebackup.records.entries import Entry, entry_of
from sitebackup.records.manifest import read_index
from sitebackup.records.packing import MAX_FILES
from sitebackup.records.run_blobs import part_name
from sitebackup.tally import Tally
from sitebackup.tree.entries import Item, Odd, Unreached
from sitebackup.tree.keys import Range
from sitebackup.tree.walking import walk
from tests.storage.conftest import an_engine
from tests.support.fuse import Share, mounted
from tests.support.listings import (
    STARTED,
    a_walk_of,
    finish,
    leave,
    list_all,
    list_tree,
    make,
    planned,
    tasks_in,
)
from tests.support.made_trees import keys_of
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


async def list_twice(engine: Engine, root: Path, **asked: Any) -> tuple[dict[str, Entry], list[Listed]]:
    """List a tree for a run that saves all of it, and for the next one; return what the first has saved."""
    before = await finish(engine, root, await list_all(engine, root, run="before"), "before")
    return before, await list_all(engine, root, **asked)


def record_of(catalog: MemoryContainer, root: Path, run: str) -> dict[str, Any]:
    """The record of a run, with its metadata."""
    name = f"runs/{root_id(str(root))}/20261125T004512123456Z_{run}.json"
    data, properties = catalog.blobs[name]
    return {**json.loads(data), "metadata": properties.metadata}


async def test_the_first_listing_leaves_a_record_of_the_run(
    engine: Engine, catalog: MemoryContainer, tmp_path: Path
) -> None:
    make(tmp_path, 3)
    engine.settings = replace(engine.settings, source="this site")
    await list_tree(engine, tmp_path, exclude=["*.tmp"])
    record = record_of(catalog, tmp_path, "run")
    assert record.pop("options")["exclude"] == ["*.tmp"]
    assert record == {
        "run": "run",
        "root": str(tmp_path),
        "source": "this site",
        "version": __version__,
        "started": STARTED,
        "metadata": {"state": "running"},
    }


async def test_the_baseline_is_the_newest_manifest_of_the_root_of_a_failed_run_too(
    engine: Engine, catalog: MemoryContainer, tmp_path: Path
) -> None:
    root, other = tmp_path / "root", tmp_path / "other"
    for tree, days in ((root, (1, 2)), (other, (5,))):
        for day in days:
            make(tree, 10 * day)
            run = f"{tree.name}-{day}"
            started = f"2026-11-0{day}T00:00:00.000000Z"
            answers = await list_all(engine, tree, run=run, started=started)
            await finish(engine, tree, answers, run, state="failed", started=started)
    started = "2026-11-03T00:00:00.000000Z"
    await list_all(engine, root, run="root-3", started=started)  # it left no manifest
    started = "2026-11-04T00:00:00.000000Z"
    make(root, 25)
    await finish(engine, root, await list_all(engine, root, run="root-4", started=started), "root-4")
    del catalog.blobs["manifests/root-4/index.json"]  # it was forgotten

    answers = await list_all(engine, root)
    assert answers[0].baseline == 1 + 7 + 20
    bases = [task.base for batch in await tasks_in(engine, answers) for task in batch]
    assert Counter(base and base.since for base in bases) == {"root-2": 20, None: 5}


async def test_a_large_baseline_is_only_cut_where_its_parts_begin(
    backups: MemoryContainer, runs: MemoryContainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path, 200)
    async with an_engine(backups, runs, tmp_path, list_budget=15) as engine:
        saved = await finish(engine, tmp_path, await list_all(engine, tmp_path, run="before"), "before")
        index = await read_index(engine.catalog, "before")
        engine.settings = replace(engine.settings, list_budget=40)
        with monkeypatch.context() as patch:
            patch.setattr(listing, "walk", None)
            answer = await list_tree(engine, tmp_path)
        assert (answer.baseline, answer.plans, answer.tally) == (len(saved), (), Tally())
        (portions,) = answer.portions
        left = [
            (await engine.plans.read_portion("run", portions.of, number))[1:]
            for number in range(portions.count)
        ]
        assert {baseline for baseline, _ in left} == {"before"}
        ranges = [wanted for _, wanted in left]
        assert [wanted.end for wanted in ranges] == [*(wanted.begin for wanted in ranges[1:]), None]
        assert {wanted.begin for wanted in ranges[1:]} <= {part.first for part in index.parts}
        found = [sum(key in wanted for key in saved) for wanted in ranges]
        assert sum(found) == len(saved)
        assert max(found) <= 30, "three quarters of the budget"
        assert len(found) <= 2 * len(saved) / 30


class KilledError(Exception):
    """The process of an activity has ended."""


class Deadly(MemoryContainer):
    """Ends the process at the `fatal`th request to write, before it or after it."""

    fatal = -1
    is_done_first = False

    async def put(
        self, name: str, data: bytes, properties: Properties, condition: Condition | None = None
    ) -> str:
        self.fatal -= 1
        if self.fatal == 0 and not self.is_done_first:
            raise KilledError
        etag = await super().put(name, data, properties, condition)
        if self.fatal == 0:
            raise KilledError
        return etag


@pytest.mark.parametrize("seed", range(5))
async def test_portions_in_any_order_twice_or_killed_in_between_give_each_entry_once(
    seed: int, tmp_path: Path
) -> None:
    order = random.Random(seed)  # noqa: S311 - no secret
    make(tmp_path, 200)
    catalog, runs = Deadly(), Deadly()
    async with an_engine(MemoryContainer(), runs, tmp_path, catalog=catalog, list_budget=20) as engine:
        saved = await finish(engine, tmp_path, await list_all(engine, tmp_path, run="before"), "before")
        for path in list(tmp_path.glob("d*/f*"))[::9]:
            path.unlink()
        make(tmp_path / "new", 50)

        async def attempt(*portions: Portion) -> Listed | None:
            deadly = order.choice([catalog, runs])
            deadly.fatal, deadly.is_done_first = order.randrange(6), order.random() < 0.5
            try:
                return await list_tree(engine, tmp_path, *portions)
            except KilledError:
                return None
            finally:
                deadly.fatal = -1

        answers: list[Listed] = []
        left: list[tuple[Portion, ...]] = [()]
        while left:
            asked = left.pop(order.randrange(len(left)))
            tries = [await attempt(*asked) for _ in range(3)]
            answer = next((answer for answer in tries if answer is not None), None)
            if answer is None:
                left.append(asked)
                continue
            answers.append(answer)
            left += split(answer.portions, 1)

        plans = await planned(engine, answers)
    drafted = [entry.path for plan in plans for entry in plan.draft]
    tasks = [task.path for plan in plans for task in plan.tasks if not task.gone]
    gone = [task.path for plan in plans for task in plan.tasks if task.gone]
    keys = keys_of(tmp_path)
    assert sorted(drafted + tasks) == keys
    assert sorted(gone) == sorted(saved.keys() - set(keys))
    assert len(gone) > 20


async def test_a_budget_of_ten_for_a_thousand_entries_lists_each_of_them_once(
    backups: MemoryContainer, runs: MemoryContainer, tmp_path: Path
) -> None:
    make(tmp_path, 1_000)
    async with an_engine(backups, runs, tmp_path, list_budget=10) as engine:
        first = await list_all(engine, tmp_path, run="before")
        saved = await finish(engine, tmp_path, first, "before")
        assert sorted(saved) == keys_of(tmp_path)
        assert all(plan.entries <= 10 for answer in first for plan in answer.plans)
        again = await list_all(engine, tmp_path)
        plans = await planned(engine, again)
    assert {entry.path: entry for plan in plans for entry in plan.draft} == saved
    assert not any(plan.tasks for plan in plans)
    assert Tally.of(answer.tally for answer in again).unchanged == 1_000
    assert len(again) <= 1.5 * 1_000 / (0.75 * 10)


SILENT = "b"


@pytest.fixture
def share(tmp_path: Path) -> Generator[Share]:
    """A share with the directories a, b and c, and two files in each."""
    for name in ("a", "b", "c"):
        for number in range(2):
            path = tmp_path / "source" / name / f"f{number}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"x")
    with mounted(tmp_path / "source", tmp_path / "share") as share:
        yield share


def silence(share: Share) -> None:
    """Let one directory of the share fail."""

    def trouble(operation: str, path: str) -> int | None:
        return errno.EHOSTDOWN if (operation, path) == ("opendir", SILENT) else None

    share.trouble = trouble


async def test_a_directory_that_does_not_answer_is_left_out_of_the_plans_before_and_after_it(
    engine: Engine, share: Share
) -> None:
    root = share.point
    saved = await finish(engine, root, await list_all(engine, root, run="before"), "before")
    silence(share)
    answer = await list_tree(engine, root)
    assert answer.troubles == ("A directory cannot be listed now: Host is down.",)
    assert answer.advanced
    (portion,) = answer.portions
    plans = await planned(engine, [answer])
    assert [plan.paths for plan in plans] == [["", "a/", "a/f0", "a/f1"], ["c/", "c/f0", "c/f1"]]
    assert not any(plan.tasks for plan in plans)

    again = await list_tree(engine, root, portion)  # it is silent still
    assert (again.plans, again.advanced, len(again.troubles)) == ((), False, 1)
    (portion,) = again.portions
    share.trouble = lambda operation, path: None
    (share.source / SILENT / "f0").unlink()
    later = await list_tree(engine, root, portion)
    assert (later.troubles, later.portions) == ((), ())
    (plan,) = await planned(engine, [later])
    assert [(task.path, task.base, task.gone) for task in plan.tasks] == [("b/f0", saved["b/f0"], True)]
    assert [entry.path for entry in plan.draft] == ["b/", "b/f1"]
    assert plan.draft[1] == saved["b/f1"]


async def test_what_is_below_a_directory_that_never_answers_is_kept(engine: Engine, share: Share) -> None:
    root = share.point
    saved = await finish(engine, root, await list_all(engine, root, run="before"), "before")
    silence(share)
    (portion,) = (await list_tree(engine, root)).portions
    answer = await list_tree(engine, root, portion, last=True)
    assert (answer.troubles, answer.portions) == ((), ())
    assert (answer.tally, answer.pending) == (Tally(failed=1, kept=2), Tally())
    assert answer.named == ("b/: Host is down",)
    (plan,) = await planned(engine, [answer])
    assert [(entry.path, entry.outcome, entry.previous) for entry in plan.draft] == [
        ("b/", "failed", None),
        ("b/f0", "kept", saved["b/f0"].content),
        ("b/f1", "kept", saved["b/f1"].content),
    ]
    assert plan.draft[1].reason == "its directory is not read: Host is down"


async def test_a_name_that_cannot_be_looked_at_may_be_a_directory_and_keeps_what_is_below_it(
    engine: Engine, share: Share
) -> None:
    root = share.point
    (share.source / "b.d").mkdir()  # its key is between those of a file and of a directory "b"
    (share.source / "b.d" / "f").write_bytes(b"x")
    saved = await finish(engine, root, await list_all(engine, root, run="before"), "before")
    share.tells_kinds = False

    def trouble(operation: str, path: str) -> int | None:
        return errno.EACCES if operation == "lstat" and path in ("b", "b.d") else None

    share.trouble = trouble
    (answer,) = await list_all(engine, root)
    assert (answer.tally.failed, answer.tally.kept, answer.pending.gone) == (2, 3, 0)
    (plan,) = await planned(engine, [answer])
    kept = {entry.path: entry.previous for entry in plan.draft if entry.outcome == "kept"}
    assert kept == {path: saved[path].content for path in ("b.d/f", "b/f0", "b/f1")}


async def test_a_share_that_was_unmounted_between_two_portions_has_not_lost_what_is_on_it(
    backups: MemoryContainer, runs: MemoryContainer, share: Share, tmp_path: Path
) -> None:
    async with an_engine(backups, runs, tmp_path, list_budget=3) as engine:
        await finish(engine, share.point, await list_all(engine, share.point, run="before"), "before")
        first = await list_tree(engine, share.point)
        share.end()
        share.unmount()
        (share.point / "README").write_text("The share is not mounted.")
        for portion in split(first.portions, 1):
            answer = await list_tree(engine, share.point, *portion, allowEmpty=True)
            assert "is not the tree that was listed" in answer.errors[0]
            assert not answer.plans


async def test_a_share_that_is_unmounted_while_it_is_listed_has_not_lost_what_is_on_it(
    engine: Engine, share: Share, monkeypatch: pytest.MonkeyPatch
) -> None:
    await finish(engine, share.point, await list_all(engine, share.point, run="before"), "before")

    def walk_later(*given: Any, **more: Any) -> Any:
        share.end()
        share.unmount()
        (share.point / "README").write_text("The share is not mounted.")
        return walk(*given, **more)

    monkeypatch.setattr(listing, "walk", walk_later)
    answer = await list_tree(engine, share.point)
    assert "is not the tree that was listed" in answer.errors[0]
    assert not answer.plans


async def test_a_tree_that_is_emptied_between_two_portions_is_not_gone_unless_it_may_be_empty(
    backups: MemoryContainer, runs: MemoryContainer, tmp_path: Path
) -> None:
    make(tmp_path, 70)
    async with an_engine(backups, runs, tmp_path, list_budget=15) as engine:
        saved = await finish(engine, tmp_path, await list_all(engine, tmp_path, run="before"), "before")
        first = await list_tree(engine, tmp_path)
        for path in tmp_path.iterdir():
            shutil.rmtree(path)
        for portion in split(first.portions, 1):
            answer = await list_tree(engine, tmp_path, *portion)
            assert "is empty or not there any more, or not mounted" in answer.errors[0]
        answers = await list_all(engine, tmp_path, allowEmpty=True)
        gone = [task.path for plan in await planned(engine, answers) for task in plan.tasks]
    assert sorted(gone) == [path for path in sorted(saved) if not path.endswith("/") and path]


async def test_a_run_before_of_another_source_is_noted(engine: Engine, tmp_path: Path) -> None:
    make(tmp_path, 3)
    engine.settings = replace(engine.settings, source="old site")
    _, (same,) = await list_twice(engine, tmp_path, run="same")
    assert same.notes == ()
    engine.settings = replace(engine.settings, source="new site")
    (other,) = await list_all(engine, tmp_path, run="other")
    assert other.notes == ("The run before was made by 'old site', this one by 'new site'.",)


NOT_WHOLE = ("The manifest of run 'before' is not whole any more: what it does not say is read again.",)


async def test_what_a_missing_part_of_the_baseline_said_is_read_again_and_not_gone(
    backups: MemoryContainer, runs: MemoryContainer, catalog: MemoryContainer, tmp_path: Path
) -> None:
    make(tmp_path, 200)
    async with an_engine(backups, runs, tmp_path, catalog=catalog, list_budget=20) as engine:
        saved = await finish(engine, tmp_path, await list_all(engine, tmp_path, run="before"), "before")
        index = await read_index(engine.catalog, "before")
        part = index.parts[len(index.parts) // 2]
        name = part_name("before", part.name)
        lost = {entry_of(line).path for line in catalog.blobs[name][0].splitlines()}
        del catalog.blobs[name]
        known = saved.keys() - lost
        victims = [min(path for path in paths if "/f" in path) for paths in (lost, known)]
        for path in victims:
            (tmp_path / path).unlink()
        answers = await list_all(engine, tmp_path)
        plans = await planned(engine, answers)
    assert not any(answer.errors for answer in answers)
    assert Listed.of(answers, ()).notes == NOT_WHOLE
    tasks = {task.path: (task.base, task.gone) for plan in plans for task in plan.tasks}
    files = {path for path in lost if not path.endswith("/") and path}
    assert tasks == {
        **dict.fromkeys(files - set(victims), (None, False)),
        victims[1]: (saved[victims[1]], True),
    }


async def test_a_baseline_that_is_forgotten_while_the_tree_is_listed_makes_the_rest_new(
    backups: MemoryContainer, runs: MemoryContainer, catalog: MemoryContainer, tmp_path: Path
) -> None:
    make(tmp_path, 70)
    async with an_engine(backups, runs, tmp_path, catalog=catalog, list_budget=20) as engine:
        await finish(engine, tmp_path, await list_all(engine, tmp_path, run="before"), "before")
        answers = [await list_tree(engine, tmp_path)]
        hands = split(answers[0].portions, 1)
        for path in [name for name in catalog.blobs if name.startswith("manifests/before/")]:
            del catalog.blobs[path]
        (tmp_path / "d0" / "f0").unlink()
        while hands:
            answers.append(await list_tree(engine, tmp_path, *hands.pop()))
            hands += split(answers[-1].portions, 1)
        plans = await planned(engine, answers)
    assert Listed.of(answers, ()).notes == NOT_WHOLE
    assert Tally.of(answer.pending for answer in answers) == Tally(files=69, bytes=69)
    assert sorted(path for plan in plans for path in plan.paths) == keys_of(tmp_path)


async def test_names_that_are_no_utf_8_go_through_baseline_and_portions_and_back(
    backups: MemoryContainer, runs: MemoryContainer, tmp_path: Path
) -> None:
    names = [bytes([byte]) * 2 for byte in (0x80, 0xC3, 0xFE, 0xFF)]
    for directory in names:
        (tmp_path / os.fsdecode(directory)).mkdir()
        for name in (*names, "\U0001f600".encode()):
            (tmp_path / os.fsdecode(directory) / os.fsdecode(name)).write_bytes(b"x")
    async with an_engine(backups, runs, tmp_path, list_budget=4) as engine:
        saved = await finish(engine, tmp_path, await list_all(engine, tmp_path, run="before"), "before")
        assert sorted(saved) == keys_of(tmp_path)
        assert len((await read_index(engine.catalog, "before")).parts) > 5
        changed, gone = (os.fsdecode(name + b"/" + name) for name in names[2:])
        (tmp_path / changed).write_bytes(b"longer")
        (tmp_path / gone).unlink()
        plans = await planned(engine, await list_all(engine, tmp_path))
    tasks = [(task.path, task.base, task.gone) for plan in plans for task in plan.tasks]
    assert tasks == [(changed, saved[changed], False), (gone, saved[gone], True)]
    unchanged = {entry.path: entry for plan in plans for entry in plan.draft if entry.kind == "file"}
    assert unchanged == {
        path: entry for path, entry in saved.items() if entry.kind == "file" and path not in (changed, gone)
    }
