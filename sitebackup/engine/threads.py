"""Threads for what waits for a disk, which the event loop must not."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol


class InThread(Protocol):
    """Runs a function in a thread and returns its result."""

    async def __call__[T](self, function: Callable[[], T]) -> T: ...


class Threads:
    """A pool of `count` threads, which are started as they are needed."""

    def __init__(self, count: int) -> None:
        self._pool = ThreadPoolExecutor(count, thread_name_prefix="source")

    async def __call__[T](self, function: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, function)

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown(cancel_futures=True)


class Disks:
    """Threads of each root."""

    def __init__(self, count: int) -> None:
        self._threads = Threads(count)

    def __call__(self, root: str) -> Threads:
        return self._threads

    def close(self) -> None:
        """End the threads."""
        self._threads.close()
