"""How far the work for a run is, from all processes to the orchestration, while activities are under way.

Each process that works for a run overwrites one small blob every other second, if there is something new.
When that is due, one of them, whichever comes first, adds up these blobs and tells the orchestration. When it
was told last is in the metadata of another blob, which is written under a condition, so that only one tells.

It is due every few seconds, and after a while every twentieth of the time that the run has taken, so that its
history grows with the logarithm of that time. Nothing of this ever fails the work itself.
"""

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager

from sitebackup.blobs.container import ABSENT, Condition, Container, Properties
from sitebackup.digests import md5
from sitebackup.messages import Progress as News
from sitebackup.records.run_blobs import progress_folder, progress_name, told_name
from sitebackup.tally import Tally

WRITE_SECONDS = 1.5
"""Between two looks at what is new in a process."""

_AT_LEAST = 5.0
_SHARE = 1 / 20
"""An orchestration is told every so many seconds, or every so large a part of its time if that is longer."""

_LATE = WRITE_SECONDS + 1.0
"""Seconds that news is late at most, since nobody looks all the time, and it has a way to go."""

_IDLE_RUNS = 16
"""Runs without work that a process remembers: there may be work for them again."""

type Tell = Callable[[str, News], Awaitable[None]]
"""Tells the orchestration with this instance ID how far it is."""

_log = logging.getLogger(__name__)


class Progress:
    """One a process, used on one event loop."""

    def __init__(self, runs: Container, process: str, clock: Callable[[], float] = time.time) -> None:
        self._runs = runs
        self._process = process
        self._clock = clock
        self._of: dict[str, _RunProgress] = {}

    def add(self, run: str, found: Tally = Tally(), done: Tally = Tally()) -> None:  # noqa: B008 - it is frozen
        """Count what was found and done for a run."""
        self._progress(run).add(found, done)

    @contextmanager
    def published(self, run: str, tell: Tell) -> Generator[None]:
        """Publish what is counted for a run while the block works for it."""
        progress = self._progress(run)
        progress.begin(tell)
        try:
            yield
        finally:
            progress.end()
            self._forget_idle()

    def close(self) -> None:
        """Publish nothing more."""
        for progress in self._of.values():
            progress.close()

    def _progress(self, run: str) -> "_RunProgress":
        # The last one that was used is the last one to be forgotten.
        progress = self._of.pop(run, None) or _RunProgress(self._runs, run, self._process, self._clock)
        self._of[run] = progress
        return progress

    def _forget_idle(self) -> None:
        idle = [run for run, progress in self._of.items() if progress.is_idle]
        for run in idle[:-_IDLE_RUNS]:
            del self._of[run]


class _RunProgress:
    """What a process has found and done for one run, and the task that publishes it."""

    def __init__(self, runs: Container, run: str, process: str, clock: Callable[[], float]) -> None:
        self._runs = runs
        self._run = run
        self._process = process
        self._clock = clock
        self._mine = News()
        self._works = 0
        self._is_written = self._is_told = True
        self._due = 0.0
        self._tell: Tell | None = None
        self._publisher: asyncio.Task[None] | None = None

    @property
    def is_idle(self) -> bool:
        """Whether there is no work for the run, and nothing to publish."""
        return not self._works and (self._publisher is None or self._publisher.done())

    def add(self, found: Tally, done: Tally) -> None:
        self._mine = News(self._mine.found + found, self._mine.done + done)
        self._is_written = self._is_told = False

    def begin(self, tell: Tell) -> None:
        self._works += 1
        self._tell = tell
        if self._publisher is None or self._publisher.done():
            self._publisher = asyncio.create_task(self._publish())

    def end(self) -> None:
        self._works -= 1
        if not self._works:
            # The answers say it now. A blob that was written later might be left behind when the run ends.
            self._is_written = self._is_told = True

    def close(self) -> None:
        if self._publisher is not None and not self._publisher.get_loop().is_closed():
            self._publisher.cancel()

    async def _publish(self) -> None:
        while True:
            await asyncio.sleep(WRITE_SECONDS)
            if not self._works:
                return
            try:
                await self._write()
                await self._tell_if_due()
            except Exception:  # noqa: BLE001 - progress that nobody sees is no reason to lose work
                _log.debug("The progress of a run cannot be published.", exc_info=True)

    async def _write(self) -> None:
        if not self._is_written:
            self._is_written = True
            data = json.dumps(self._mine.to_json()).encode()
            await self._runs.put(progress_name(self._run, self._process), data, Properties(md5(data)))

    async def _tell_if_due(self) -> None:
        now = self._clock()
        if self._is_told or self._tell is None or now < self._due:
            return
        name = told_name(self._run)
        blob = await self._runs.find(name)
        times = {} if blob is None else blob.metadata or {}
        began, told = (float(times.get(time, now - WRITE_SECONDS)) for time in ("began", "told"))
        self._due = told + max(_AT_LEAST, (now - began) * _SHARE) - _LATE
        is_due = now >= self._due
        if blob is None or is_due:
            about = {"began": str(began), "told": str(now if is_due else told)}
            condition = ABSENT if blob is None else Condition(blob.etag)
            await self._runs.put(name, b"", Properties(metadata=about), condition)
        if is_due:
            self._is_told = True
            await self._tell(self._run, await self._sum())

    async def _sum(self) -> News:
        """Add up what all processes have written."""
        found, done = Tally(), Tally()
        async for blob in self._runs.list(progress_folder(self._run)):
            news = News.from_json(json.loads(await self._runs.get(blob.name)))
            found, done = found + news.found, done + news.done
        return News(found, done)
