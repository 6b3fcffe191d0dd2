"""Dividing work among activities and sub-orchestrations; pure, so that a replay divides it the same way."""

from collections.abc import Iterable, Sequence

type Part = tuple[str, int]
"""`(plan, part)`: a part of the directories that a listing left."""

type Share = tuple[str, int, int]
"""`(plan, first task, number of tasks)`: consecutive copy tasks of a plan.

Or `(run, first byte, number of bytes)`: a range of a run's manifest.
"""


def deal[T](items: Sequence[T], hands: int) -> list[list[T]]:
    """Deal `items` round robin into at most `hands` lists, none of them empty."""
    return [list(items[hand::hands]) for hand in range(min(hands, len(items)))]


def split(shares: Iterable[Share], size: int) -> list[list[Share]]:
    """Split `shares` into lists of `size` tasks or bytes each, the last of what remains."""
    parts: list[list[Share]] = []
    room = 0
    for plan, first, count in shares:
        given = 0
        while given < count:
            if not room:
                parts.append([])
                room = size
            taken = min(room, count - given)
            parts[-1].append((plan, first + given, taken))
            given, room = given + taken, room - taken
    return parts


def join(shares: Iterable[Share]) -> list[Share]:
    """Make one share of those that follow one another: what `split` gave, put together again."""
    joined: list[Share] = []
    for plan, first, count in shares:
        if joined and (joined[-1][0], sum(joined[-1][1:])) == (plan, first):
            joined[-1] = (plan, joined[-1][1], joined[-1][2] + count)
        else:
            joined.append((plan, first, count))
    return joined
