"""Limits that one worker process keeps over everything that it does at once."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager


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
