"""Cutting what a walk left into ranges, for as many further walks."""

import math
from collections.abc import Sequence

from sitebackup.tree.keys import Range

_AT_LEAST = 16
"""Ranges, if there are as many directories: nobody knows how much is in them."""

_AT_MOST = 1_000
"""Ranges: a walk that finds too much in one of them cuts it again."""

_FULL = 7 / 8
"""How much of its budget a range is to take: one that takes more costs a further walk for the little rest."""


def cut(left: Sequence[tuple[str, float]], end: str | None, budget: float) -> tuple[Range, ...]:
    """Cut the keys that are `left`, up to `end`, into contiguous ranges of about equal weight.

    The keys are in order, each with a guess of how many entries it stands for; a walk takes `budget` of them.
    """
    total = sum(weight for _, weight in left)
    directories = sum(key.endswith("/") for key, _ in left)
    ranges = max(math.ceil(total / (_FULL * budget)), min(_AT_LEAST, directories), 1)
    share = total / min(ranges, _AT_MOST)
    begins: list[str] = []
    weight = share
    for key, more in left:
        if weight >= share:
            begins.append(key)
            weight = 0
        weight += more
    return tuple(map(Range, begins, [*begins[1:], end]))
