"""A tree of any number of files that is on no disk: what a walk would find in it."""

import math
import stat
import time
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.shapes import Keys, Shape
from sitebackup.tree.attributes import Attributes
from sitebackup.tree.entries import Entry, Item, Rest
from sitebackup.tree.keys import Range
from sitebackup.tree.selecting import Selection

SIZE = 1024
"""Bytes of each file."""

_TIME_NS = 1_700_000_000 * 1_000_000_000
_EVERYTHING = Range()


@dataclass(frozen=True, slots=True)
class MadeUpTree:
    """A tree with files of a `shape`."""

    shape: Shape

    def walk(
        self,
        _root: str,
        wanted: Range = _EVERYTHING,
        budget: float = math.inf,
        _selection: Selection | None = None,
        seconds: float = math.inf,
    ) -> Iterator[Entry | None]:
        """Yield what `sitebackup.tree.walking.walk` would, of any root, with all entries selected."""
        keys = Keys(self.shape)
        deadline = time.monotonic() + seconds
        begin = bisect_left(keys, wanted.begin)
        end = len(keys) if wanted.end is None else bisect_left(keys, wanted.end)
        for number in range(begin, end):
            if number - begin >= budget or (number % 1_000 == 0 and time.monotonic() > deadline):
                yield Rest((Range(keys.at(number), wanted.end),))
                return
            yield _item(keys.at(number), number)


def _item(key: str, number: int) -> Item:
    is_directory = not key or key.endswith("/")
    size = 0 if is_directory else SIZE
    mode = stat.S_IFDIR | 0o755 if is_directory else stat.S_IFREG | 0o644
    attributes = Attributes(_TIME_NS, mode, 0, 0, _TIME_NS, number, size)
    return Item(key.removesuffix("/"), "directory" if is_directory else "file", size, attributes)
