"""Pieces of work, and dividing them among activities and sub-orchestrations.

Pure, so that a replay divides them the same way.
"""

from collections.abc import Iterable

import msgspec


class Range(msgspec.Struct, frozen=True, array_like=True):
    """`count` consecutive things of one whole, from `first` on."""

    of: str
    first: int
    count: int


class Share(Range, frozen=True, array_like=True):
    """Consecutive batches of a plan, which is named by its ID."""


class Portion(Range, frozen=True, array_like=True):
    """Consecutive ranges of the tree that a listing left, which is named by its ID."""


class Span(Range, frozen=True, array_like=True):
    """Consecutive bytes of a part of a manifest, which is named."""


def split[R: Range](ranges: Iterable[R], size: int) -> list[tuple[R, ...]]:
    """Split `ranges` into groups that count `size` each, the last what remains."""
    groups: list[list[R]] = []
    room = 0
    for whole in ranges:
        given = 0
        while given < whole.count:
            if not room:
                groups.append([])
                room = size
            taken = min(room, whole.count - given)
            groups[-1].append(msgspec.structs.replace(whole, first=whole.first + given, count=taken))
            given, room = given + taken, room - taken
    return [tuple(group) for group in groups]


def join[R: Range](ranges: Iterable[R]) -> tuple[R, ...]:
    """Make one range of those that follow one another: what `split` gave, put together again."""
    joined: list[R] = []
    for piece in ranges:
        last = joined[-1] if joined else None
        if last is not None and (last.of, last.first + last.count) == (piece.of, piece.first):
            joined[-1] = msgspec.structs.replace(last, count=last.count + piece.count)
        else:
            joined.append(piece)
    return tuple(joined)
