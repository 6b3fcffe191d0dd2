"""What may end its process is done while nothing else is: so nothing else is lost, or suspected."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager


class Quarantine:
    """Lets many do their work together, or one alone; who wants to be alone comes last."""

    def __init__(self) -> None:
        self._together = 0
        self._is_alone = False
        self._waiting: list[asyncio.Future[None]] = []

    @asynccontextmanager
    async def together(self) -> AsyncGenerator[None]:
        """Do something beside others; wait while one is alone."""
        await self._wait_until(lambda: not self._is_alone)
        self._together += 1
        try:
            yield
        finally:
            self._together -= 1
            self._tell()

    @asynccontextmanager
    async def alone(self) -> AsyncGenerator[None]:
        """Do something while nobody else does anything; wait until that is so."""
        await self._wait_until(lambda: not (self._is_alone or self._together))
        self._is_alone = True
        try:
            yield
        finally:
            self._is_alone = False
            self._tell()

    async def _wait_until(self, ready: Callable[[], bool]) -> None:
        while not ready():
            change = asyncio.get_running_loop().create_future()
            self._waiting.append(change)
            await change

    def _tell(self) -> None:
        waiting, self._waiting = self._waiting, []
        for change in waiting:
            if not change.done():
                change.set_result(None)
