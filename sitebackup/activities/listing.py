"""E2_GetFileList: a tree -> a plan of what to copy."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from sitebackup.activities.checks import check_not_gone, check_place, find_place, parse_input
from sitebackup.engine.engine import Engine
from sitebackup.errors import FatalError, SourceError, SourceUnavailableError, printable
from sitebackup.messages import Listed, ListRequest, Plan
from sitebackup.ranges import Portion
from sitebackup.records.outcomes import Outcome, write_outcomes
from sitebackup.records.packing import LARGE_TREE, MAX_FILES, grain, pack
from sitebackup.records.plans import PlanWriter
from sitebackup.records.run_blobs import LISTING
from sitebackup.tally import Tally
from sitebackup.tree.place import Place, device_of
from sitebackup.tree.selecting import Selection
from sitebackup.tree.walking import Entry, Item, Odd, Range, Rest, Unreached, walk

_log = logging.getLogger(__name__)

_WALK_STEP = 1_000
"""Entries that a walk fetches in one go, off the event loop."""


async def get_file_list(request: Any, engine: Engine) -> list[str] | dict[str, Any]:
    """List files.

    A string, a directory's absolute path: return the absolute paths of all files below it.

    A `ListRequest`: list the tree, or the portions that other listings left, until the budget is spent. Write
    a plan and return `Listed`.
    """
    if isinstance(request, str | None):
        parsed = parse_input(request)
        return await _list_paths(parsed.root, engine)
    return (await _list_into_plan(ListRequest.from_json(request), engine)).to_json()


async def _list_paths(root: str, engine: Engine) -> list[str]:
    disk = engine.disk(root)
    place = await disk(lambda: find_place(root, engine))
    level = engine.settings.path_level
    _log.log(level, "Searching for files under '%s'...", printable(place.root))
    paths: list[str] = []
    entries = walk(place.real)
    while step := await disk(lambda: list(islice(entries, _WALK_STEP))):
        for entry in step:
            if isinstance(entry, Unreached):
                raise SourceUnavailableError(entry.reason)
            if isinstance(entry, Odd) and entry.outcome == "failed":
                name = f"{place.name(entry.path)}: " if engine.settings.log_paths else ""
                raise SourceError(f"{name}{entry.reason}")
            if isinstance(entry, Item) and entry.kind == "file":
                paths.append(place.name(entry.path))
    _log.log(level, "Found %d file(s) under %s.", len(paths), printable(place.root))
    return paths


async def _list_into_plan(asked: ListRequest, engine: Engine) -> Listed:
    parsed = parse_input(asked.request)
    disk = engine.disk(parsed.root)
    place, ranges = await _begin(asked, parsed.root, engine)
    device = await disk(lambda: device_of(place.real))
    level = engine.settings.path_level
    _log.log(level, "Searching for files under '%s'...", printable(place.root))
    entries = _walk(place.real, ranges, engine.settings.list_budget, parsed.selection(device))
    listing = _Listing(
        engine.plans.new_plan(asked.run, place), whole_tree=not asked.portions, is_last=asked.last
    )
    while step := await disk(lambda: list(islice(entries, _WALK_STEP))):
        await listing.add(step)
    portions = await listing.close()
    nothing = asked.portions and not (listing.found.entries or listing.odd or listing.troubles)
    if nothing or any(outcome.outcome == "vanished" for outcome in listing.odd):
        await disk(lambda: check_not_gone(place))
    if listing.odd:
        await write_outcomes(engine.runs, asked.run, listing.plan.id, LISTING, listing.odd)
    _log.log(level, "Found %d file(s) under %s.", listing.found.files, printable(place.root))
    return Listed(
        tally=listing.found + Tally.of(outcome.tally for outcome in listing.odd),
        plans=(Plan(listing.plan.id, len(listing.plan.batches), bool(listing.odd)),),
        portions=tuple(Portion(listing.plan.id, number) for number in range(portions)),
        troubles=tuple(listing.troubles[:1]),
        advanced=not listing.troubles or listing.found.entries > 0,
    )


async def _begin(asked: ListRequest, root: str, engine: Engine) -> tuple[Place, list[Range]]:
    """Return where the tree is, and the ranges to list."""
    disk = engine.disk(root)
    if not asked.portions:
        return await disk(lambda: find_place(root, engine)), [Range()]
    portions = [await engine.plans.read_portion(asked.run, p.plan, p.number) for p in asked.portions]
    place = portions[0][0]  # where the listing began, also if the root is a link that was moved since
    await disk(lambda: check_place(place, engine))
    return place, [Range(begin, end or None) for _, (begin, end) in portions]


def _walk(root: str, ranges: Sequence[Range], budget: int, selection: Selection) -> Iterator[Entry | None]:
    """Walk ranges until the budget is spent: each with all of it, for it says how small a rest is cut."""
    seen = 0
    for wanted in ranges:
        if seen >= budget:
            yield Rest((wanted,))
            continue
        for entry in walk(root, wanted, budget, selection):
            seen += entry is not None
            yield entry


@dataclass(slots=True)
class _Listing:
    """What one listing has found so far; it packs items into the batches of its `plan` as it goes."""

    plan: PlanWriter
    whole_tree: bool
    """Whether it began at the root: only then may the tree turn out to be small, and be cut small."""
    is_last: bool
    """Whether a directory that does not answer has failed, and is not left for another listing."""
    found: Tally = field(default_factory=Tally)
    odd: list[Outcome] = field(default_factory=list[Outcome])
    troubles: list[str] = field(default_factory=list[str])
    _unpacked: list[Item] = field(default_factory=list[Item])
    _left: list[Range] = field(default_factory=list[Range])

    async def add(self, entries: Sequence[Entry | None]) -> None:
        """Take the next entries of a walk."""
        items = [
            entry
            for entry in entries
            if isinstance(entry, Item) and (entry.kind != "directory" or entry.is_empty)
        ]
        self._unpacked += items
        self.found += _tally_of(items)
        for entry in entries:
            if isinstance(entry, Rest):
                self._left += entry.ranges
            elif isinstance(entry, Unreached):
                self._take_unreached(entry)
            elif isinstance(entry, Odd):
                self._take_odd(entry)
        if self._unpacked and (not self.whole_tree or len(self._unpacked) >= LARGE_TREE):
            *full, self._unpacked = pack(self._unpacked, MAX_FILES)
            await self.plan.add(full)

    def _take_unreached(self, entry: Unreached) -> None:
        if not entry.path:
            raise SourceUnavailableError(f"The root cannot be listed now: {entry.reason}.")
        if self.is_last:
            self.odd.append(Outcome(entry.path, "failed", entry.reason))
            return
        self._left.append(Range.below(entry.key))
        self.troubles.append(f"A directory cannot be listed now: {entry.reason}.")

    def _take_odd(self, entry: Odd) -> None:
        if not entry.path:  # a root that cannot be read is no tree with one failure
            raise FatalError(f"The root cannot be listed: {entry.reason}.")
        self.odd.append(Outcome(entry.path, entry.outcome, entry.reason))

    async def close(self) -> int:
        """Pack what remains and make the plan readable; return the number of portions that are left."""
        small = self.whole_tree and not (self._left or self.plan.batches)
        await self.plan.add(pack(self._unpacked, grain(len(self._unpacked)) if small else MAX_FILES))
        await self.plan.close([(left.begin, left.end or "") for left in self._left])
        return len(self._left)


def _tally_of(items: list[Item]) -> Tally:
    kinds = [item.kind for item in items]
    return Tally(
        files=kinds.count("file"),
        bytes=sum(item.size for item in items),
        links=kinds.count("link"),
        directories=kinds.count("directory"),
    )
