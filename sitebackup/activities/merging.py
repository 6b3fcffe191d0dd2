"""A part of a manifest: the draft of a plan, merged with what became of the plan's tasks.

A plan is bounded, so its outcomes are sorted in memory; the draft goes through line by line, as it is.
"""

from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain

import msgspec

from sitebackup.concurrently import all_of
from sitebackup.engine.engine import Engine
from sitebackup.errors import BlobMissingError
from sitebackup.messages import ManifestRequest, PartReference, Plan
from sitebackup.records.attempts import read_done
from sitebackup.records.entries import Entry, NotSaved, entry_of, from_line, to_line
from sitebackup.records.lines import LineWriter, read_lines
from sitebackup.records.manifest import Summary, read_index, read_range
from sitebackup.records.outcomes import Outcome, read_outcomes
from sitebackup.records.packing import MAX_FILES
from sitebackup.records.plans import Task
from sitebackup.records.run_blobs import attempt_name, new_part, part_name
from sitebackup.tally import Tally
from sitebackup.tree.keys import Range

_OUTCOME = 1024
"""Bytes that an outcome takes in memory, about."""


class _Path(msgspec.Struct):
    """What merging needs to know of a line."""

    path: str


@dataclass(frozen=True, slots=True)
class Made:
    """A part that is written, None if there is nothing to be in it, and what is new in it."""

    part: PartReference | None
    summary: Summary = field(default_factory=Summary)


async def make_part(
    asked: ManifestRequest, plan: Plan, engine: Engine, repairs: Sequence[Outcome] = ()
) -> Made:
    """Write the part of a plan.

    What is new in it are the outcomes of its tasks; or, if there are `repairs`, what they have changed in a
    part that was written before.
    """
    most = (plan.batches + plan.removals) * MAX_FILES + len(repairs)
    async with engine.memory.hold(most * _OUTCOME):
        outcomes = {outcome.path: outcome for outcome in await outcomes_of(asked, plan, engine)}
        merge = _Merge(outcomes, repairs)
        part = await _write(asked.run, new_part(plan.id), merge.lines(_draft(asked, plan, engine)), engine)
    return Made(part, merge.summary)


async def make_unreached(asked: ManifestRequest, listing: str, number: int, engine: Engine) -> Made:
    """Write a part of what a run that was given up has not listed: a portion.

    All that the run before has found there has failed, and what the portion begins with.
    """
    summary = Summary()

    async def lines() -> AsyncIterator[bytes]:
        async for entry in _unreached(asked, listing, number, engine):
            summary.add(entry, entry.tally)
            yield to_line(entry)

    return Made(await _write(asked.run, new_part(listing), lines(), engine), summary)


async def _write(run: str, name: str, lines: AsyncIterator[bytes], engine: Engine) -> PartReference | None:
    writer = LineWriter(engine.catalog, part_name(run, name))
    entries = 0
    async for line in lines:
        entries += 1
        await writer.add(line)
    if not entries:
        return None
    await writer.close()
    return PartReference(name, entries, writer.size)


