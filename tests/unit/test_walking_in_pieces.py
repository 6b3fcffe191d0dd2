"""Walks through ranges of keys: together they find what one walk finds, however a tree is cut."""

import math
import os
import tracemalloc
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sitebackup.tree import walking
from sitebackup.tree.names import Names
from sitebackup.tree.selecting import Selection, patterns
from sitebackup.tree.walking import Item, Range, Rest, walk
from tests.support.made_trees import NAMES, TREES, Tree, keys_of, made
from tests.support.walks import rounds


def check(root: Path, items: Sequence[Item]) -> None:
    """Check that `items` are what is on the disk."""
    for item in items:
        path = root / item.path
        assert item.attributes is not None
        assert item.attributes.inode == path.lstat().st_ino
        is_empty = item.path != "" and item.key.endswith("/") and not list(path.iterdir())
        assert item.is_empty == is_empty


def keys(entries: list[Item]) -> list[str]:
    return [item.key for item in entries]


def piece(
    root: Path, wanted: Range, budget: float = math.inf, seconds: float = math.inf
) -> tuple[list[Item], tuple[Range, ...]]:
    """Walk a range; return what is found, and the ranges that are left."""
    entries = [entry for entry in walk(str(root), wanted, budget, seconds=seconds) if entry is not None]
    last = entries[-1] if entries else None
    items = [entry for entry in entries if isinstance(entry, Item)]
    return items, last.ranges if isinstance(last, Rest) else ()


def check_rest(wanted: Range, found: list[Item], left: tuple[Range, ...]) -> None:
    """Check that the ranges which are left begin after what was found, and have no holes."""
    if left:
        assert left[0].begin > max(found[-1].key if found else "", wanted.begin)
        assert [part.end for part in left] == [*(part.begin for part in left[1:]), wanted.end]


@settings(max_examples=150, deadline=None)
@given(TREES, st.integers(1, 12), st.booleans())
def test_pieces_of_a_walk_are_sorted_and_together_the_whole_tree(
    tree: Tree, budget: int, in_no_time: bool
) -> None:
    with made(tree) as root:
        pieces: list[tuple[str, list[Item]]] = []
        pending = [Range()]
        while pending:
            wanted = pending.pop()
            found, left = piece(root, wanted, seconds=0) if in_no_time else piece(root, wanted, budget)
            check_rest(wanted, found, left)
            assert all(item.key in wanted for item in found)
            assert len(found) <= budget or in_no_time
            pieces.append((wanted.begin, found))
            pending += left
        found = [item for _, items in sorted(pieces, key=lambda part: part[0]) for item in items]
        assert keys(found) == keys_of(root)
        check(root, found)


@settings(max_examples=150, deadline=None)
@given(TREES, st.data())
def test_a_walk_yields_what_is_in_its_range_and_nothing_else(tree: Tree, data: st.DataObject) -> None:
    with made(tree) as root:
        known = keys_of(root)
        bound = st.sampled_from(known) | NAMES | st.builds("{}{}".format, st.sampled_from(known), NAMES)
        wanted = Range(data.draw(bound), data.draw(bound | st.none()))
        found, left = piece(root, wanted)
        assert keys(found) == [key for key in known if key in wanted]
        assert left == ()
        check(root, found)


PATTERNS = ["*.", "a*", "/b/", "!ab", "**/a", "a/b", "0*", "*/-*", "a?/"]


@settings(max_examples=150, deadline=None)
@given(
    TREES, st.lists(st.sampled_from(PATTERNS), max_size=3), st.lists(st.sampled_from(PATTERNS), max_size=3)
)
def test_the_patterns_take_the_path_of_what_a_walk_meets_and_of_nothing_else(
    tree: Tree, include: list[str], exclude: list[str]
) -> None:
    selection = Selection(patterns(include), patterns(exclude))
    with made(tree) as root:
        met = [entry.key for entry in walk(str(root), selection=selection) if isinstance(entry, Item)]
        assert met == [key for key in keys_of(root) if selection.takes_path(key)]


COUNT, BUDGET = 300_000, 20_000


@pytest.mark.timeout(300)
def test_a_huge_directory_is_walked_in_pieces_that_each_fit_in_memory() -> None:
    with TemporaryDirectory() as root:
        files = [f"file-{number}" for number in range(COUNT)]
        for number, file in enumerate(files):  # names of a few files, since making files takes long
            one = Path(root, files[number - number % 50_000])
            if number % 50_000:
                os.link(one, f"{root}/{file}")
            else:
                one.touch()

        tracemalloc.start()
        try:
            assert sum(isinstance(entry, Item) for entry in walk(root, budget=BUDGET)) == BUDGET
            assert tracemalloc.get_traced_memory()[1] < 8_000_000, "the names alone are 20 MB"
        finally:
            tracemalloc.stop()

        pieces = sorted(rounds(root, BUDGET), key=lambda part: part[0].begin)
    assert 15 <= len(pieces) <= 20
    found = [item.key for _, items in pieces for item in items]
    assert found == sorted(["", *files])


def test_large_directories_in_each_other_are_not_held_in_memory_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    all_names: list[Names] = []

    def names(most: float) -> Names:
        all_names.append(Names(most))
        return all_names[-1]

    monkeypatch.setattr(walking, "Names", names)
    depth, budget = 40, 50
    directory = tmp_path
    for _ in range(depth):
        for number in range(budget):
            (directory / f"file-{number}").touch()
        directory /= "below"
        directory.mkdir()
    for _ in walk(str(tmp_path), budget=budget):
        assert sum(len(one.held) for one in all_names) <= 2 * budget + 2 + depth


def test_a_rest_of_a_few_files_is_one_range_and_one_of_directories_is_for_many_walks(tmp_path: Path) -> None:
    for number in range(100):
        (tmp_path / "directories" / f"{number}").mkdir(parents=True)
        (tmp_path / f"file-{number}").touch()
    _, left = piece(tmp_path, Range("f"), budget=90)
    assert len(left) == 1
    directories = Range.below("directories/")
    _, left = piece(tmp_path, directories, budget=20)
    assert len(left) == 100 - 19, "each of them may have more in it than the budget"
    _, left = piece(tmp_path, directories, budget=50_000, seconds=0)
    assert 15 <= len(left) <= 16


def test_a_deep_tree_needs_few_descriptors(tmp_path: Path) -> None:
    directory = tmp_path
    for _ in range(150):
        (directory / "z").touch()
        directory /= "d"
        directory.mkdir()
    before = descriptors()
    found: list[str] = []
    for entry in walk(str(tmp_path)):
        assert isinstance(entry, Item)
        found.append(entry.key)
        assert descriptors() - before <= 40
    assert found == keys_of(tmp_path)
    assert descriptors() == before


def descriptors() -> int:
    """Return how many files this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.parametrize("steps", [1, 5])
def test_a_walk_that_is_given_up_closes_what_it_opened(tmp_path: Path, steps: int) -> None:
    (tmp_path / "a" / "b" / "c" / "d").mkdir(parents=True)
    before = descriptors()
    entries = iter(walk(str(tmp_path)))
    for _ in range(steps):
        next(entries)
    del entries
    assert descriptors() == before
