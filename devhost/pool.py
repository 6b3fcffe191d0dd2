"""The worker processes together: each call goes to the least busy one, and one that ended is replaced."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Mapping

from .functions import Function
from .invocations import Failure, Invocation, InvocationResult, WorkerLostError, WorkerRecycledError
from .settings import HostSettings
from .workers import IndexingError, Worker

_CRASHES_A_WORKER = 3
_CRASH_WINDOW_SECONDS = 30 * 60.0
# Between a start that failed and the next one: what it failed for may pass.
_PAUSE_SECONDS = 1.0

_OF_ORCHESTRATIONS = frozenset({"orchestrationTrigger", "activityTrigger", "entityTrigger"})
_REASON = "This function was programmatically called via the host APIs."

CALLS_LOGGER = f"{__name__}.calls"
"""Logs the calls of functions. Azure counts these lines as the functions' own, too."""

_logger = logging.getLogger(__name__)
_calls_logger = logging.getLogger(CALLS_LOGGER)


class WorkerPool:
    """Runs functions."""

    def __init__(
        self, settings: HostSettings, client_input: str, on_fatal: Callable[[str], None] | None
    ) -> None:
        """`client_input` is the text that every durable client parameter receives.

        `on_fatal` is called with a message whenever the workers have crashed too often; None: they may.
        """
        self._settings = settings
        self._client_input = client_input
        self._on_fatal = on_fatal
        self._workers: list[Worker] = []
        self._ready = asyncio.Event()
        self._replacing: set[asyncio.Task[None]] = set()
        self._stopped = False
        self._crashes: deque[float] = deque()

    async def start(self) -> list[Function]:
        """Starts all workers; gives the functions of the app.

        Raises:
            IndexingError: the app doesn't load, or the first worker ends on the way.
        """
        try:
            first = await self._add()
        except WorkerLostError as error:
            raise IndexingError(str(error)) from error
        await asyncio.gather(*(self._replace() for _ in range(self._settings.worker_count - 1)))
        return first.functions

    async def invoke(self, invocation: Invocation) -> InvocationResult:
        """Runs a function in the least busy worker; waits while there is none.

        A call from outside has two lines in the log, as in Azure. The steps of orchestrations have none, for
        there are thousands.

        Raises:
            InvocationTimeoutError, WorkerLostError: as `Worker.invoke`.
        """
        function = invocation.function
        if function.trigger_type in _OF_ORCHESTRATIONS:
            return await self._invoke(invocation)
        _calls_logger.info(
            "Executing 'Functions.%s' (Reason='%s', Id=%s)", function.name, _REASON, invocation.id
        )
        begin = time.monotonic()
        outcome = "Failed"
        try:
            result = await self._invoke(invocation)
            outcome = "Failed" if result.failure else "Succeeded"
            return result
        finally:
            took = 1000 * (time.monotonic() - begin)
            _calls_logger.info(
                "Executed 'Functions.%s' (%s, Id=%s, Duration=%.0fms)",
                function.name,
                outcome,
                invocation.id,
                took,
            )

    async def _invoke(self, invocation: Invocation) -> InvocationResult:
        for binding in invocation.function.missing:
            if binding.direction == "input":
                return InvocationResult(failure=Failure(binding.refusal(), ""))
        while not self._workers:
            await self._ready.wait()
        worker = min(self._workers, key=lambda candidate: candidate.busy)
        inputs: Mapping[str, str] = dict.fromkeys(invocation.function.client_parameters, self._client_input)
        return await worker.invoke(invocation, inputs, self._settings.function_timeout_seconds)

    async def stop(self) -> None:
        """Ends all workers; on return they are gone."""
        self._stopped = True
        for task in self._replacing:
            task.cancel()
        await asyncio.gather(*self._replacing, return_exceptions=True)
        await asyncio.gather(*(worker.stop() for worker in tuple(self._workers)))

    def kill(self) -> None:
        """Ends all workers at once."""
        self._stopped = True
        for worker in tuple(self._workers):
            worker.kill()

    async def _add(self) -> Worker:
        """Raises IndexingError or WorkerLostError."""
        worker = await Worker.start(self._settings)
        if worker.loss is not None:
            raise worker.loss
        worker.on_end = self._leave
        self._workers.append(worker)
        self._ready.set()
        return worker

    def _leave(self, worker: Worker, loss: WorkerLostError) -> None:
        """Counts the end of a worker if it was no order of the host, and has another one take its place."""
        self._workers.remove(worker)
        if not self._workers:
            self._ready.clear()
        if self._stopped:
            return
        if not isinstance(loss, WorkerRecycledError):
            _logger.error("%s It is replaced.", loss)
            self._count_crash()
        task = asyncio.create_task(self._replace())
        self._replacing.add(task)
        task.add_done_callback(self._replacing.discard)

    async def _replace(self) -> None:
        while True:
            try:
                await self._add()
            except (IndexingError, WorkerLostError) as error:
                _logger.error("A new worker did not start: %s", error)
                self._count_crash()
                await asyncio.sleep(_PAUSE_SECONDS)
            else:
                return

    def _count_crash(self) -> None:
        now = time.monotonic()
        self._crashes.append(now)
        while self._crashes[0] < now - _CRASH_WINDOW_SECONDS:
            self._crashes.popleft()
        most = _CRASHES_A_WORKER * self._settings.worker_count
        if self._on_fatal is not None and len(self._crashes) >= most:
            self._on_fatal(
                f"The workers crashed {len(self._crashes)} times within 30 minutes; the host stops."
            )
