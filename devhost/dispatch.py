"""Takes work from the hub, has it run by the pool, and gives the results back.

A result that never comes because its worker died puts the work back into the hub. A function that ran into
`functionTimeout` is tried again too, as in Azure, but not for ever.
"""

import asyncio
import base64
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import durabletask.internal.orchestrator_service_pb2 as pb
from google.protobuf.message import DecodeError

from .execution import ActivityWork, EntityWork, TurnWork, text
from .functions import TaskRegistry
from .hub import Hub
from .invocations import Failure, Invocation, InvocationResult, InvocationTimeoutError, WorkerLostError
from .settings import HostSettings

_TIMEOUTS_AN_ITEM = 3

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
        self._hub = hub
        self._invoke = invoke
        self._registry = registry
        self._settings = settings
        self._turns: set[asyncio.Task[None]] = set()
        self._entities: set[asyncio.Task[None]] = set()
        self._activities: set[asyncio.Task[None]] = set()
        self._timeouts: Counter[tuple[str, int | str]] = Counter()
        self._stopped = False

    def pump(self) -> None:
        """Starts whatever may start now. To be called on the event loop whenever the hub says so."""
        limits = self._settings
        while not self._stopped and len(self._turns) < limits.max_orchestrators:
            turn = self._hub.take_turn()
            if turn is None:
                break
            self._start(self._turns, self._run_turn(turn))
        while not self._stopped and len(self._entities) < limits.max_orchestrators:
            entity = self._hub.take_entity()
            if entity is None:
                break
            self._start(self._entities, self._run_entity(entity))
        while not self._stopped and len(self._activities) < limits.max_activities:
            activity = self._hub.take_activity()
            if activity is None:
                break
            self._start(self._activities, self._run_activity(activity))

    def stop(self) -> None:
        """Takes no more work, and forgets what is in hand."""
        self._stopped = True
        for task in self._turns | self._entities | self._activities:
            task.cancel()

    def _start(self, running: set[asyncio.Task[None]], run: Coroutine[Any, Any, None]) -> None:
        def finished(task: asyncio.Task[None]) -> None:
            running.discard(task)
            self.pump()

        task = asyncio.create_task(run)
        running.add(task)
        task.add_done_callback(finished)

    async def _run_activity(self, work: ActivityWork) -> None:
        function = self._registry.find("activityTrigger", work.name)
        if function is None:
            details = self._unknown("activityTrigger", "activity", work.name)
            self._hub.complete_activity(work, failure=details)
            return
        try:
            result = await self._invoke(Invocation(function, (work.input or "null").encode()))
        except WorkerLostError:
            self._hub.abandon_activity(work)
        except InvocationTimeoutError:
            details = self._timed_out(("activity", work.ticket), work.name)
            if details is None:
                self._hub.abandon_activity(work)
            else:
                self._hub.complete_activity(work, failure=details)
        else:
            if result.failure is not None:
                details = self._failed("activity", work.name, result.failure)
                self._hub.complete_activity(work, failure=details)
            else:
                self._hub.complete_activity(work, result=result.payload.decode() if result.kind else None)

    async def _run_turn(self, turn: TurnWork) -> None:
        name = turn.execution.name
        function = self._registry.find("orchestrationTrigger", name)
        if function is None:
            self._hub.fail_turn(turn, self._unknown("orchestrationTrigger", "orchestrator", name))
            return
        try:
            result = await self._invoke(Invocation(function, _encoded(turn.request)))
        except WorkerLostError:
            self._hub.abandon_turn(turn)
        except InvocationTimeoutError:
            details = self._timed_out(("turn", turn.token), name)
            if details is None:
                self._hub.abandon_turn(turn)
            else:
                self._hub.fail_turn(turn, details)
        else:
            response = pb.OrchestratorResponse()
            details = self._decode(result, response, "orchestrator", name)
            if details is None:
                self._hub.complete_turn(turn, response)
            else:
                self._hub.fail_turn(turn, details)

    async def _run_entity(self, work: EntityWork) -> None:
        function = self._registry.find("entityTrigger", work.name)
        if function is None:
            self._hub.fail_entity(work, self._unknown("entityTrigger", "entity", work.name))
            return
        try:
            result = await self._invoke(Invocation(function, _encoded(work.request)))
        except WorkerLostError:
            self._hub.abandon_entity(work)
        except InvocationTimeoutError:
            details = self._timed_out(("entity", work.token), work.name)
            if details is None:
                self._hub.abandon_entity(work)
            else:
                self._hub.fail_entity(work, details)
        else:
            response = pb.EntityBatchResult()
            details = self._decode(result, response, "entity", work.name)
            if details is None:
                self._hub.complete_entity(work, response)
            else:
                self._hub.fail_entity(work, details)

    def _unknown(self, trigger_type: str, kind: str, name: str) -> pb.TaskFailureDetails:
        known = ", ".join(f"'{known}'" for known in self._registry.names(trigger_type)) or "none"
        message = (
            f"The function '{name}' doesn't exist, is disabled, or is not an {kind} function. "
            f"The following are the known {kind} functions: {known}."
        )
        return pb.TaskFailureDetails(errorType="FunctionNotFound", errorMessage=message, isNonRetriable=True)

    def _timed_out(self, item: tuple[str, int | str], name: str) -> pb.TaskFailureDetails | None:
        """The failure, once the item has had its chances."""
        limit = self._settings.function_timeout_seconds
        _logger.error(
            "Function '%s' ran longer than %g s; its worker was stopped and is replaced.", name, limit
        )
        self._timeouts[item] += 1
        if self._timeouts[item] < _TIMEOUTS_AN_ITEM:
            return None
        del self._timeouts[item]
        message = f"Function '{name}' ran into the function timeout of {limit:g} s {_TIMEOUTS_AN_ITEM} times."
        return pb.TaskFailureDetails(errorType="TimeoutError", errorMessage=message)

    def _failed(self, kind: str, name: str, failure: Failure) -> pb.TaskFailureDetails:
        _logger.error("The %s function '%s' failed. %s\n%s", kind, name, failure.message, failure.stack)
        return failure_details(failure)

    def _decode(
        self,
        result: InvocationResult,
        message: pb.OrchestratorResponse | pb.EntityBatchResult,
        kind: str,
        name: str,
    ) -> pb.TaskFailureDetails | None:
        """Reads the function's answer into `message`; gives the failure if there is none to read."""
        if result.failure is not None:
            return self._failed(kind, name, result.failure)
        try:
            message.ParseFromString(base64.b64decode(result.payload, validate=True))
        except (ValueError, DecodeError) as error:
            return self._failed(kind, name, Failure(f"ValueError: The answer cannot be read: {error}", ""))
        return None


def failure_details(failure: Failure) -> pb.TaskFailureDetails:
    """What the orchestrator sees of an exception: its class name, and the first line of its text.

    The Durable extension takes the worker's `ClassName: text` apart in this way, the loss of further lines included
    (`OutOfProcMiddleware.TrySplitExceptionTypeFromMessage`).
    """
    error_type, separator, message = failure.message.partition(": ")
    if not separator:
        error_type, message = "(unknown)", failure.message
    else:
        message = message.split("\n", 1)[0].rstrip()
    return pb.TaskFailureDetails(
        errorType=error_type.rstrip(), errorMessage=message, stackTrace=text(failure.stack)
    )


def _encoded(request: pb.OrchestratorRequest | pb.EntityBatchRequest) -> bytes:
    return base64.b64encode(request.SerializeToString())
