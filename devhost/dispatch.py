"""Takes work from the hub, has it run by the pool, and gives the results back.

Work whose worker died goes back into the hub, to be run again. So does work that ran into `functionTimeout`,
as in Azure, but only so often: an item that stops its worker each time would keep the host busy for ever.
"""

import asyncio
import base64
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import durabletask.internal.orchestrator_service_pb2 as pb
from google.protobuf.message import DecodeError

from taskhub.events import text
from taskhub.execution import ActivityWork, EntityWork, TurnWork
from taskhub.hub import Hub

from .functions import TaskRegistry
from .invocations import Failure, Invocation, InvocationResult, InvocationTimeoutError, WorkerLostError
from .settings import HostSettings

_TIMEOUTS_AN_ITEM = 3

_logger = logging.getLogger(__name__)

type _Item = ActivityWork | TurnWork | EntityWork
type _Outcome = InvocationResult | pb.TaskFailureDetails | None
"""The function's answer, or a failure for the orchestration, or neither: to be run again."""


class Dispatcher:
    """Keeps the workers busy with what the hub has to do, within the bounds of host.json."""

    def __init__(
        self,
        hub: Hub,
        invoke: Callable[[Invocation], Awaitable[InvocationResult]],
        registry: TaskRegistry,
        settings: HostSettings,
    ) -> None:
        self._hub = hub
        self._invoke = invoke
        self._registry = registry
        self._settings = settings
        self._turns: set[asyncio.Task[None]] = set()
        self._entities: set[asyncio.Task[None]] = set()
        self._activities: set[asyncio.Task[None]] = set()
        self._timeouts: Counter[str] = Counter()
        self._stopped = False

    def pump(self) -> None:
        """Starts whatever may start now. To be called on the event loop, whenever the hub has news."""
        limits = self._settings
        self._fill(self._turns, limits.max_orchestrators, self._hub.take_turn, self._run_turn)
        self._fill(self._entities, limits.max_orchestrators, self._hub.take_entity, self._run_entity)
        self._fill(self._activities, limits.max_activities, self._hub.take_activity, self._run_activity)

    def stop(self) -> None:
        """Takes no more work, and forgets what is in hand."""
        self._stopped = True
        for task in self._turns | self._entities | self._activities:
            task.cancel()

    def _fill[Work: _Item](
        self,
        running: set[asyncio.Task[None]],
        limit: int,
        take: Callable[[], Work | None],
        run: Callable[[Work], Coroutine[Any, Any, None]],
    ) -> None:
        def finished(task: asyncio.Task[None]) -> None:
            running.discard(task)
            if not task.cancelled() and task.exception() is not None:
                _logger.critical("A work item was lost by a fault of the host.", exc_info=task.exception())
            self.pump()

        while not self._stopped and len(running) < limit:
            work = take()
            if work is None:
                return
            task = asyncio.create_task(run(work))
            running.add(task)
            task.add_done_callback(finished)

    async def _run_activity(self, work: ActivityWork) -> None:
        payload = (work.input or "null").encode()
        outcome = await self._call("activity", work.name, payload, f"activity {work.ticket}")
        if outcome is None:
            self._hub.abandon_activity(work)
        elif isinstance(outcome, pb.TaskFailureDetails):
            self._hub.complete_activity(work, failure=outcome)
        else:
            self._hub.complete_activity(work, result=outcome.payload.decode() if outcome.kind else None)

    async def _run_turn(self, turn: TurnWork) -> None:
        name = turn.execution.name
        outcome = await self._call("orchestration", name, _encoded(turn.request), f"turn {turn.token}")
        response = pb.OrchestratorResponse()
        if isinstance(outcome, InvocationResult):
            outcome = self._decode(outcome, response, name)
        if outcome is None:
            self._hub.abandon_turn(turn)
        elif isinstance(outcome, pb.TaskFailureDetails):
            self._hub.fail_turn(turn, outcome)
        else:
            self._hub.complete_turn(turn, response)

    async def _run_entity(self, work: EntityWork) -> None:
        outcome = await self._call("entity", work.name, _encoded(work.request), f"entity {work.token}")
        result = pb.EntityBatchResult()
        if isinstance(outcome, InvocationResult):
            outcome = self._decode(outcome, result, work.name)
        if outcome is None:
            self._hub.abandon_entity(work)
        elif isinstance(outcome, pb.TaskFailureDetails):
            self._hub.fail_entity(work, outcome)
        else:
            self._hub.complete_entity(work, result)

    async def _call(self, kind: str, name: str, payload: bytes, item: str) -> _Outcome:
        """Runs the function behind a task. `kind` is its trigger's; `item` tells work items apart."""
        function = self._registry.find(f"{kind}Trigger", name)
        if function is None:
            return self._unknown(kind, name)
        try:
            result = await self._invoke(Invocation(function, payload))
        except WorkerLostError:
            return None
        except InvocationTimeoutError:
            return self._timed_out(name, item)
        return result if result.failure is None else _failed(name, result.failure)

    def _unknown(self, kind: str, name: str) -> pb.TaskFailureDetails:
        known = ", ".join(f"'{known}'" for known in self._registry.names(f"{kind}Trigger")) or "none"
        message = (
            f"The function '{name}' doesn't exist, is disabled, or is not an {kind} function. "
            f"The following are the known {kind} functions: {known}."
        )
        if kind == "activity":  # the extension gives its reason to nobody here (OutOfProcMiddleware.cs)
            _logger.error(message)
            return pb.TaskFailureDetails()
        return pb.TaskFailureDetails(errorType="FunctionNotFound", errorMessage=message, isNonRetriable=True)

    def _timed_out(self, name: str, item: str) -> pb.TaskFailureDetails | None:
        """The failure, once the item has had its chances."""
        limit = self._settings.function_timeout_seconds
        _logger.error("Function '%s' ran longer than %g s; its worker was stopped.", name, limit)
        self._timeouts[item] += 1
        if self._timeouts[item] < _TIMEOUTS_AN_ITEM:
            return None
        del self._timeouts[item]
        message = f"Function '{name}' ran into the function timeout of {limit:g} s {_TIMEOUTS_AN_ITEM} times."
        return pb.TaskFailureDetails(errorType="TimeoutError", errorMessage=message)

    def _decode(
        self, result: InvocationResult, message: pb.OrchestratorResponse | pb.EntityBatchResult, name: str
    ) -> InvocationResult | pb.TaskFailureDetails:
        """Reads the answer into `message`; gives the result back, or a failure if it cannot be read."""
        try:
            message.ParseFromString(base64.b64decode(result.payload, validate=True))
        except (ValueError, DecodeError) as error:
            return _failed(name, Failure(f"ValueError: The answer cannot be read: {error}", ""))
        return result


def failure_details(failure: Failure) -> pb.TaskFailureDetails:
    """What an orchestrator sees of an exception: its class name, and the first line of its text.

    The Durable extension takes the worker's `ClassName: text` apart in this way, the loss of further lines
    included (`OutOfProcMiddleware.TrySplitExceptionTypeFromMessage`).
    """
    error_type, separator, message = failure.message.partition(": ")
    if separator:
        message = message.split("\n", 1)[0].rstrip()
    else:
        error_type, message = "(unknown)", failure.message
    return pb.TaskFailureDetails(
        errorType=error_type.rstrip(), errorMessage=message, stackTrace=text(failure.stack)
    )


def _failed(name: str, failure: Failure) -> pb.TaskFailureDetails:
    _logger.error("Function '%s' failed. %s\n%s", name, failure.message, failure.stack)
    return failure_details(failure)


def _encoded(request: pb.OrchestratorRequest | pb.EntityBatchRequest) -> bytes:
    return base64.b64encode(request.SerializeToString())
