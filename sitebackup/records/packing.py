"""Packing files into batches: large enough to make the task hub's work small, small enough to spread.

Microsoft's ceiling for the Azure Storage task hub is 100 activities a second for each orchestration
(https://learn.microsoft.com/azure/azure-functions/durable/durable-functions-perf-and-scale), so a batch holds
many small files. While the tree is small it holds one, which is the tutorial's shape.
"""

from collections.abc import Iterable, Iterator
from typing import Protocol

SMALL_TREE = 256
"""Up to so many files, each is a batch of its own."""

MAX_FILES = 500
"""Files in a batch, at most."""

MAX_BYTES = 64 * 1024 * 1024
"""Bytes in a batch, at most; a bigger file is a batch alone."""

_BATCHES_WANTED = 40
"""For a tree of medium size: enough batches that progress moves in steps well under 5 %."""

LARGE_TREE = _BATCHES_WANTED * MAX_FILES
"""From so many files on, batches are as large as they get."""


def grain(files: int) -> int:
    """Return how many files a batch takes at most when a listing has found `files` of them."""
    if files <= SMALL_TREE:
        return 1
    return min(MAX_FILES, -(-files // _BATCHES_WANTED))


class Sized(Protocol):
    """Something of a `size` in bytes."""

    @property
    def size(self) -> int: ...


def pack[S: Sized](items: Iterable[S], grain: int, most: int = MAX_BYTES) -> Iterator[list[S]]:
    """Yield batches, or parts of one: at most `grain` items and `most` bytes each, or one bigger item."""
    batch: list[S] = []
    size = 0
    for item in items:
        if item.size > most:
            yield [item]
            continue
        if batch and (len(batch) >= grain or size + item.size > most):
            yield batch
            batch, size = [], 0
        batch.append(item)
        size += item.size
    if batch:
        yield batch
