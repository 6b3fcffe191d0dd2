"""E2_GetFileList: a tree, and what the run before has saved of it -> plans of what to do."""

import logging
import uuid
from collections.abc import Sequence
from itertools import islice
from typing import Any

import msgspec

from sitebackup import __version__
from sitebackup.activities.checks import check_not_gone, check_place, find_place, parse_input
from sitebackup.activities.drafting import Draft
from sitebackup.activities.joining import Baseline, Join, no_baseline
from sitebackup.engine.engine import Engine
from sitebackup.errors import BlobMissingError, FatalError, SourceError, SourceUnavailableError, printable
from sitebackup.messages import Listed, ListRequest, Plan
from sitebackup.ranges import Portion
from sitebackup.records import manifest
from sitebackup.records.catalogue import RunRecord, newest_manifest, write_record
from sitebackup.records.manifest import Index, Part
from sitebackup.records.run_blobs import index_name
from sitebackup.request import BackupRequest
from sitebackup.tally import Tally
from sitebackup.tree.entries import Entry, Item, Odd, Rest, Unreached
from sitebackup.tree.keys import Range
from sitebackup.tree.place import Place, device_of
from sitebackup.tree.walking import walk

_log = logging.getLogger(__name__)

_WALK_STEP = 1_000
"""Entries that a walk fetches in one go, off the event loop."""

_WALK_SECONDS = 120.0
"""Seconds after which a listing leaves the rest to others: a share may answer slowly."""

_ROOM = 0.75
"""Share of the budget that a portion takes by what the run before has found: it may have grown since."""


async def get_file_list(request: Any, engine: Engine) -> list[str] | dict[str, Any]:
    """List files.

    A string, a directory's absolute path: return the absolute paths of all files below it.

    A `ListRequest`: list the tree, or the portions that other listings left, until the budget is spent. Write
    plans and drafts, and return `Listed`. The first listing of a run finds the run before, whose manifest is
    the baseline; if that is large, it only cuts the tree into portions.
    """
    if isinstance(request, str | None):
        parsed = parse_input(request)
        return await _list_paths(parsed.root, engine)
    asked = ListRequest.from_json(request)
    if not asked.portions:
        return (await _begin(asked, engine)).to_json()
    listings = [
        await _list_portion(asked, Portion(portion.of, number, 1), engine)
        for portion in asked.portions
        for number in range(portion.first, portion.first + portion.count)
    ]
    return Listed.of(listings, [left for listed in listings for left in listed.portions]).to_json()


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


async def _begin(asked: ListRequest, engine: Engine) -> Listed:
    """List the tree, or cut it into portions, as the run before has found it."""
    parsed = parse_input(asked.request)
    place = await engine.disk(parsed.root)(lambda: find_place(parsed.root, engine))
    if await engine.catalog.find(index_name(asked.run)) is not None:
        raise FatalError(f"A run '{asked.run}' has left a manifest already: start one with another ID.")
    before = await newest_manifest(engine.catalog, parsed.root)
    source = engine.settings.source
    record = RunRecord(asked.run, parsed.root, source, parsed.to_json(), __version__, asked.started)
    await write_record(engine.catalog, record)
    if before is None:
        return await _Listing(asked, parsed, place, None, engine).list(Range(), is_whole=True)
    index = before[1]
    other = f"The run before was made by '{before[0].source}', this one by '{source}'."
    notes = () if before[0].source == source else (other,)
    ranges = manifest.ranges(index, max(1, int(engine.settings.list_budget * _ROOM)))
    listing = _Listing(asked, parsed, place, index, engine)
    listed = await (listing.list(ranges[0], is_whole=True) if len(ranges) == 1 else listing.leave(ranges))
    return msgspec.structs.replace(listed, baseline=index.entries, notes=(*notes, *listed.notes))


async def _list_portion(asked: ListRequest, portion: Portion, engine: Engine) -> Listed:
    parsed = parse_input(asked.request)
    place, baseline, left = await engine.plans.read_portion(asked.run, portion.of, portion.first)
    # The place is where the listing began, also if the root is a link that was moved since.
    await engine.disk(parsed.root)(lambda: check_place(place, engine))
    if baseline is None:
        return await _Listing(asked, parsed, place, None, engine).list(left)
    try:
        index = await manifest.read_index(engine.catalog, baseline)
    except BlobMissingError:  # it was forgotten meanwhile
        listed = await _Listing(asked, parsed, place, None, engine).list(left)
        return msgspec.structs.replace(listed, notes=(_not_whole(baseline),))
    return await _Listing(asked, parsed, place, index, engine).list(left)


def _not_whole(run: str) -> str:
    """Say that something of the baseline is lost: what was in it counts as new, and nothing of it as gone."""
    return f"The manifest of run '{run}' is not whole any more: what it does not say is read again."


