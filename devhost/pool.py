"""The worker processes together: each call goes to the least busy one, and a dead one is replaced."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Mapping

from .functions import Function
from .invocations import Invocation, InvocationResult, WorkerLostError
from .settings import HostSettings
from .workers import IndexingError, Worker

_CRASHES_A_WORKER = 3
_CRASH_WINDOW_SECONDS = 30 * 60.0

_logger = logging.getLogger(__name__)


class WorkerPool:
    """Runs functions. `on_fatal` is called once, with a message, when the workers crash too often."""

    def __init__(self, settings: HostSettings, client_input: str, on_fatal: Callable[[str], None]) -> None:
        """`client_input` is the text that every durable client parameter receives."""
        self._settings = settings
        self._client_input = client_input
        self._on_fatal = on_fatal
        self._workers: list[Worker] = []
        self._ready = asyncio.Event()
        self._keepers: set[asyncio.Task[None]] = set()
        self._crashes: deque[float] = deque()

    async def start(self) -> list[Function]:
        """Starts all workers; gives the functions of the app.

        Raises:
            IndexingError: the app doesn't load, or the first worker dies on the way.
        """
        try:
            first = await Worker.start(self._settings)
        except WorkerLostError as error:
            raise IndexingError(str(error)) from error
        self._admit(first)
        others = (self._replacement() for _ in range(self._settings.worker_count - 1))
        for worker in await asyncio.gather(*others):
            self._admit(worker)
        return first.functions

    async def invoke(self, invocation: Invocation) -> InvocationResult:
        """Runs a function in the least busy worker; waits while there is none.

        Raises:
            InvocationTimeoutError, WorkerLostError: as `Worker.invoke`.
        """
        await self._ready.wait()
        worker = min(self._workers, key=lambda candidate: candidate.busy)
        inputs: Mapping[str, str] = dict.fromkeys(invocation.function.client_parameters, self._client_input)
        return await worker.invoke(invocation, inputs, self._settings.function_timeout_seconds)

    async def stop(self) -> None:
        """Ends all workers; on return they are gone."""
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        await asyncio.gather(*(worker.stop() for worker in self._workers))

    def kill(self) -> None:
        """Ends all workers at once."""
        for worker in self._workers:
            worker.kill()

    def _admit(self, worker: Worker) -> None:
        self._workers.append(worker)
        self._ready.set()
        keeper = asyncio.create_task(self._keep(worker))
        self._keepers.add(keeper)
        keeper.add_done_callback(self._keepers.discard)

    async def _keep(self, worker: Worker) -> None:
        """Replaces the worker when it has ended."""
        await worker.closed.wait()
        self._workers.remove(worker)
        if not self._workers:
            self._ready.clear()
        if not worker.killed:
            _logger.error("Worker %d died and is replaced.", worker.pid)
            self._count_crash()
        self._admit(await self._replacement())

    async def _replacement(self) -> Worker:
        while True:
            try:
                return await Worker.start(self._settings)
            except (IndexingError, WorkerLostError) as error:
                _logger.error("A new worker did not start: %s", error)
                self._count_crash()

    def _count_crash(self) -> None:
        now = time.monotonic()
        self._crashes.append(now)
        while self._crashes[0] < now - _CRASH_WINDOW_SECONDS:
            self._crashes.popleft()
        if len(self._crashes) >= _CRASHES_A_WORKER * self._settings.worker_count:
            self._on_fatal(
                f"The workers crashed {len(self._crashes)} times within 30 minutes; the host stops."
            )
