"""A listing finds exactly what is different from what the run before has saved, whatever the trees are."""

import asyncio
import os
import random
import shutil
import stat
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from sitebackup.engine.engine import Engine
from sitebackup.messages import Listed
from sitebackup.ranges import split
from sitebackup.records.entries import Entry
from sitebackup.tally import Tally
from sitebackup.tree.selecting import Selection, patterns
from tests.storage.conftest import an_engine
from tests.support.listings import Planned, finish, list_tree, planned
from tests.support.made_trees import NAMES, Tree, keys_of
from tests.support.memory import MemoryContainer

BELOW = st.recursive(
    st.sampled_from(["file", "larger file", "link"]),
    lambda below: st.dictionaries(NAMES, below, max_size=5),
    max_leaves=12,
)
TREES = st.dictionaries(NAMES, BELOW, max_size=6)
EXCLUDED = st.lists(st.sampled_from(["*.", "a*", "/b/", "**/0", "a/b", "*/-*"]), max_size=2)


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Tree, Tree]:
    """Two trees, of which the second has much of the first."""
    first = draw(TREES)
    return first, _mixed(draw, first, draw(TREES))


def _mixed(draw: st.DrawFn, old: Tree, new: Tree) -> Tree:
    mixed = dict(new)
    for name, below in old.items():
        choice = draw(st.sampled_from(["same", "same", "mixed", "gone"]))
        other = new.get(name)
        if choice == "same":
            mixed[name] = below
        elif choice == "mixed" and isinstance(below, dict):
            mixed[name] = _mixed(draw, below, other if isinstance(other, dict) else {})
    return mixed


def change(directory: Path, old: Tree, new: Tree) -> None:
    """Make one tree of another one, without touching what is in both."""
    for name in old.keys() | new.keys():
        path, before, after = directory / name, old.get(name), new.get(name)
        if isinstance(before, dict) and isinstance(after, dict):
            change(path, before, after)
            continue
        if before == after:
            continue
        if isinstance(before, dict):
            shutil.rmtree(path)
        elif (before is not None and "link" in (before, after)) or not isinstance(after, str):
            path.unlink(missing_ok=True)
        if isinstance(after, dict):
            path.mkdir()
            change(path, {}, after)
        elif after == "link":
            path.symlink_to("..")
        elif after is not None:
            path.write_text(after)


type State = tuple[int, ...]
"""What an entry is known by: kind and mode, owner, times, inode, and the size unless it is a directory."""


def states(root: Path) -> dict[str, State]:
    """The state of each entry of a tree, by its key."""

    def state(key: str) -> State:
        status = os.lstat(root / key)
        size = -1 if stat.S_ISDIR(status.st_mode) else status.st_size
        times = status.st_mtime_ns, status.st_ctime_ns
        return (status.st_mode, status.st_uid, status.st_gid, *times, status.st_ino, size)

    return {key: state(key) for key in keys_of(root)}


def with_blobs(states: Iterable[str]) -> set[str]:
    """Of the keys of a tree, those of which there is a blob: all but directories with something in them."""
    full = {f"{key.removesuffix('/').rpartition('/')[0]}/" for key in states}
    return {key for key in states if key and key not in full}


async def list_in_any_order(engine: Engine, root: Path, order: random.Random, **asked: Any) -> list[Listed]:
    """List a tree, always any one of the portions that are left."""
    answers = [await list_tree(engine, root, **asked)]
    left = split(answers[0].portions, 1)
    while left:
        answers.append(await list_tree(engine, root, *left.pop(order.randrange(len(left))), **asked))
        left += split(answers[-1].portions, 1)
    assert not any(answer.errors or answer.troubles for answer in answers)
    return answers


@settings(max_examples=100, deadline=None)
@given(pairs(), EXCLUDED, st.integers(1, 12), st.integers(1, 12), st.randoms(use_true_random=False))
def test_what_is_unchanged_new_changed_or_gone_is_what_is_different_between_two_trees(
    trees: tuple[Tree, Tree], exclude: list[str], budget: int, other_budget: int, order: random.Random
) -> None:
    async def check(root: Path) -> None:
        containers = {"history": MemoryContainer(), "catalog": MemoryContainer()}
        change(root, {}, trees[0])
        async with an_engine(
            MemoryContainer(), MemoryContainer(), root, **containers, list_budget=budget
        ) as engine:
            listed = await list_in_any_order(engine, root, order, run="first")
            saved = await finish(engine, root, listed, "first")
        before = states(root)
        assert list(saved) == sorted(before)

        change(root, *trees)
        after = states(root)
        async with an_engine(
            MemoryContainer(), MemoryContainer(), root, **containers, list_budget=other_budget
        ) as engine:
            asked = {"run": "second", "exclude": exclude, "allowEmpty": True}
            answers = await list_in_any_order(engine, root, order, **asked)
            found = await planned(engine, answers, "second")
        check_difference(before, after, saved, answers, found, Selection(exclude=patterns(exclude)))

    with TemporaryDirectory() as root:
        asyncio.run(check(Path(root)))


def check_difference(
    before: dict[str, State],
    after: dict[str, State],
    saved: dict[str, Entry],
    answers: list[Listed],
    found: list[Planned],
    selection: Selection,
) -> None:
    had_blob = with_blobs(before)
    excluded = {key for key in had_blob if not selection.takes_path(key)}
    taken = {key for key in after if selection.takes_path(key)}
    need_blob = with_blobs(taken)
    unchanged = {
        key
        for key in taken & before.keys()
        if after[key] == before[key] and (key in need_blob) == (key in had_blob)
    }

    draft = {entry.path: entry for plan in found for entry in plan.draft}
    tasks = [task for plan in found for task in plan.tasks]
    assert {key: entry for key, entry in draft.items() if key in unchanged} == {
        key: saved[key] for key in unchanged
    }
    assert draft.keys() == unchanged | (taken - need_blob) | excluded
    assert {key: (draft[key].outcome, draft[key].previous) for key in excluded} == {
        key: ("kept", saved[key].content) for key in excluded
    }
    assert sorted((task.path, task.base) for task in tasks if not task.gone) == sorted(
        (key, saved[key] if key in had_blob else None) for key in need_blob - unchanged
    )
    gone = had_blob - excluded - need_blob
    assert sorted((task.path, task.base) for task in tasks if task.gone) == sorted(
        (key, saved[key]) for key in gone
    )
    tally = Tally.of(answer.tally for answer in answers)
    pending = Tally.of(answer.pending for answer in answers)
    assert tally.unchanged == tally.files == sum(saved[key].kind == "file" for key in unchanged)
    assert (pending.gone, tally.kept) == (len(gone), len(excluded))
