"""Packing files into copy tasks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sitebackup.records.packing import MAX_BYTES, MAX_FILES, grain, pack
from sitebackup.tree.walking import Item

sizes = st.lists(st.integers(0, 100) | st.integers(0, 2 * MAX_BYTES), max_size=200)


@pytest.mark.parametrize(
    ("files", "expected"),
    [(0, 1), (1, 1), (256, 1), (257, 7), (3_000, 75), (19_999, 500), (20_000, 500), (10**6, 500)],
)
def test_a_small_tree_has_one_file_a_task_and_a_large_one_full_tasks(files: int, expected: int) -> None:
    assert grain(files) == expected


@given(sizes, st.integers(1, MAX_FILES))
def test_every_file_is_in_exactly_one_task_and_no_task_is_too_large(sizes: list[int], grain: int) -> None:
    files = [Item(f"f{number}", "file", size) for number, size in enumerate(sizes)]
    tasks = list(pack(files, grain))
    assert sorted((f for task in tasks for f in task), key=files.index) == files
    for task in tasks:
        assert 0 < len(task) <= grain
        assert sum(file.size for file in task) <= MAX_BYTES or len(task) == 1


@given(sizes)
def test_a_small_file_never_travels_with_one_that_is_bigger_than_a_task(sizes: list[int]) -> None:
    for task in pack([Item(str(number), "file", size) for number, size in enumerate(sizes)], MAX_FILES):
        assert len(task) == 1 or all(file.size <= MAX_BYTES for file in task)


def test_packing_is_lazy() -> None:
    endless = (Item(str(number), "file", 1) for number in iter(int, 1))
    assert len(next(pack(endless, 10))) == 10