class _Merge:
    """Merges the lines of a draft with the `outcomes` of its tasks, by path; `repairs` replace what both say.

    `summary` is what is new.
    """

    def __init__(self, outcomes: dict[str, Outcome], repairs: Sequence[Outcome]) -> None:
        self._repairs = {outcome.path: _of_repair(outcome) for outcome in repairs}
        news = _sorted((outcomes | self._repairs).values())
        self._news = [outcome for outcome in news if outcome.entry.outcome != "gone"]
        self._next = 0
        self.summary = Summary()
        for outcome in _sorted(self._repairs.values()) if repairs else news:
            self.summary.add(outcome.entry, outcome.tally)
        for path in self._repairs.keys() & outcomes.keys():
            self.summary.tally -= outcomes[path].tally

    async def lines(self, draft: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Yield the lines of the part."""
        async for line in draft:
            path = from_line(line, _Path).path
            for outcome in self._before(path):
                yield to_line(outcome.entry)
            yield self._newer(line, path)
        for outcome in self._before(None):
            yield to_line(outcome.entry)

    def _before(self, path: str | None) -> Iterator[Outcome]:
        while self._next < len(self._news) and (path is None or self._news[self._next].path < path):
            self._next += 1
            yield self._news[self._next - 1]

    def _newer(self, line: bytes, path: str) -> bytes:
        """Return what the part has at `path`, where the draft has a `line`."""
        if self._next == len(self._news) or self._news[self._next].path != path:
            return line + b"\n"
        entry = self._news[self._next].entry
        self._next += 1
        drafted = entry_of(line)
        if path in self._repairs:  # it was unchanged
            self.summary.tally -= drafted.tally + Tally(unchanged=drafted.tally.files)
        elif drafted.is_saved and not entry.is_saved:
            # A directory that has something in it now; the blob that it had before could not be removed.
            entry = msgspec.structs.replace(drafted, previous=entry.previous)
        return to_line(entry)


def _sorted(outcomes: Iterable[Outcome]) -> list[Outcome]:
    return sorted(outcomes, key=lambda outcome: outcome.path)


def _of_repair(outcome: Outcome) -> Outcome:
    """What was stored again is not new to the manifest: it has changed."""
    counts = msgspec.structs.replace(
        outcome.tally, new=0, unchanged=0, touched=0, changed=outcome.tally.files
    )
    return Outcome(outcome.entry, counts)


async def _draft(asked: ManifestRequest, plan: Plan, engine: Engine) -> AsyncIterator[bytes]:
    try:
        async for line in read_lines(engine.catalog, part_name(asked.run, plan.id)):
            yield line
    except BlobMissingError:
        if asked.gave_up is None:
            raise


async def outcomes_of(asked: ManifestRequest, plan: Plan, engine: Engine) -> list[Outcome]:
    """Return what became of the tasks of a plan, also of those that were not carried out."""
    batches = range(plan.batches + plan.removals)
    return list(chain.from_iterable(await all_of(outcomes_of_batch(asked, plan, n, engine) for n in batches)))


async def outcomes_of_batch(
    asked: ManifestRequest, plan: Plan, batch: int, engine: Engine
) -> Sequence[Outcome]:
    """Return what became of the tasks of a batch.

    Raises `BlobMissingError` if they were not carried out, and nothing in the request says why.
    """
    is_removal = batch >= plan.batches
    reason = asked.kept or asked.gave_up if is_removal else asked.gave_up
    async with engine.transfers:
        if not (is_removal and asked.kept):
            try:
                return await read_outcomes(engine.runs, asked.run, plan.id, batch)
            except BlobMissingError:
                if reason is None:
                    raise
        try:
            _, tasks = await engine.plans.read_batch(asked.run, plan.id, batch)
        except BlobMissingError:
            if asked.gave_up is None:
                raise
            return []  # nobody knows what was in it
        done = {
            outcome.path: outcome
            for outcome in await read_done(engine.runs, attempt_name(asked.run, plan.id, batch))
        }
    undone = "kept" if is_removal else "failed"
    return [done.get(task.path) or _not_done(task, undone, reason or "") for task in tasks]


def _not_done(task: Task, outcome: NotSaved, reason: str) -> Outcome:
    previous = task.base.content if task.base is not None else None
    return Outcome.not_saved(Entry(task.path, task.kind, outcome=outcome, reason=reason, previous=previous))


async def _unreached(
    asked: ManifestRequest, listing: str, number: int, engine: Engine
) -> AsyncIterator[Entry]:
    reason = asked.gave_up or ""
    try:
        _, baseline, left = await engine.plans.read_portion(asked.run, listing, number)
    except BlobMissingError:
        return  # nobody knows where it was
    is_directory = left.begin.endswith("/") or not left.begin
    begin = Entry(left.begin, "directory" if is_directory else None, outcome="failed", reason=reason)
    found_begin = False
    async for entry in _found_before(baseline, left, engine):
        if not found_begin and entry.path != left.begin:
            yield begin
        found_begin = True
        yield entry.not_saved("failed", reason)
    if not found_begin:
        yield begin


async def _found_before(run: str | None, wanted: Range, engine: Engine) -> AsyncIterator[Entry]:
    """Yield the entries that the manifest of the run before has in a range, if there is one."""
    if run is None:
        return
    with suppress(BlobMissingError):
        index = await read_index(engine.catalog, run)
        async for _, entry in read_range(engine.catalog, index, wanted, []):
            yield entry
