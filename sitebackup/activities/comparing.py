"""Comparing a manifest with what the containers hold, one bounded step after the other.

A step reads pages of the container's listing and lines of the manifest, whichever is behind, and pairs them.
How far it came, and what waits for a partner, is a blob that the next step begins with.

A blob that is not what was saved is looked for in the history: a later run may have put it there.

A run that verifies itself makes `backups` what the tree is. An entry that it has not stored itself, and that
is not what it was, is to be copied again. A blob that was stored for its root, and that it knows nothing of,
is to be removed: a run that was killed, or a process that came late, has left it.
"""

import asyncio
import os
from collections.abc import AsyncGenerator
from contextlib import aclosing
from itertools import batched

import msgspec

from sitebackup.activities.checks import find_place
from sitebackup.activities.losing import lost_blobs
from sitebackup.activities.pairing import Pairs
from sitebackup.activities.settling import Settling
from sitebackup.blobs import blobname
from sitebackup.blobs.container import Page
from sitebackup.digests import root_id
from sitebackup.engine.engine import Engine
from sitebackup.messages import Compared, CompareRequest, Findings, Plan
from sitebackup.ranges import Span
from sitebackup.records.comparisons import Position, State, read_state, write_state
from sitebackup.records.entries import Entry
from sitebackup.records.packing import MAX_FILES, pack
from sitebackup.records.plans import Task
from sitebackup.records.saved import Saved, read_saved
from sitebackup.tally import Tally

_SECONDS = 60.0
"""After so long, the rest is left to the next step."""

_AT_ONCE = 5_000
"""Entries that are read before the time is looked at, as many as a page of a listing has blobs."""

_ASKED_AT_ONCE = 1_000
"""Entries without a partner that storage is asked about before the time is looked at."""


async def compare(asked: CompareRequest, engine: Engine) -> Compared:
    """Take the next step of the comparison that a `CompareRequest` asks for.

    Raises `FatalError` if there is no manifest.
    """
    saved = await read_saved(engine.catalog, engine.runs, asked.verified)
    state = await read_state(engine.runs, asked.run, asked.after) if asked.after else State()

    def is_repairable(entry: Entry) -> bool:
        return asked.verified == asked.run and entry.since != asked.run

    settling = Settling(engine, is_repairable)
    step = _Step(asked, saved, state, settling, engine)
    is_done = await step.take()
    pairs, root = step.pairs, saved.index.root
    if is_done and asked.verified == asked.run:
        settling.repairs += await lost_blobs(root, pairs.blobs, engine)
    found = Findings(checked=pairs.checked, bytes=pairs.bytes, extra=pairs.extra if is_done else 0)
    left = State(step.position, pairs.entries.values(), pairs.blobs.values())
    return Compared(
        findings=settling.findings + found,
        repairs=await _plan(asked.run, root, settling.repairs, engine),
        state="" if is_done else await write_state(engine.runs, asked.run, left),
        is_done=is_done,
        root_id=root_id(root) if is_done else "",
        spans=tuple(Span(part.name, 0, part.bytes) for part in saved.index.parts) if is_done else (),
        advanced=True,
    )


async def _plan(run: str, root: str, tasks: list[Task], engine: Engine) -> tuple[Plan, ...]:
    """Write the plan of what is to be copied again, if anything is."""
    if not tasks:
        return ()
    writer = engine.plans.new_plan(run, await engine.disk(root)(lambda: find_place(root, engine)))
    tasks = sorted(tasks, key=lambda task: task.path)
    await writer.add(pack((task for task in tasks if not task.gone), MAX_FILES))
    batches = len(writer.batches)
    await writer.add(batched((task for task in tasks if task.gone), MAX_FILES, strict=False))
    await writer.close()
    return (Plan(writer.id, batches, len(writer.batches) - batches),)


