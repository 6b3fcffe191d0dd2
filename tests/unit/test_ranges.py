"""Dividing work."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from sitebackup.ranges import Share, join, split


def shares_of(least: int) -> st.SearchStrategy[list[Share]]:
    return st.lists(st.builds(Share, st.text(max_size=3), st.integers(0, 9), st.integers(least, 50)))


def batches(shares: tuple[Share, ...] | list[Share]) -> list[tuple[str, int]]:
    return [(share.of, batch) for share in shares for batch in range(share.first, share.first + share.count)]


@given(shares_of(0), st.integers(1, 40))
def test_splitting_keeps_every_batch_in_order_and_fills_every_group_but_the_last(
    shares: list[Share], size: int
) -> None:
    groups = split(shares, size)
    assert [batch for group in groups for batch in batches(group)] == batches(shares)
    assert all(len(batches(group)) == size for group in groups[:-1])
    assert all(0 < len(batches(group)) <= size for group in groups[-1:])


@given(shares_of(1), st.integers(1, 40))
def test_joining_puts_together_what_splitting_took_apart(shares: list[Share], size: int) -> None:
    joined = join(share for group in split(shares, size) for share in group)
    assert batches(joined) == batches(shares)
    assert joined == join(shares)
    assert not any(a.of == b.of and a.first + a.count == b.first for a, b in pairwise(joined))
