"""Ending the work of a run that has ended.

Terminating an orchestration ends neither its sub-orchestrations nor the activities that are queued
(https://learn.microsoft.com/azure/azure-functions/durable/durable-functions-instance-management). So each
process asks, while it works for a run, how the run is, and drops the work of one that is over.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from durabletask.client import OrchestrationState, OrchestrationStatus

from sitebackup.errors import UnavailableError

PERIOD = 10.0
"""Seconds between two questions about one run: a terminated run stops within a minute."""

_ASK_SECONDS = 10.0
"""Seconds that the task hub may take to answer."""

_ENDS = {OrchestrationStatus.COMPLETED, OrchestrationStatus.FAILED, OrchestrationStatus.TERMINATED}

type Ask = Callable[[str], Awaitable[bool]]
"""Asks the task hub whether the orchestration with this instance ID is over."""

_log = logging.getLogger(__name__)


def is_over(state: OrchestrationState | None) -> bool:
    """Tell whether an orchestration, as its task hub knows it, is over: ended, or purged."""
    return state is None or state.runtime_status in _ENDS


class RunOverError(UnavailableError):
    """The run that an activity belongs to has ended.

    Nobody reads what the activity answers, unless a run was started anew under the same ID since the task hub
    was asked: then it has the work done again.
    """


class RunWatch:
    """One a process, used on one event loop."""

    def __init__(self) -> None:
        self._groups: dict[str, _Group] = {}

    async def guard[T](self, run: str, work: Coroutine[Any, Any, T], ask: Ask) -> T:
        """Do `work` for `run`; raises `RunOverError`, with the work cancelled, once `run` is over."""
        group = self._groups.get(run)
        if group is None:
            self._forget_idle()
            group = self._groups[run] = _Group(run)
        return await group.guard(work, ask)

    def _forget_idle(self) -> None:
        """Forget runs that there is no work for, unless they were just asked about."""
        now = asyncio.get_running_loop().time()
        for run in [run for run, group in self._groups.items() if group.is_idle(now)]:
            del self._groups[run]


class _Group:
    """The work of one run, and when it was asked about and what the answer was."""

    def __init__(self, run: str) -> None:
        self._run = run
        self._tasks: set[asyncio.Task[Any]] = set()
        self._watcher: asyncio.Task[None] | None = None
        self._asked = -PERIOD
        self._over = False

    def is_idle(self, now: float) -> bool:
        return not self._tasks and now - self._asked > PERIOD

    async def guard[T](self, work: Coroutine[Any, Any, T], ask: Ask) -> T:
        if self._over and asyncio.get_running_loop().time() - self._asked < PERIOD:
            work.close()
            raise RunOverError("The run has ended.")
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        if self._watcher is None or self._watcher.done():
            self._watcher = asyncio.ensure_future(self._watch(ask))
        try:
            return await task
        except asyncio.CancelledError:
            if self._over:
                raise RunOverError("The run has ended.") from None
            raise
        finally:
            self._tasks.discard(task)

    async def _watch(self, ask: Ask) -> None:
        """Ask how the run is for as long as there is work for it."""
        loop = asyncio.get_running_loop()
        while self._tasks:
            due = self._asked + PERIOD - loop.time()
            if due > 0:
                await asyncio.wait(self._tasks, timeout=due)
                continue
            self._over = await self._is_over(ask)
            self._asked = loop.time()
            if self._over:
                for task in self._tasks:
                    task.cancel()
                return

    async def _is_over(self, ask: Ask) -> bool:
        try:
            async with asyncio.timeout(_ASK_SECONDS):
                return await ask(self._run)
        except Exception:  # noqa: BLE001 - a task hub that does not answer is no reason to drop work
            _log.debug("The task hub does not say how the run is.", exc_info=True)
            return False
