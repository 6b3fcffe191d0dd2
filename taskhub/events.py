"""The history events that the hub makes itself. All carry the time; the backend's own are left at 1970."""

from collections.abc import Sequence

import durabletask.internal.orchestrator_service_pb2 as pb
from google.protobuf.wrappers_pb2 import StringValue

from .execution import Execution


def now_event(*, event_id: int = -1, **kind: object) -> pb.HistoryEvent:
    """A history event of this moment. `kind` names and holds the one payload of the event."""
    event = pb.HistoryEvent(eventId=event_id, **kind)  # pyright: ignore[reportArgumentType]  # a protobuf keyword
    event.timestamp.GetCurrentTime()
    return event


def stamp(events: Sequence[pb.HistoryEvent]) -> None:
    """Gives the current time to the events at the end that have none: the backend leaves them at 1970."""
    for event in reversed(events):
        if event.timestamp.seconds:
            return
        event.timestamp.GetCurrentTime()


def text(value: str | None) -> StringValue | None:
    """Protobuf's optional string; an empty one counts as absent, as the backend has it."""
    return StringValue(value=value) if value else None


def started_event(execution: Execution) -> pb.HistoryEvent:
    """The first event of a run, which tells the orchestrator what it is called with, and by whom."""
    parent: pb.ParentInstanceInfo | None = None
    if execution.parent is not None:
        link = execution.parent
        parent = pb.ParentInstanceInfo(
            taskScheduledId=link.task_id,
            name=text(link.execution.name),
            orchestrationInstance=pb.OrchestrationInstance(
                instanceId=link.execution.instance_id, executionId=text(link.execution_id)
            ),
        )
    started = pb.ExecutionStartedEvent(
        name=execution.name,
        version=text(execution.version),
        input=text(execution.input),
        orchestrationInstance=pb.OrchestrationInstance(
            instanceId=execution.instance_id, executionId=text(execution.execution_id)
        ),
        parentInstance=parent,
        tags=execution.tags,
    )
    return now_event(executionStarted=started)


def child_event(child: Execution, task_id: int) -> pb.HistoryEvent:
    """What a parent sees of its sub-orchestration's end."""
    if child.status == pb.ORCHESTRATION_STATUS_COMPLETED:
        completed = pb.SubOrchestrationInstanceCompletedEvent(
            result=text(child.output), taskScheduledId=task_id
        )
        return now_event(subOrchestrationInstanceCompleted=completed)
    details = child.failure_details or pb.TaskFailureDetails(
        errorType="OrchestrationTerminated",
        errorMessage=child.output or "The sub-orchestration was terminated.",
    )
    failed = pb.SubOrchestrationInstanceFailedEvent(failureDetails=details, taskScheduledId=task_id)
    return now_event(subOrchestrationInstanceFailed=failed)
