"""A set of names that is read in order: a million of them, each put in or taken out in microseconds."""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator
from itertools import batched, chain, islice

_MOST = 2_000
"""Names in a bucket, at most: what an insertion moves."""

_MANY = 1 / 16
"""Share of new names from which on it is faster to sort all than to put each where it belongs."""


class SortedNames:
    """Names in buckets, each sorted and after the one before it, and new ones in none yet."""

    def __init__(self) -> None:
        self._buckets: list[list[str]] = [[]]
        self._firsts = [""]  # no name of a later bucket is below its first
        self._new: list[str] = []
        self._count = 0

    def add(self, name: str) -> None:
        """Put a name in that is not there yet."""
        self._new.append(name)
        self._count += 1

    def remove(self, name: str) -> None:
        """Take a name out that is there. Its bucket stays, even empty."""
        self._settle()
        bucket = self._buckets[self._bucket_of(name)]
        del bucket[bisect_left(bucket, name)]
        self._count -= 1

    def since(self, name: str) -> Iterator[str]:
        """Yield the names from `name` on; none may be put in or taken out meanwhile."""
        self._settle()
        at = self._bucket_of(name)
        yield from islice(self._buckets[at], bisect_left(self._buckets[at], name), None)
        yield from chain.from_iterable(islice(self._buckets, at + 1, None))

    def _settle(self) -> None:
        new, self._new = self._new, []
        if len(new) > self._count * _MANY:
            names = sorted(chain(new, *self._buckets))
            self._buckets = [list(bucket) for bucket in batched(names, _MOST // 2, strict=False)]
            self._firsts = ["", *(bucket[0] for bucket in self._buckets[1:])]
        else:
            for name in new:
                self._insert(name)

    def _insert(self, name: str) -> None:
        at = self._bucket_of(name)
        bucket = self._buckets[at]
        insort(bucket, name)
        if len(bucket) > _MOST:
            middle = len(bucket) // 2
            self._buckets[at : at + 1] = bucket[:middle], bucket[middle:]
            self._firsts.insert(at + 1, bucket[middle])

    def _bucket_of(self, name: str) -> int:
        return bisect_right(self._firsts, name) - 1
