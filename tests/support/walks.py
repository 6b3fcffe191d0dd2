"""Walks as tests look at them."""

from collections.abc import Iterable, Iterator

import msgspec

from sitebackup.tree.walking import Entry, Item, Odd, Range, Rest, Unreached, walk


def bare(entries: Iterable[Entry | None]) -> list[Item | Odd | Unreached]:
    """Return entries without their attributes, and without the directories that have entries of their own."""
    return [
        msgspec.structs.replace(entry, attributes=None) if isinstance(entry, Item) else entry
        for entry in entries
        if not isinstance(entry, Rest | None) and not _is_full(entry)
    ]


def _is_full(entry: Item | Odd | Unreached) -> bool:
    return isinstance(entry, Item) and entry.kind == "directory" and not entry.is_empty


def rounds(root: str, budget: float) -> Iterator[tuple[Range, list[Item | Odd | Unreached]]]:
    """Yield each range that is walked until nothing is left of the tree, and what is found in it."""
    pending = [Range()]
    while pending:
        wanted = pending.pop()
        entries = [entry for entry in walk(root, wanted, budget) if entry is not None]
        if entries and isinstance(rest := entries[-1], Rest):
            pending += rest.ranges
        yield wanted, [entry for entry in entries if not isinstance(entry, Rest)]
