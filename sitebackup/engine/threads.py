"""Threads for what waits for a disk, which the event loop must not.

A disk or share can be silent for ever, and a thread that waits for it cannot be ended. So each tree has
threads of its own, and a caller is told after a while that no answer came. The threads are daemons: they keep
no process from ending.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from queue import SimpleQueue
from threading import Thread
from typing import Any, Protocol

from sitebackup.errors import SourceUnavailableError

DEADLINE = 120.0
"""Seconds that a call may take. A share that lost its server says so after one to three minutes (NFS mounted
"soft", SMB) or never; a call that goes well reads 64 MiB, or looks at a thousand entries."""


class InThread(Protocol):
    """Runs a function in a thread and returns its result; `SourceUnavailableError` if none comes in time."""

    async def __call__[T](self, function: Callable[[], T]) -> T: ...


class Disk:
    """Gives each tree its own `Threads`, of `count` threads and with a `deadline` in seconds."""

    def __init__(self, count: int, deadline: float = DEADLINE) -> None:
        self._count = count
        self._deadline = deadline
        self._of: dict[str, Threads] = {}

    def __call__(self, root: str) -> InThread:
        """Return what runs functions that wait for the tree at `root`."""

        async def in_thread[T](function: Callable[[], T]) -> T:
            return await self._threads(root)(function)

        return in_thread

    def close(self) -> None:
        """End the threads; one that waits for a silent disk ends when it is back."""
        for threads in self._of.values():
            threads.close()
        self._of.clear()

    def _threads(self, root: str) -> "Threads":
        if root not in self._of:
            # The threads of trees that are done with must not pile up.
            for known in [known for known, threads in self._of.items() if threads.idle]:
                self._of.pop(known).close()
            self._of[root] = Threads(self._count, self._deadline)
        return self._of[root]


class _Call:
    """A `function` to run, and the `answer` that is waited for on an event loop."""

    def __init__(self, function: Callable[[], Any]) -> None:
        self.function = function
        self.loop = asyncio.get_running_loop()
        self.answer: asyncio.Future[Any] = self.loop.create_future()
        self.deadline: asyncio.TimerHandle | None = None
        self.late = False


class Threads:
    """At most `count` threads, started as they are needed; each call may take `deadline` seconds in one.

    A thread whose call is late serves nobody until it is back, and its answer is dropped. While all are late,
    every call fails at once: it would wait for the same disk. All state belongs to the event loop.
    """

    def __init__(self, count: int, deadline: float = DEADLINE) -> None:
        self._count = count
        self._seconds = deadline
        self._waiting: deque[_Call] = deque()
        self._work: SimpleQueue[_Call | None] = SimpleQueue()
        self._started = 0
        self._running = 0
        self._late = 0

    async def __call__[T](self, function: Callable[[], T]) -> T:
        call = _Call(function)
        if self._late == self._count:
            self._fail(call)
        else:
            self._waiting.append(call)
            self._hand_out()
        return await call.answer

    @property
    def idle(self) -> bool:
        """Whether no call runs or waits."""
        return not self._running and not self._waiting

    def close(self) -> None:
        """End the threads; one that waits for a silent disk ends when it is back."""
        for call in self._waiting:
            if not call.loop.is_closed():
                call.answer.cancel()
        self._waiting.clear()
        for _ in range(self._started):
            self._work.put(None)
        self._started = 0

    def _hand_out(self) -> None:
        while self._waiting and self._running < self._count:
            if self._waiting[0].answer.done():  # cancelled
                self._waiting.popleft()
                continue
            if self._running >= self._started:
                Thread(target=_serve, args=(self._work, self._back), name="source", daemon=True).start()
                self._started += 1
            call = self._waiting.popleft()
            call.deadline = call.loop.call_later(self._seconds, self._give_up, call)
            self._running += 1
            self._work.put(call)

    def _give_up(self, call: _Call) -> None:
        call.late = True
        self._late += 1
        self._fail(call)
        if self._late == self._count:
            while self._waiting:
                self._fail(self._waiting.popleft())

    def _fail(self, call: _Call) -> None:
        if not call.answer.done():
            said = f"The disk or share has not answered for {self._seconds:g} seconds"
            call.answer.set_exception(SourceUnavailableError(said))

    def _back(self, call: _Call, result: object, error: BaseException | None) -> None:
        self._running -= 1
        self._late -= call.late
        if call.deadline is not None:
            call.deadline.cancel()
        if not call.answer.done():
            if error is None:
                call.answer.set_result(result)
            else:
                call.answer.set_exception(error)
        self._hand_out()


def _serve(
    work: SimpleQueue[_Call | None], back: Callable[[_Call, object, BaseException | None], None]
) -> None:
    """Run calls in this thread, until there is None. Nothing of a call stays in memory behind it."""
    while (call := work.get()) is not None:
        try:
            ended = partial(back, call, call.function(), None)
        except BaseException as error:  # noqa: BLE001 - the caller raises it
            ended = partial(back, call, None, error)
        with suppress(RuntimeError):  # the event loop is closed: nobody waits any more
            call.loop.call_soon_threadsafe(ended)
        del call, ended
