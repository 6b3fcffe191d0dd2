"""One attempt at a batch: its tasks, several at once, and what is known of the attempts before it.

What is done of a batch stays done, whatever becomes of the rest: an attempt that meets a trouble answers that
the batch is not done, and the next one goes on from there. `records.attempts` tells how a file that ends its
worker is found.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack

from sitebackup.activities.ends import End, not_saved
from sitebackup.engine.engine import Engine
from sitebackup.errors import UnavailableError
from sitebackup.records.attempts import Attempt, AttemptRecord
from sitebackup.records.outcomes import Outcome
from sitebackup.records.packing import pack
from sitebackup.records.plans import Task

MOST_BREAKS = 3
"""Attempts at a single task that may end without a word before it counts as what ends them."""

_MOST_OF_IT = 0.9
"""Of an activity's time: a single task that takes longer than so much of it takes too long."""

_READ_AT_ONCE = 8
"""Files that are read in one go, at most."""

_READ_BYTES = 256 * 1024
"""Bytes of them, at most; a bigger file is read alone."""

_SLICES = 8
"""Slices that the tasks of an attempt that broke are cut into: one of 500 is alone in the fourth attempt."""

type CarryOut = Callable[[Sequence[Task]], Awaitable[list[End]]]
"""Carries out tasks, all of one kind of work; returns how it went with each."""


class Batch:
    """One attempt at a batch: all tasks at once, unless an earlier attempt broke.

    Then the tasks that were under way are carried out in slices, before all others. One that was under way by
    itself is a suspect: it is left for last. `advanced`: whether something was done.
    """

    def __init__(
        self,
        engine: Engine,
        carry_out: CarryOut,
        tasks: Sequence[Task],
        record: AttemptRecord,
        earlier: Attempt | None,
    ) -> None:
        self._carry_out = carry_out
        self._quarantine = engine.quarantine
        self._tasks = tasks
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

    async def carry_out(self) -> str | None:
        """Carry out all but suspects; return the trouble that left something undone, if there was one."""
        size = max(1, self._doubtful // _SLICES)
        while undone := self._undone(suspects=False):
            begun = undone[: min(size, self._doubtful) or None]
            self._doubtful = max(0, self._doubtful - size)
            if trouble := await self._slice(begun):
                return trouble
        return None

    async def carry_out_suspects(self) -> str | None:
        """Carry out the suspects, when all others are done, while nothing else is under way in the process.

        So nobody else is suspected because of them, and they are not because of anybody else.
        """
        for task in self._undone(suspects=True):
            await self._note(0)  # it is not under way while it waits
            async with AsyncExitStack() as stack:
                try:
                    async with asyncio.timeout_at(self._deadline):
                        await stack.enter_async_context(self._quarantine.alone())
                except TimeoutError:
                    return "A file that may have ended its worker waits until nothing else is under way."
                if trouble := await self._slice([task]):
                    return trouble
        return None

    def _undone(self, *, suspects: bool) -> list[Task]:
        done, breaks = self._attempt.outcomes, self._attempt.breaks
        return [task for task in self._tasks if task.path not in done and (task.path in breaks) == suspects]

    def _count_a_break(self) -> None:
        """An attempt broke while a single task was under way: the third time, that task has failed."""
        task = (self._undone(suspects=False) or self._undone(suspects=True))[0]
        breaks = self._attempt.count_a_break(task.path)
        if breaks == MOST_BREAKS:
            reason = f"its worker ended while it was copied, {MOST_BREAKS} times"
            self._end([not_saved(task, "failed", reason)])
        self._doubtful = 0

    async def _note(self, begun: int, *, is_over: bool = False) -> None:
        self._attempt.begun = begun
        await self._record.save(self._attempt, is_over=is_over)

    def _end(self, outcomes: Sequence[Outcome]) -> None:
        """Take the outcomes of tasks that are done."""
        if outcomes:
            self._attempt.add(outcomes)
            self.advanced = True

    async def _slice(self, tasks: Sequence[Task]) -> str | None:
        """Note that `tasks` are under way, and carry them out; return the trouble that left one undone."""
        if not self._is_noted:
            await self._note(len(tasks))
        self._is_noted = False
        seconds = self._deadline - asyncio.get_running_loop().time()
        trouble, late = await self._within(seconds, tasks)
        if late == len(tasks) == 1 and seconds > _MOST_OF_IT * self._seconds:
            self._end([not_saved(tasks[0], "failed", f"took longer than {seconds:.0f} seconds")])
        elif trouble:
            await self._note(late, is_over=True)
            return trouble
        return None

    async def _within(self, seconds: float, tasks: Sequence[Task]) -> tuple[str | None, int]:
        """Carry out `tasks`; return the first trouble that left one undone, and how many lacked time."""
        work = {
            asyncio.ensure_future(self._carry_out(part)): len(part)
            for part in pack(tasks, _READ_AT_ONCE, _READ_BYTES)
        }
        try:
            ended, late = await asyncio.wait(work, timeout=max(0, seconds))
            ends = [end for part in ended for end in part.result()]
        finally:
            for part in work:
                part.cancel()
        self._end([end for end in ends if isinstance(end, Outcome)])
        if late:
            return "Some files took longer than an activity may.", sum(work[part] for part in late)
        return next((str(end) for end in ends if isinstance(end, UnavailableError)), None), 0
