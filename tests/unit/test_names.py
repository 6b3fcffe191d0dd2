"""The names of a directory that a walk holds."""

import random

from hypothesis import given
from hypothesis import strategies as st

from sitebackup.tree.names import Names

NAMES = st.lists(st.text("ab.0/", min_size=1, max_size=3))


def add(names: Names, all_names: list[str]) -> None:
    for name in all_names:
        if not names.passes_over(name):
            names.add(name, "file")


@given(NAMES, st.integers(1, 5), st.integers(1, 5))
def test_the_smallest_names_are_held_and_all_others_are_counted(
    all_names: list[str], most: int, fewer: int
) -> None:
    names = Names(most)
    add(names, sorted(set(all_names), key=all_names.index))
    names.sort()
    known = sorted(set(all_names))
    assert list(reversed(names.held)) == known[:most]
    assert names.others == len(known[most:])
    assert [name for name, _ in names.weighed()] == known

    names.reduce(fewer)
    assert names.others == len(known[min(most, fewer) :])
    assert [name for name, _ in names.weighed()] == known
    assert [names.pop() for _ in list(names.held)] == [(name, "file") for name in known[: min(most, fewer)]]


@given(NAMES)
def test_a_name_that_a_changing_directory_tells_twice_is_held_once(all_names: list[str]) -> None:
    names = Names(100)
    add(names, [*all_names, *all_names])
    names.sort()
    assert list(reversed(names.held)) == sorted(set(all_names))


def test_what_is_not_held_is_weighed_by_a_sample_of_about_equal_steps() -> None:
    count, most = 200_000, 1_000
    all_names = [f"{number:06}" for number in range(count)]
    random.Random(0).shuffle(all_names)  # noqa: S311 - an order as that of a file system
    names = Names(most)
    add(names, all_names)
    names.sort()
    weighed = list(names.weighed())
    assert len(weighed) < most + 20_000
    assert abs(sum(weight for _, weight in weighed) - count) < 1
    below = 0.0
    for name, weight in weighed:
        assert abs(int(name) - below) < count / 50
        below += weight

    names.reduce(500)
    reduced = list(names.weighed())
    assert len(reduced) == 1_500
    assert abs(sum(weight for _, weight in reduced) - count) < 1


def test_directories_weigh_more_also_those_that_are_not_held() -> None:
    names = Names(10)
    add(names, [f"{number:02}/" for number in range(40)])
    names.sort()
    assert {round(weight) for _, weight in names.weighed()} == {1_000}
