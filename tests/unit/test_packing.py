"""Packing files into batches."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sitebackup.records.packing import MAX_BYTES, MAX_FILES, grain, pack
from sitebackup.tree.entries import Item

sizes = st.lists(st.integers(0, 100) | st.integers(0, 2 * MAX_BYTES), max_size=200)


@pytest.mark.parametrize(
    ("files", "expected"),
    [(0, 1), (1, 1), (256, 1), (257, 7), (3_000, 75), (19_999, 500), (20_000, 500), (10**6, 500)],
)
def test_a_small_tree_has_one_file_a_batch_and_a_large_one_full_batches(files: int, expected: int) -> None:
    assert grain(files) == expected


@given(sizes, st.integers(1, MAX_FILES))
def test_every_file_is_in_exactly_one_batch_and_no_batch_is_too_large(sizes: list[int], grain: int) -> None:
    files = [Item(f"f{number}", "file", size) for number, size in enumerate(sizes)]
    batches = list(pack(files, grain))
    assert sorted((f for batch in batches for f in batch), key=files.index) == files
    for batch in batches:
        assert 0 < len(batch) <= grain
        assert sum(file.size for file in batch) <= MAX_BYTES or len(batch) == 1


@given(sizes)
def test_a_small_file_never_travels_with_one_that_is_bigger_than_a_batch(sizes: list[int]) -> None:
    for batch in pack([Item(str(number), "file", size) for number, size in enumerate(sizes)], MAX_FILES):
        assert len(batch) == 1 or all(file.size <= MAX_BYTES for file in batch)


def test_packing_is_lazy() -> None:
    endless = (Item(str(number), "file", 1) for number in iter(int, 1))
    assert len(next(pack(endless, 10))) == 10
