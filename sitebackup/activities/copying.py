"""E2_CopyFileToBlob: the items of a batch -> blobs and outcomes.

What is done of a batch stays done, whatever becomes of the rest: an attempt that meets a trouble answers that
the batch is not done, and the next one goes on from there. `records.attempts` tells how a file that ends its
worker is found.
"""

import asyncio
import os
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from typing import Any

from sitebackup.activities import copier
from sitebackup.activities.checks import check_not_gone, check_place, find_place
from sitebackup.activities.copier import Copier
from sitebackup.engine.engine import Engine
from sitebackup.errors import (
    BlobMissingError,
    FatalError,
    SourceError,
    UnavailableError,
    VanishedError,
)
from sitebackup.messages import Copied, CopyRequest
from sitebackup.ranges import Share
from sitebackup.records.attempts import Attempt, AttemptRecord
from sitebackup.records.outcomes import Outcome, read_outcomes, write_outcomes
from sitebackup.records.packing import pack
from sitebackup.records.run_blobs import attempt_name
from sitebackup.tally import Tally
from sitebackup.tree.reading import size_of
from sitebackup.tree.walking import Item

MOST_BREAKS = 3
"""Attempts at a single item that may end without a word before it counts as what ends them."""

_MOST_OF_IT = 0.9
"""Of an activity's time: a single item that takes longer than so much of it takes too long."""

_READ_AT_ONCE = 8
"""Files that are read in one go, at most."""

_READ_BYTES = 256 * 1024
"""Bytes of them, at most; a bigger file is read alone."""

_SLICES = 8
"""Slices that the items of an attempt that broke are cut into: one of 500 is alone in the fourth attempt."""


async def copy_file_to_blob(request: Any, engine: Engine) -> int | dict[str, Any]:
    """Copy files.

    A string, a file's absolute path: copy it and return its size in bytes.

    A `CopyRequest`: copy the items of a batch, record their outcomes, and return `Copied`.
    """
    if isinstance(request, str):
        return await _copy_file(request, engine)
    return (await _copy_batch(CopyRequest.from_json(request), engine)).to_json()


async def _copy_file(path: str, engine: Engine) -> int:
    directory, name = os.path.split(path)
    if not os.path.isabs(directory):
        raise FatalError("The path of a file must be absolute.")
    disk = engine.disk(directory)
    place = await disk(lambda: find_place(directory, engine))
    size = await disk(lambda: size_of(place.path(name)))
    [ended] = await Copier(engine, place).copy([Item(name, "file", size)])
    if not isinstance(ended, copier.Copied):
        raise ended
    return ended.size


async def _copy_batch(asked: CopyRequest, engine: Engine) -> Copied:
    place, items = await engine.plans.read_batch(asked.run, asked.plan, asked.batch)
    await engine.disk(place.root)(lambda: check_place(place, engine))
    name = attempt_name(asked.run, asked.plan, asked.batch)
    record = AttemptRecord(engine.runs, name, engine.id, asked.waits)
    async with engine.quarantine.together():
        earlier = await record.begin(len(items))
        if earlier is not None:
            with suppress(BlobMissingError):
                done = await read_outcomes(engine.runs, asked.run, asked.plan, asked.batch)
                return Copied(tally=Tally.of(outcome.tally for outcome in done), advanced=True)
        batch = _Batch(engine, Copier(engine, place, is_last=asked.last), items, record, earlier)
        trouble = await batch.copy()
    trouble = trouble or await batch.copy_suspects()
    if trouble:
        undone = (Share(asked.plan, asked.batch, 1),)
        return Copied(shares=undone, troubles=(trouble,), advanced=batch.advanced)
    outcomes = batch.outcomes
    if any(outcome.outcome == "vanished" for outcome in outcomes):
        await engine.disk(place.root)(lambda: check_not_gone(place))
    await write_outcomes(engine.runs, asked.run, asked.plan, asked.batch, outcomes)
    return Copied(tally=Tally.of(outcome.tally for outcome in outcomes), advanced=True)


