"""The three kinds of work that a task hub gives: how each is run, and what becomes of it.

A worker that ends, or runs into `functionTimeout`, is not the same for all three. This follows the Durable
Functions extension 3.19.0 (`OutOfProcMiddleware`): a turn of an orchestrator is run again, an activity and
the operations of an entity fail. Only where the worker was stopped for another function's sake all are run
again.
"""

import base64
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

import durabletask.internal.orchestrator_service_pb2 as pb
from google.protobuf.message import DecodeError

from taskhub.events import text
from taskhub.execution import ActivityWork, EntityWork, TurnWork
from taskhub.hub import Hub

from .functions import Function
from .invocations import (
    Failure,
    InvocationResult,
    InvocationTimeoutError,
    WorkerLostError,
    WorkerRecycledError,
)


class UnreadableAnswerError(Exception):
    """What a function returned is not what a function of its kind returns."""


type Loss = WorkerLostError | InvocationTimeoutError
"""Why an invocation has no result."""


class WorkKind[Work](Protocol):
    """What the dispatcher needs to know of one kind."""

    @property
    def trigger(self) -> str:
        """Type of the trigger of the functions that do such work."""
        ...

    def take(self) -> Work | None:
        """The next item, if there is one."""
        ...

    def describe(self, work: Work) -> tuple[str, bytes]:
        """The name that the function is called by, and the trigger's data."""
        ...

    def complete(self, work: Work, result: InvocationResult) -> None:
        """Delivers what the function returned. Raises UnreadableAnswerError."""
        ...

    def fail(self, work: Work, details: pb.TaskFailureDetails) -> None:
        """Delivers a failure."""
        ...

    def lose(self, work: Work, function: Function, loss: Loss) -> None:
        """Fails the item, or puts it back to be run again."""
        ...


@dataclass(frozen=True, slots=True)
class Activities:
    """Activities."""

    hub: Hub
    trigger: str = "activityTrigger"

    def take(self) -> ActivityWork | None:
        return self.hub.take_activity()

    def describe(self, work: ActivityWork) -> tuple[str, bytes]:
        return work.name, (work.input or "null").encode()

    def complete(self, work: ActivityWork, result: InvocationResult) -> None:
        self.hub.complete_activity(work, result=result.payload.decode() if result.kind else None)

    def fail(self, work: ActivityWork, details: pb.TaskFailureDetails) -> None:
        self.hub.complete_activity(work, failure=details)

    def lose(self, work: ActivityWork, function: Function, loss: Loss) -> None:
        match loss:
            case WorkerRecycledError():
                self.hub.abandon_activity(work)
            case WorkerLostError():
                message = f"Exception while executing function: Functions.{function.name}"
                self.fail(work, _of_the_host("FunctionInvocationException", message))
            case InvocationTimeoutError():
                message = (
                    f"Timeout value of {_timespan(loss.limit_seconds)} was exceeded by "
                    f"function: Functions.{function.name}"
                )
                self.fail(work, _of_the_host("FunctionTimeoutException", message))


@dataclass(frozen=True, slots=True)
class Turns:
    """Turns of orchestrators."""

    hub: Hub
    trigger: str = "orchestrationTrigger"

    def take(self) -> TurnWork | None:
        return self.hub.take_turn()

    def describe(self, work: TurnWork) -> tuple[str, bytes]:
        return work.execution.name, base64.b64encode(work.request.SerializeToString())

    def complete(self, work: TurnWork, result: InvocationResult) -> None:
        self.hub.complete_turn(work, _read(result, pb.OrchestratorResponse.FromString))

    def fail(self, work: TurnWork, details: pb.TaskFailureDetails) -> None:
        self.hub.fail_turn(work, details)

    def lose(self, work: TurnWork, function: Function, loss: Loss) -> None:
        self.hub.abandon_turn(work)


@dataclass(frozen=True, slots=True)
class Entities:
    """Batches of operations on entities."""

    hub: Hub
    trigger: str = "entityTrigger"

    def take(self) -> EntityWork | None:
        return self.hub.take_entity()

    def describe(self, work: EntityWork) -> tuple[str, bytes]:
        return work.name, base64.b64encode(work.request.SerializeToString())

    def complete(self, work: EntityWork, result: InvocationResult) -> None:
        self.hub.complete_entity(work, _read(result, pb.EntityBatchResult.FromString))

    def fail(self, work: EntityWork, details: pb.TaskFailureDetails) -> None:
        self.hub.fail_entity(work, details)

    def lose(self, work: EntityWork, function: Function, loss: Loss) -> None:
        if isinstance(loss, WorkerRecycledError):
            self.hub.abandon_entity(work)
            return
        message = f"Invocation of function '{work.name}' failed with an exception."
        details = pb.TaskFailureDetails(
            errorType="FunctionInvocationFailed", errorMessage=message, isNonRetriable=True
        )
        self.fail(work, details)


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


def _of_the_host(exception: str, message: str) -> pb.TaskFailureDetails:
    return pb.TaskFailureDetails(errorType=f"Microsoft.Azure.WebJobs.Host.{exception}", errorMessage=message)


def _read[Message](result: InvocationResult, parse: Callable[[bytes], Message]) -> Message:
    try:
        return parse(base64.b64decode(result.payload, validate=True))
    except (ValueError, DecodeError) as error:
        raise UnreadableAnswerError(f"ValueError: The answer cannot be read: {error}") from error


def _timespan(seconds: float) -> str:
    """As .NET writes a TimeSpan of whole seconds: `00:30:00`, `1.00:00:00`."""
    span = timedelta(seconds=seconds)
    minutes, rest = divmod(span.seconds, 60)
    days = f"{span.days}." if span.days else ""
    return f"{days}{minutes // 60:02}:{minutes % 60:02}:{rest:02}"
