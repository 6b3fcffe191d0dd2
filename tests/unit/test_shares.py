"""Dividing work."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from sitebackup.orchestrations.shares import Share, deal, join, split


@given(st.lists(st.integers()), st.integers(1, 40))
def test_dealing_gives_every_item_to_one_hand_and_no_hand_is_empty(items: list[int], hands: int) -> None:
    dealt = deal(items, hands)
    assert sorted(item for hand in dealt for item in hand) == sorted(items)
    assert len(dealt) <= hands
    assert all(dealt)


def shares_of(least: int) -> st.SearchStrategy[list[Share]]:
    return st.lists(st.tuples(st.text(max_size=3), st.integers(0, 9), st.integers(least, 50)))


def tasks(shares: list[Share]) -> list[tuple[str, int]]:
    return [(plan, task) for plan, first, count in shares for task in range(first, first + count)]


@given(shares_of(0), st.integers(1, 40))
def test_splitting_keeps_every_copy_task_in_order_and_fills_every_part_but_the_last(
    shares: list[Share], size: int
) -> None:
    parts = split(shares, size)
    assert [task for part in parts for task in tasks(part)] == tasks(shares)
    assert all(len(tasks(part)) == size for part in parts[:-1])
    assert all(0 < len(tasks(part)) <= size for part in parts[-1:])


@given(shares_of(1), st.integers(1, 40))
def test_joining_puts_together_what_splitting_took_apart(shares: list[Share], size: int) -> None:
    joined = join(share for part in split(shares, size) for share in part)
    assert tasks(joined) == tasks(shares)
    assert joined == join(shares)
    assert not any(a[0] == b[0] and a[1] + a[2] == b[1] for a, b in pairwise(joined))