class _Batch:
    """One attempt at a batch: all items at once, unless an earlier attempt broke.

    Then the items that were under way are copied in slices, before all others. One that was under way by
    itself is a suspect: it is left for last. `advanced`: whether something was done.
    """

    def __init__(
        self,
        engine: Engine,
        copier: Copier,
        items: Sequence[Item],
        record: AttemptRecord,
        earlier: Attempt | None,
    ) -> None:
        self._copier = copier
        self._quarantine = engine.quarantine
        self._items = items
        self._record = record
        self._attempt = earlier or Attempt()
        self._doubtful = earlier.begun if earlier is not None else 0
        self._is_noted = earlier is None  # by the record, which says that all is begun
        self._seconds = engine.activity_seconds
        self._deadline = asyncio.get_running_loop().time() + self._seconds
        self.advanced = False
        if self._attempt.broke and self._doubtful == 1:
            self._count_a_break()

    @property
    def outcomes(self) -> list[Outcome]:
        """Of what is done."""
        return list(self._attempt.outcomes.values())

    async def copy(self) -> str | None:
        """Copy all but suspects; return the trouble that left something undone, if there was one."""
        size = max(1, self._doubtful // _SLICES)
        while undone := self._undone(suspects=False):
            begun = undone[: min(size, self._doubtful) or None]
            self._doubtful = max(0, self._doubtful - size)
            if trouble := await self._copy_slice(begun):
                return trouble
        return None

    async def copy_suspects(self) -> str | None:
        """Copy the suspects, when all others are done, and while nothing else is under way in the process.

        So nobody else is suspected because of them, and they are not because of anybody else.
        """
        for item in self._undone(suspects=True):
            await self._note(0)  # it is not under way while it waits
            async with AsyncExitStack() as stack:
                try:
                    async with asyncio.timeout_at(self._deadline):
                        await stack.enter_async_context(self._quarantine.alone())
                except TimeoutError:
                    return "A file that may have ended its worker waits until nothing else is under way."
                if trouble := await self._copy_slice([item]):
                    return trouble
        return None

    def _undone(self, *, suspects: bool) -> list[Item]:
        done, breaks = self._attempt.outcomes, self._attempt.breaks
        return [item for item in self._items if item.path not in done and (item.path in breaks) == suspects]

    def _count_a_break(self) -> None:
        """An attempt broke while a single item was under way: the third time, that item has failed."""
        item = (self._undone(suspects=False) or self._undone(suspects=True))[0]
        breaks = self._attempt.count_a_break(item.path)
        if breaks == MOST_BREAKS:
            self._end([_failed(item, f"its worker ended while it was copied, {MOST_BREAKS} times")])
        self._doubtful = 0

    async def _note(self, begun: int, *, is_over: bool = False) -> None:
        self._attempt.begun = begun
        await self._record.save(self._attempt, is_over=is_over)

    def _end(self, outcomes: Sequence[Outcome]) -> None:
        """Take the outcomes of items that are done."""
        if outcomes:
            self._attempt.add(outcomes)
            self.advanced = True

    async def _copy_slice(self, items: Sequence[Item]) -> str | None:
        """Note that `items` are under way, and copy them; return the first trouble that left one undone."""
        if not self._is_noted:
            await self._note(len(items))
        self._is_noted = False
        seconds = self._deadline - asyncio.get_running_loop().time()
        trouble, late = await self._copy_within(seconds, items)
        if late == len(items) == 1 and seconds > _MOST_OF_IT * self._seconds:
            self._end([_failed(items[0], f"took longer than {seconds:.0f} seconds")])
        elif trouble:
            await self._note(late, is_over=True)
            return trouble
        return None

    async def _copy_within(self, seconds: float, items: Sequence[Item]) -> tuple[str | None, int]:
        """Copy `items`; return the first trouble that left one undone, and how many lacked time."""
        parts = pack(items, _READ_AT_ONCE, _READ_BYTES)
        copies = {asyncio.ensure_future(self._copier.copy(part)): part for part in parts}
        try:
            ended, late = await asyncio.wait(copies, timeout=max(0, seconds))
            results = [pair for copy in ended for pair in zip(copies[copy], copy.result(), strict=True)]
        finally:
            for copy in copies:
                copy.cancel()
        self._end([_outcome(item, end) for item, end in results if not isinstance(end, UnavailableError)])
        if late:
            return "Some files took longer than an activity may.", sum(len(copies[copy]) for copy in late)
        return next((str(end) for _, end in results if isinstance(end, UnavailableError)), None), 0


def _failed(item: Item, reason: str) -> Outcome:
    return Outcome(item.path, "failed", reason, item.kind)


def _outcome(item: Item, end: copier.Copied | SourceError) -> Outcome:
    if isinstance(end, VanishedError):
        return Outcome(item.path, "vanished", str(end), item.kind)
    if isinstance(end, SourceError):
        return _failed(item, str(end))
    return Outcome(
        path=item.path,
        outcome="copied",
        kind=item.kind,
        size=end.size,
        mtime=end.attributes.mtime,
        mode=f"{end.attributes.mode:o}",
        uid=end.attributes.uid,
        gid=end.attributes.gid,
        blob=end.blob,
        md5=end.md5.hex(),
        etag=end.etag,
    )
