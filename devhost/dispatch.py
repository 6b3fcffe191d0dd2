"""Takes work from the hub, has it run by the pool, and gives the results back."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import durabletask.internal.orchestrator_service_pb2 as pb

from taskhub.hub import Hub

from .functions import TaskRegistry
from .invocations import Failure, Invocation, InvocationResult, InvocationTimeoutError, WorkerLostError
from .settings import HostSettings
from .work import Activities, Entities, Turns, UnreadableAnswerError, WorkKind, failure_details

_logger = logging.getLogger(__name__)


class Dispatcher:
    """Keeps the workers busy with what the hub has to do, within the bounds of host.json."""

    def __init__(
        self,
        hub: Hub,
        invoke: Callable[[Invocation], Awaitable[InvocationResult]],
        registry: TaskRegistry,
        settings: HostSettings,
    ) -> None:
        self._invoke = invoke
        self._registry = registry
        self._lanes: list[_Lane[Any]] = [
            _Lane(Turns(hub), settings.max_orchestrators),
            _Lane(Entities(hub), settings.max_orchestrators),
            _Lane(Activities(hub), settings.max_activities),
        ]
        self._stopped = False

    def pump(self) -> None:
        """Starts whatever may start now. To be called on the event loop, whenever the hub has news."""
        for lane in self._lanes:
            while not self._stopped and len(lane.running) < lane.limit:
                work = lane.kind.take()
                if work is None:
                    break
                task = asyncio.create_task(self._run(lane.kind, work))
                lane.running.add(task)
                task.add_done_callback(lane.running.discard)
                task.add_done_callback(self._finished)

    def stop(self) -> None:
        """Takes no more work, and forgets what is in hand."""
        self._stopped = True
        for lane in self._lanes:
            for task in lane.running:
                task.cancel()

    def _finished(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            _logger.critical("A work item was lost by a fault of the host.", exc_info=task.exception())
        self.pump()

    async def _run[Work](self, kind: WorkKind[Work], work: Work) -> None:
        """Runs one item to its result or its failure, whatever happens: an orchestration waits for it."""
        try:
            await self._run_function(kind, work)
        except Exception as error:
            _logger.exception("A fault of the host fails a work item.")
            kind.fail(work, failure_details(Failure(f"{type(error).__name__}: {error}", "")))

    async def _run_function[Work](self, kind: WorkKind[Work], work: Work) -> None:
        name, payload = kind.describe(work)
        function = self._registry.find(kind.trigger, name)
        if function is None:
            kind.fail(work, self._unknown(kind.trigger, name))
            return
        try:
            result = await self._invoke(Invocation(function, payload))
        except (WorkerLostError, InvocationTimeoutError) as loss:
            _logger.error("Function '%s' did not end. %s", name, loss)
            kind.lose(work, function, loss)
            return
        failure = result.failure
        if failure is None:
            try:
                kind.complete(work, result)
            except UnreadableAnswerError as error:
                failure = Failure(str(error), "")
        if failure is not None:
            _logger.error("Function '%s' failed. %s\n%s", name, failure.message, failure.stack)
            kind.fail(work, failure_details(failure))

    def _unknown(self, trigger: str, name: str) -> pb.TaskFailureDetails:
        kind = trigger.removesuffix("Trigger")
        known = ", ".join(f"'{known}'" for known in self._registry.names(trigger)) or "none"
        message = (
            f"The function '{name}' doesn't exist, is disabled, or is not an {kind} function. "
            f"The following are the known {kind} functions: {known}."
        )
        if kind == "activity":  # the extension gives its reason to nobody here (OutOfProcMiddleware.cs)
            _logger.error(message)
            return pb.TaskFailureDetails()
        return pb.TaskFailureDetails(errorType="FunctionNotFound", errorMessage=message, isNonRetriable=True)


class _Lane[Work]:
    """One kind of work, with a bound of its own."""

    def __init__(self, kind: WorkKind[Work], limit: int) -> None:
        self.kind = kind
        self.limit = limit
        self.running: set[asyncio.Task[None]] = set()
