"""Limits that one worker process keeps over everything that it does at once."""

import asyncio
import math
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

_FALL_SECONDS = 1.0
"""Between two falls: all that was in flight when the service became busy brings the same news."""


class ByteBudget:
    """A bound on bytes held in memory at once: a semaphore whose units are bytes.

    First come, first served, so that a large request is not starved by small ones.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._free = capacity
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    async def acquire(self, size: int) -> int:
        """Wait until `size` bytes are free, take them, and return how many to release.

        A request beyond the capacity takes all of it: it would otherwise never be served.
        """
        size = min(size, self._capacity)
        if not self._waiting and size <= self._free:
            self._free -= size
            return size
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((size, turn))
        try:
            await turn
        except asyncio.CancelledError:
            # The bytes may have been handed over just before; if not, others may fit in its place.
            self.release(size if turn.done() and not turn.cancelled() else 0)
            raise
        return size

    def release(self, size: int) -> None:
        """Give `size` bytes back and serve whoever waits for them."""
        self._free += size
        while self._waiting and (self._waiting[0][1].cancelled() or self._waiting[0][0] <= self._free):
            wanted, turn = self._waiting.popleft()
            if not turn.cancelled():
                self._free -= wanted
                turn.set_result(None)

    @asynccontextmanager
    async def hold(self, size: int) -> AsyncGenerator[None]:
        """Hold `size` bytes for the length of a block."""
        taken = await self.acquire(size)
        try:
            yield
        finally:
            self.release(taken)


class Slots:
    """A semaphore whose number of slots falls while the service is busy, and recovers.

    It halves when the service says so, and grows by one for as many successes as there are slots: additive
    increase, multiplicative decrease, as in TCP. It finds what the service can bear in seconds, and processes
    that know nothing of each other get equal shares of it: halving takes more from who has more
    (https://www.rfc-editor.org/rfc/rfc5681#section-3.1).
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._slots = float(most)
        self._used = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._fell = -math.inf

    @property
    def slots(self) -> int:
        """How many there are now."""
        return int(self._slots)

    def fall(self) -> None:
        """The service is busy: halve the slots, once for all requests that are in flight."""
        now = asyncio.get_running_loop().time()
        if now - self._fell >= _FALL_SECONDS:
            self._fell = now
            self._slots = max(1.0, self._slots / 2)

    async def acquire(self) -> None:
        """Wait for a slot, first come, first served."""
        if not self._waiting and self._used < self.slots:
            self._used += 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # it was handed over just before
                self.release()
            raise

    def release(self) -> None:
        """Give a slot back."""
        self._used -= 1
        while self._waiting and self._used < self.slots:
            turn = self._waiting.popleft()
            if not turn.cancelled():
                self._used += 1
                turn.set_result(None)

    async def __aenter__(self) -> None:
        await self.acquire()

    async def __aexit__(self, failure: object, *_: object) -> None:
        if failure is None and self._slots < self._most:
            self._slots = min(self._most, self._slots + 1 / self._slots)
        self.release()