class _Listing:
    """One listing of a range of the tree at `place`, joined with the manifest of the run before."""

    def __init__(
        self, asked: ListRequest, parsed: BackupRequest, place: Place, before: Index | None, engine: Engine
    ) -> None:
        self._asked = asked
        self._parsed = parsed
        self._place = place
        self._before = before
        self._engine = engine
        self._disk = engine.disk(parsed.root)
        self._plans: list[Plan] = []
        self._left: list[Range] = []
        self._missing: list[Part] = []
        self._troubles: list[str] = []
        self._tally = Tally()
        self._pending = Tally()

    async def list(self, wanted: Range, *, is_whole: bool = False) -> Listed:
        """List a range until the budget is spent; `is_whole`: it is all of the tree."""
        place, level = self._place, self._engine.settings.path_level
        device = await self._disk(lambda: device_of(place.real))
        selection = self._parsed.selection(device)
        _log.log(level, "Searching for files under '%s'...", printable(place.root))
        self._join = Join(self._baseline(wanted), selection, self._parsed.change_detection, wanted.begin)
        self._draft = Draft(self._engine, self._asked.run, place, is_whole=is_whole)
        budget = self._engine.settings.list_budget
        entries = walk(place.real, wanted, budget, selection, seconds=_WALK_SECONDS)
        end = wanted.end
        while step := await self._disk(lambda: list(islice(entries, _WALK_STEP))):
            end = await self._take(step, wanted, end)
        await self._join.skip_to(end)
        await self._add([])
        await self._close(is_small=is_whole and not self._left)
        found_nothing = not (is_whole or self._plans or self._left)
        if self._tally.vanished or self._pending.gone or found_nothing:
            await self._disk(self._check_tree)
        found = self._tally.files + self._pending.files
        _log.log(level, "Found %d file(s) under %s.", found, printable(place.root))
        return await self.leave(self._left)

    async def leave(self, ranges: Sequence[Range]) -> Listed:
        """Return what was found, and leave `ranges` to other listings."""
        portions: tuple[Portion, ...] = ()
        if ranges:
            listing = uuid.uuid4().hex
            baseline = self._before.run if self._before is not None else None
            await self._engine.plans.write_portions(self._asked.run, listing, self._place, baseline, ranges)
            portions = (Portion(listing, 0, len(ranges)),)
        return Listed(
            tally=self._tally,
            pending=self._pending,
            plans=tuple(self._plans),
            portions=portions,
            named=tuple(self._join.named) if self._plans and self._engine.settings.log_paths else (),
            notes=(_not_whole(self._before.run),) if self._before is not None and self._missing else (),
            troubles=tuple(self._troubles[:1]),
            advanced=not self._troubles or bool(self._plans),
        )

    def _baseline(self, wanted: Range) -> Baseline:
        if self._before is None:
            return no_baseline()
        return manifest.read_range(self._engine.catalog, self._before, wanted, self._missing)

    def _check_tree(self) -> None:
        """Raise `FatalError` if it is the tree itself that is not there any more: it was unmounted."""
        check_place(self._place, self._engine)
        if not self._parsed.allow_empty:
            check_not_gone(self._place)

    async def _take(self, step: Sequence[Entry | None], wanted: Range, end: str | None) -> str | None:
        """Take the next entries of the walk; return the key where it ends, as far as that is known."""
        found: list[Item | Odd] = []
        for entry in step:
            if isinstance(entry, Rest):
                self._left += entry.ranges
                end = entry.ranges[0].begin
            elif isinstance(entry, Unreached) and not self._asked.last:
                await self._add(found)
                found = []
                await self._leave_hole(entry, wanted)
            elif entry is not None:
                found.append(_checked(entry))
        await self._add(found)
        return end

    async def _add(self, entries: Sequence[Item | Odd]) -> None:
        await self._join.add(entries)
        found = self._join.take()
        await self._draft.add(found)
        self._tally += found.tally
        self._pending += found.pending
        self._engine.progress.add(self._asked.run, found=found.tally + found.pending, done=found.tally)

    async def _leave_hole(self, unreached: Unreached, wanted: Range) -> None:
        """Leave a directory that does not answer to another listing: a plan has no hole, so it ends here."""
        if not unreached.path:
            raise SourceUnavailableError(f"The root cannot be listed now: {unreached.reason}.")
        self._troubles.append(f"A directory cannot be listed now: {unreached.reason}.")
        below = Range.below(f"{unreached.path}/")
        hole = Range(max(below.begin, wanted.begin), _earlier(below.end, wanted.end))
        await self._join.skip_to(hole.begin)
        await self._add([])
        await self._close(is_small=False)
        self._draft = Draft(self._engine, self._asked.run, self._place, is_whole=False)
        await self._join.leave_out(hole)
        self._left.append(hole)

    async def _close(self, *, is_small: bool) -> None:
        plan = await self._draft.close(is_small=is_small)
        if plan is not None:
            self._plans.append(plan)


def _checked(entry: Item | Odd | Unreached) -> Item | Odd:
    """Return what a walk has found; a directory that does not answer has failed if nobody lists it again."""
    if isinstance(entry, Unreached):
        entry = Odd(entry.path, "failed", entry.reason, "directory")
    if isinstance(entry, Odd) and not entry.path:  # a root that cannot be read is no tree with one failure
        raise FatalError(f"The root cannot be listed: {entry.reason}.")
    return entry


def _earlier(end: str | None, other: str | None) -> str | None:
    """Return which of two ends of ranges comes first."""
    ends = [key for key in (end, other) if key is not None]
    return min(ends, default=None)
