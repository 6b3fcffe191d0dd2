"""How many requests one process makes at once: as many as it may, and fewer while the service is busy."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager


class Slots:
    """A semaphore whose number of slots falls while the service is busy, and recovers.

    It halves when the service says so, and grows by one for as many other answers as there are slots:
    additive increase, multiplicative decrease, as in TCP. It finds what the service can bear in seconds, and
    processes that know nothing of each other get equal shares of it: halving takes more from who has more
    (https://www.rfc-editor.org/rfc/rfc5681#section-3.1).
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._slots = float(most)
        self._used = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._old_news = 0  # answers that are still to come to what was in flight when they fell

    @property
    def slots(self) -> int:
        """How many there are now."""
        return int(self._slots)

    def answered(self, *, is_busy: bool) -> None:
        """Take note of an answer of the service.

        What was in flight when the slots fell brings no news: they fall once for all of it.
        """
        if is_busy and self._old_news <= 0:
            self._slots = max(1.0, self._slots / 2)
            self._old_news = self._used
        elif not is_busy and self._slots < self._most:
            self._slots = min(self._most, self._slots + 1 / self._slots)
        self._old_news -= 1

    async def acquire(self) -> None:
        """Wait for a slot, first come, first served."""
        if self._waiting or self._used >= self.slots:
            await self._turn(first=False)
        else:
            self._used += 1

    def release(self) -> None:
        """Give a slot back."""
        self._used -= 1
        while self._waiting and self._used < self.slots:
            turn = self._waiting.popleft()
            if not turn.cancelled():
                self._used += 1
                turn.set_result(None)

    @asynccontextmanager
    async def lent(self) -> AsyncGenerator[None]:
        """Lend a slot to others for the length of a block, and be the first to get one after it."""
        self.release()
        try:
            yield
            if self._used >= self.slots:
                await self._turn(first=True)
            else:
                self._used += 1
        except BaseException:
            self._used += 1  # its holder gives it back on the way out
            raise

    async def _turn(self, *, first: bool) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if first:
            self._waiting.appendleft(turn)
        else:
            self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # it was handed over just before
                self.release()
            raise

    async def __aenter__(self) -> None:
        await self.acquire()

    async def __aexit__(self, *_: object) -> None:
        self.release()
