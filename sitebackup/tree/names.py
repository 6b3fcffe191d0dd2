"""The names of one directory, of which a walk holds no more than it can use, however many there are."""

import random
from collections.abc import Iterator
from functools import cached_property
from typing import Literal

from sitebackup.tree.entries import Kind

type NameKind = Kind | Literal["odd"]
"""What a directory says of a name; "odd" is what cannot be saved."""

_DIRECTORY_WEIGHT = 1_000.0
"""How many entries a directory that nobody has entered is taken for when work is divided."""

_SAMPLE = 16_384
"""Names in a sample: some thirty for each of the pieces that a directory of ten million is cut into."""

_SMALL_SAMPLE = 1_000
"""Names in the sample of a directory on the way to another one: there can be very many of those."""


class Names:
    """The smallest `most` of the names that are added; of the others a count, and a sample.

    A directory's name has a slash at its end.
    """

    def __init__(self, most: float) -> None:
        self.held: list[str] = []
        """The names, once they are in order: descending, so that the next one is at the end."""
        self.others = 0
        self._most = most
        self._kinds: dict[str, NameKind] = {}
        self._edge: str | None = None
        self._mean = 1.0
        self._sample: list[str] = []
        self._sample_size = _SAMPLE

    def passes_over(self, name: str) -> bool:
        """Count a name if it is larger than all that will be held, whatever its kind; else return False."""
        if self._edge is None or name < self._edge:
            return False
        self._count(name)
        return True

    def add(self, name: str, kind: NameKind) -> None:
        """Add a name that was not passed over; once only, even if a directory that changes tells it twice."""
        self._kinds[name] = kind
        if len(self._kinds) > 2 * self._most:
            self.keep(self._most)

    def sort(self) -> None:
        """Put the names in order: all are added."""
        self.keep(self._most)

    def keep(self, most: float) -> None:
        """Hold no more than the smallest `most` names, in order."""
        self.held = sorted(self._kinds, reverse=True)
        if len(self.held) > most:
            self._mean = sum(map(_weight, self.held)) / len(self.held)
            given_up = self.held[: -int(most)]
            del self.held[: -int(most)]
            self._edge = given_up[-1]
            for name in given_up:
                del self._kinds[name]
                self._count(name)

    def reduce(self, most: float) -> None:
        """Hold no more than the smallest `most` names, and a small sample: other names come first."""
        self.keep(most)
        self._sample_size = _SMALL_SAMPLE
        if len(self._sample) > _SMALL_SAMPLE:
            self._sample = self._random.sample(self._sample, _SMALL_SAMPLE)

    def pop(self) -> tuple[str, NameKind]:
        """Take the next name, and its kind."""
        name = self.held.pop()
        return name, self._kinds.pop(name)

    def weighed(self) -> Iterator[tuple[str, float]]:
        """Yield the names in order, each with a guess of how many entries it stands for.

        One of the sample stands for its share of all names that are not held; they weigh what others weighed.
        """
        yield from ((name, _weight(name)) for name in reversed(self.held))
        if self.others:
            share = self._mean * self.others / len(self._sample)
            yield from ((name, share) for name in sorted(self._sample))

    @cached_property
    def _random(self) -> random.Random:
        return random.Random(0)  # noqa: S311 - what it decides can be repeated

    def _count(self, name: str) -> None:
        self.others += 1
        if len(self._sample) < self._sample_size:
            self._sample.append(name)
        elif (place := int(self._random.random() * self.others)) < self._sample_size:
            self._sample[place] = name


def _weight(name: str) -> float:
    return _DIRECTORY_WEIGHT if name.endswith("/") else 1.0
