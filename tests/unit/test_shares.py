"""Dividing work."""

from hypothesis import given
from hypothesis import strategies as st

from sitebackup.shares import Share, deal, split


@given(st.lists(st.integers()), st.integers(1, 40))
def test_dealing_gives_every_item_to_one_hand_and_no_hand_is_empty(items: list[int], hands: int) -> None:
    dealt = deal(items, hands)
    assert sorted(item for hand in dealt for item in hand) == sorted(items)
    assert len(dealt) <= hands
    assert all(dealt)


@given(st.lists(st.tuples(st.text(max_size=3), st.integers(0, 9), st.integers(0, 50))), st.integers(1, 40))
def test_splitting_keeps_every_copy_task_in_order_and_fills_every_part_but_the_last(
    shares: list[Share], size: int
) -> None:
    def tasks(part: list[Share]) -> list[tuple[str, int]]:
        return [(plan, task) for plan, first, count in part for task in range(first, first + count)]

    parts = split(shares, size)
    assert [task for part in parts for task in tasks(part)] == tasks(shares)
    assert all(len(tasks(part)) == size for part in parts[:-1])
    assert all(0 < len(tasks(part)) <= size for part in parts[-1:])