class _Step:
    """One step, from a state on. `pairs`: what waits, and what it has found."""

    def __init__(
        self,
        asked: CompareRequest,
        saved: Saved,
        state: State,
        settling: Settling,
        engine: Engine,
    ) -> None:
        self.pairs = Pairs.of(state)
        self._asked = asked
        self._told = 0
        self._saved = saved
        self._settling = settling
        self._engine = engine
        self._begin = state.position
        self._marker = self._begin.marker
        self._last = self._begin.last  # of the blobs that were listed
        self._next: tuple[int, int, Entry] | None = None  # where the first entry is that was not taken

    @property
    def position(self) -> Position:
        """Where the next step begins."""
        part, offset, _ = self._next or (len(self._saved.index.parts), 0, None)
        return Position(self._marker, self._last, part, offset, self.pairs.dropped, self.pairs.found)

    async def take(self) -> bool:
        """Pair until the time is up, or so many entries are to be copied again; tell whether all is done."""
        loop = asyncio.get_running_loop()
        end = loop.time() + _SECONDS
        async with aclosing(self._pages()) as pages, aclosing(self._entries()) as entries:
            self._next = await anext(entries, None)
            while await self._advance(pages, entries):
                self.pairs.found += await self._settling.settle(self.pairs.take_doubts())
                self._tell()
                if loop.time() >= end or len(self._settling.repairs) >= self._engine.settings.list_budget:
                    return False
        return True

    def _tell(self) -> None:
        """Have the run told how far it is; a verification of another run tells at its end."""
        if self._asked.verified == self._asked.run:
            news = Tally(checked=self.pairs.checked - self._told)
            self._engine.progress.add(self._asked.run, done=news)
            self._told = self.pairs.checked

    async def _advance(
        self, pages: AsyncGenerator[Page], entries: AsyncGenerator[tuple[int, int, Entry]]
    ) -> bool:
        """Take what is behind; tell whether there was anything."""
        if self._listing_is_behind():
            page = await anext(pages)
            self._marker = page.marker or None
            for blob in page.blobs:
                self.pairs.add_blob(blob)
                self._last = blob.name
            return True
        if self._next is not None:
            for _ in range(_AT_ONCE):
                if self._next is None or self._listing_is_behind():
                    break
                self.pairs.add_entry(self._next[2])
                self._next = await anext(entries, None)
            return True
        return self.pairs.doubt(_ASKED_AT_ONCE)

    def _listing_is_behind(self) -> bool:
        if self._marker is None:
            return False
        return self._next is None or (self._next[2].blob or "") > self._last

    async def _pages(self) -> AsyncGenerator[Page]:
        """Yield the pages of the listing; the next one is under way while one is compared."""
        prefix = blobname.escape(self._saved.index.root.rstrip("/") + "/")
        marker = self._begin.marker
        if marker is None:
            return
        coming = asyncio.create_task(self._engine.backups.page(prefix, marker))
        try:
            while marker is not None:
                page = await coming
                marker = page.marker or None
                if marker is not None:
                    coming = asyncio.create_task(self._engine.backups.page(prefix, marker))
                yield page
        finally:
            coming.cancel()
            await asyncio.gather(coming, return_exceptions=True)

    async def _entries(self) -> AsyncGenerator[tuple[int, int, Entry]]:
        """Yield the entries that have a blob, each with the number of its part and its place in it."""
        begin = self._begin
        for number, part in enumerate(self._saved.index.parts[begin.part :], begin.part):
            offset = begin.offset if number == begin.part else 0
            async for length, entry in self._saved.lines(part.name, offset):
                if entry is not None and (known := self._with_blob(entry)) is not None:
                    yield number, offset, known
                offset += length

    def _with_blob(self, entry: Entry) -> Entry | None:
        """Return an entry with the name of its blob; None if it has none, or has vanished with it."""
        if entry.is_saved:
            return entry if entry.blob is not None else None
        if entry.outcome == "vanished" and entry.previous is None:
            return None
        name = blobname.escape(os.path.join(self._saved.index.root, entry.path.removesuffix("/")))
        return msgspec.structs.replace(entry, blob=name)
