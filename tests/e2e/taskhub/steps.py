"""What a host does with a hub, step by step, and the answers that orchestrators and entities give."""

from collections.abc import Callable

import durabletask.internal.orchestrator_service_pb2 as pb
from durabletask.internal import helpers

from taskhub.execution import LOCAL_CALL, ActivityWork, EntityWork, TurnWork
from taskhub.hub import Hub

ENTITY = "@counter@x"


class Clock:
    """Holds the callbacks that the hub wants called later, until the test calls them."""

    def __init__(self) -> None:
        self.waiting: list[tuple[float, Callable[[], None]]] = []

    def call_later(self, delay: float, callback: Callable[[], None]) -> None:
        self.waiting.append((delay, callback))

    def strike(self) -> None:
        """Calls all of them."""
        due, self.waiting = self.waiting, []
        for _, callback in due:
            callback()


# Steps


def start(hub: Hub, instance_id: str = "i") -> TurnWork:
    """Starts an instance; gives its first turn."""
    hub.StartInstance(pb.CreateInstanceRequest(instanceId=instance_id, name="Any"), LOCAL_CALL)
    return take_turn(hub)


def take_turn(hub: Hub) -> TurnWork:
    turn = hub.take_turn()
    assert turn is not None
    return turn


def take_activity(hub: Hub) -> ActivityWork:
    work = hub.take_activity()
    assert work is not None
    return work


def take_entity(hub: Hub) -> EntityWork:
    work = hub.take_entity()
    assert work is not None
    return work


def terminate(hub: Hub, clock: Clock, instance_id: str = "i") -> None:
    """Sends the message and lets it arrive."""
    hub.TerminateInstance(pb.TerminateRequest(instanceId=instance_id), LOCAL_CALL)
    clock.strike()


def signal(hub: Hub, operation: str, entity_id: str = ENTITY) -> None:
    request = pb.SignalEntityRequest(instanceId=entity_id, name=operation, requestId=operation)
    hub.SignalEntity(request, LOCAL_CALL)


def state(hub: Hub, instance_id: str = "i") -> pb.OrchestrationState:
    request = pb.GetInstanceRequest(instanceId=instance_id, getInputsAndOutputs=True)
    return hub.GetInstance(request, LOCAL_CALL).orchestrationState


def status(hub: Hub, instance_id: str = "i") -> str:
    return pb.OrchestrationStatus.Name(state(hub, instance_id).orchestrationStatus).rpartition("_")[2]


def kinds(turn: TurnWork) -> list[str | None]:
    """What is new in a turn."""
    return [event.WhichOneof("eventType") for event in turn.request.newEvents]


def operations(work: EntityWork) -> list[str]:
    return [operation.operation for operation in work.request.operations]


# Answers


def response(*actions: pb.OrchestratorAction) -> pb.OrchestratorResponse:
    return pb.OrchestratorResponse(actions=actions)


def schedule(task_id: int) -> pb.OrchestratorAction:
    return helpers.new_schedule_task_action(task_id, "Activity", None, None)


def complete(
    status: pb.OrchestrationStatus = pb.ORCHESTRATION_STATUS_COMPLETED,
) -> pb.OrchestratorAction:
    return helpers.new_complete_orchestration_action(9, status)


def continue_as_new() -> pb.OrchestratorAction:
    return complete(pb.ORCHESTRATION_STATUS_CONTINUED_AS_NEW)


def sub_orchestration(task_id: int, instance_id: str) -> pb.OrchestratorAction:
    return helpers.new_create_sub_orchestration_action(task_id, "Any", instance_id, None, None)


def call(operation: str, caller: str = "i", entity_id: str = ENTITY) -> pb.OrchestratorAction:
    called = pb.EntityOperationCalledEvent(
        requestId=operation,
        operation=operation,
        targetInstanceId=helpers.get_string_value(entity_id),
        parentInstanceId=helpers.get_string_value(caller),
    )
    message = pb.SendEntityMessageAction(entityOperationCalled=called)
    return pb.OrchestratorAction(id=1, sendEntityMessage=message)


def lock(holder: str, *entity_ids: str) -> pb.OrchestratorAction:
    requested = pb.EntityLockRequestedEvent(
        criticalSectionId=f"section of {holder}",
        lockSet=entity_ids or [ENTITY],
        parentInstanceId=helpers.get_string_value(holder),
    )
    message = pb.SendEntityMessageAction(entityLockRequested=requested)
    return pb.OrchestratorAction(id=1, sendEntityMessage=message)


def unlock(holder: str, entity_id: str = ENTITY) -> pb.OrchestratorAction:
    sent = pb.EntityUnlockSentEvent(
        criticalSectionId=f"section of {holder}",
        targetInstanceId=helpers.get_string_value(entity_id),
        parentInstanceId=helpers.get_string_value(holder),
    )
    message = pb.SendEntityMessageAction(entityUnlockSent=sent)
    return pb.OrchestratorAction(id=2, sendEntityMessage=message)


def batch_result(state: str | None, operations: int = 1) -> pb.EntityBatchResult:
    """Every operation succeeded; `state` is JSON text."""
    done = pb.OperationResult(success=pb.OperationResultSuccess())
    return pb.EntityBatchResult(results=[done] * operations, entityState=helpers.get_string_value(state))
