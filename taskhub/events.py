"""The history events that Microsoft's `new_*_event` helpers cannot make, and the time that they leave out."""

from collections.abc import Sequence

import durabletask.internal.orchestrator_service_pb2 as pb
from durabletask.internal import helpers
from google.protobuf.wrappers_pb2 import StringValue

from .execution import Execution


def stamp(events: Sequence[pb.HistoryEvent]) -> None:
    """Gives the current time to the events at the end that have none."""
    for event in reversed(events):
        if event.timestamp.seconds:
            return
        event.timestamp.GetCurrentTime()


def text(value: str | None) -> StringValue | None:
    """Protobuf's optional string; an empty one counts as absent, as the backend has it."""
    return StringValue(value=value) if value else None


def started_event(execution: Execution) -> pb.HistoryEvent:
    """The first event of a run, which tells the orchestrator what it is called with, and by whom."""
    event = helpers.new_execution_started_event(
        execution.name,
        execution.instance_id,
        execution.input,
        execution.tags,
        version=execution.version,
    )
    started = event.executionStarted
    started.orchestrationInstance.executionId.value = execution.execution_id
    if link := execution.parent:
        started.parentInstance.taskScheduledId = link.task_id
        started.parentInstance.name.value = link.execution.name
        started.parentInstance.orchestrationInstance.instanceId = link.execution.instance_id
        started.parentInstance.orchestrationInstance.executionId.value = link.execution_id
    return event


def activity_event(
    task_id: int, result: str | None, failure: pb.TaskFailureDetails | None
) -> pb.HistoryEvent:
    """What an orchestration sees of its activity's end: a result, which is JSON text, or a failure."""
    if failure is None:
        return helpers.new_task_completed_event(task_id, result or None)
    failed = pb.TaskFailedEvent(taskScheduledId=task_id, failureDetails=failure)
    return pb.HistoryEvent(eventId=-1, taskFailed=failed)


def child_event(child: Execution, task_id: int) -> pb.HistoryEvent:
    """What a parent sees of its sub-orchestration's end: nothing but the fact if that was terminated."""
    if child.status == pb.ORCHESTRATION_STATUS_COMPLETED:
        return helpers.new_sub_orchestration_completed_event(task_id, child.output)
    failed = pb.SubOrchestrationInstanceFailedEvent(
        failureDetails=child.failure_details or pb.TaskFailureDetails(), taskScheduledId=task_id
    )
    return pb.HistoryEvent(eventId=-1, subOrchestrationInstanceFailed=failed)
