"""The task hub by itself, where the order of things matters that processes leave to chance."""

from collections.abc import Callable, Generator
from datetime import UTC, datetime, timedelta

import durabletask.internal.orchestrator_service_pb2 as pb
import grpc
import pytest
from durabletask.internal import helpers

from taskhub.execution import ActivityWork, HubError, TurnWork
from taskhub.hub import Hub
from taskhub.workqueue import LOCAL_CALL


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


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def hub(clock: Clock) -> Generator[Hub]:
    hub = Hub(wake=lambda: None, call_later=clock.call_later)
    yield hub
    hub.stop()


def test_the_second_outcome_of_one_activity_is_dropped(hub: Hub) -> None:
    turn = _start(hub)
    hub.complete_turn(turn, _response(_schedule(1)))
    work = _activity(hub)
    hub.abandon_activity(work)  # its worker seems dead, and answers all the same
    again = _activity(hub)
    hub.complete_activity(work, result='"first"')
    hub.complete_activity(again, result='"second"')
    events = _turn(hub).request.newEvents
    assert [event.WhichOneof("eventType") for event in events] == ["orchestratorStarted", "taskCompleted"]
    assert events[1].taskCompleted.result.value == '"first"'


def test_events_carry_the_time_they_happened(hub: Hub) -> None:
    turn = _start(hub)
    hub.complete_turn(turn, _response(_schedule(1)))
    hub.complete_activity(_activity(hub), result="1")
    request = _turn(hub).request
    now = datetime.now(UTC)
    for event in [*request.pastEvents, *request.newEvents]:
        assert now - event.timestamp.ToDatetime(tzinfo=UTC) < timedelta(minutes=1)


def test_completions_share_a_turn_while_others_are_under_way(hub: Hub, clock: Clock) -> None:
    turn = _start(hub)
    hub.complete_turn(turn, _response(_schedule(1), _schedule(2), _schedule(3)))
    first, second, third = (_activity(hub) for _ in range(3))
    hub.complete_activity(first, result="1")
    hub.complete_activity(second, result="2")
    assert hub.take_turn() is None
    clock.strike()
    turn = _turn(hub)
    assert len(turn.request.newEvents) == 3
    hub.complete_turn(turn, _response())
    hub.complete_activity(third, result="3")  # none is left to wait for
    assert len(_turn(hub).request.newEvents) == 2


def test_an_abandoned_turn_comes_back_with_what_came_meanwhile(hub: Hub) -> None:
    turn = _start(hub)
    hub.RaiseEvent(pb.RaiseEventRequest(instanceId="i", name="go"), LOCAL_CALL)
    assert hub.take_turn() is None
    hub.abandon_turn(turn)
    again = _turn(hub)
    kinds = [event.WhichOneof("eventType") for event in again.request.newEvents]
    assert kinds == ["orchestratorStarted", "executionStarted", "eventRaised"]


def test_the_answer_of_a_turn_that_was_overtaken_has_no_effect(hub: Hub) -> None:
    turn = _start(hub)
    hub.TerminateInstance(pb.TerminateRequest(instanceId="i"), LOCAL_CALL)
    hub.complete_turn(turn, _response(_schedule(1)))
    assert hub.take_activity() is None
    assert _state(hub).orchestrationStatus == pb.ORCHESTRATION_STATUS_TERMINATED
    replaced = _start(hub)
    hub.complete_turn(turn, _response(_schedule(1)))
    assert hub.take_activity() is None
    hub.complete_turn(replaced, _response(_complete()))
    assert _state(hub).orchestrationStatus == pb.ORCHESTRATION_STATUS_COMPLETED


def test_an_activity_of_a_purged_instance_ends_unheard(hub: Hub) -> None:
    turn = _start(hub)
    hub.complete_turn(turn, _response(_schedule(1)))
    work = _activity(hub)
    hub.TerminateInstance(pb.TerminateRequest(instanceId="i"), LOCAL_CALL)
    hub.PurgeInstances(pb.PurgeInstancesRequest(instanceId="i"), LOCAL_CALL)
    hub.complete_activity(work, result="1")
    assert hub.take_turn() is None
    assert not hub.GetInstance(pb.GetInstanceRequest(instanceId="i"), LOCAL_CALL).exists


def test_a_new_generation_gets_the_events_but_not_the_results_of_the_old_one(hub: Hub, clock: Clock) -> None:
    turn = _start(hub)
    hub.complete_turn(turn, _response(_schedule(1), _schedule(2)))
    first, second = _activity(hub), _activity(hub)
    hub.complete_activity(first, result="1")
    clock.strike()
    turn = _turn(hub)
    hub.complete_activity(second, result="2")
    hub.RaiseEvent(pb.RaiseEventRequest(instanceId="i", name="go"), LOCAL_CALL)
    hub.complete_turn(turn, _response(_complete(pb.ORCHESTRATION_STATUS_CONTINUED_AS_NEW)))
    events = _turn(hub).request.newEvents
    kinds = [event.WhichOneof("eventType") for event in events]
    assert kinds == ["orchestratorStarted", "executionStarted", "eventRaised"]


@pytest.mark.parametrize("ended", [False, True])
def test_an_entity_answers_only_the_run_that_asked(hub: Hub, ended: bool) -> None:
    hub.complete_turn(_start(hub), _response(_call_entity()))
    work = hub.take_entity()
    assert work is not None
    hub.TerminateInstance(pb.TerminateRequest(instanceId="i"), LOCAL_CALL)
    if not ended:
        hub.complete_turn(_start(hub), _response())
    answer = pb.OperationResult(success=pb.OperationResultSuccess())
    hub.complete_entity(work, pb.EntityBatchResult(results=[answer]))
    assert hub.take_turn() is None


def test_an_orchestration_with_too_long_a_history_fails_and_says_so(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("taskhub.runs._MAX_HISTORY", 3)
    hub = Hub(wake=lambda: None, call_later=clock.call_later)
    turn = _start(hub)
    hub.complete_turn(turn, _response(_schedule(1)))
    hub.complete_activity(_activity(hub), result="1")
    hub.complete_turn(_turn(hub), _response())
    state = _state(hub)
    assert state.orchestrationStatus == pb.ORCHESTRATION_STATUS_FAILED
    assert "would exceed maximum history size" in state.failureDetails.errorMessage


def test_an_instance_may_be_started_for_later(hub: Hub, clock: Clock) -> None:
    start_at = helpers.new_timestamp(datetime.now(UTC) + timedelta(hours=1))
    request = pb.CreateInstanceRequest(instanceId="i", name="Any", scheduledStartTimestamp=start_at)
    hub.StartInstance(request, LOCAL_CALL)
    assert hub.take_turn() is None
    assert _state(hub).orchestrationStatus == pb.ORCHESTRATION_STATUS_PENDING
    assert clock.waiting[0][0] == pytest.approx(3600, abs=10)
    clock.strike()
    assert hub.take_turn() is not None


def test_a_live_instance_keeps_its_id_and_an_ended_one_gives_it_up(hub: Hub) -> None:
    turn = _start(hub)
    with pytest.raises(HubError) as refusal:
        hub.StartInstance(pb.CreateInstanceRequest(instanceId="i", name="Any"), LOCAL_CALL)
    assert refusal.value.code == grpc.StatusCode.ALREADY_EXISTS
    hub.complete_turn(turn, _response(_complete()))
    assert _start(hub).execution.execution_id != turn.execution.execution_id


def test_steering_what_is_not_running_is_refused(hub: Hub) -> None:
    with pytest.raises(HubError) as missing:
        hub.TerminateInstance(pb.TerminateRequest(instanceId="i"), LOCAL_CALL)
    assert missing.value.code == grpc.StatusCode.NOT_FOUND
    hub.complete_turn(_start(hub), _response(_complete()))
    with pytest.raises(HubError) as over:
        hub.RaiseEvent(pb.RaiseEventRequest(instanceId="i", name="go"), LOCAL_CALL)
    assert over.value.code == grpc.StatusCode.FAILED_PRECONDITION


def test_entity_locks_of_a_terminated_instance_go_to_the_next(hub: Hub) -> None:
    hub.complete_turn(_start(hub, "first"), _response(_lock("first")))
    hub.complete_turn(_turn(hub), _response())
    hub.complete_turn(_start(hub, "second"), _response(_lock("second")))
    assert hub.take_turn() is None
    hub.TerminateInstance(pb.TerminateRequest(instanceId="first"), LOCAL_CALL)
    granted = _turn(hub)
    assert granted.execution.instance_id == "second"
    assert granted.request.newEvents[1].HasField("entityLockGranted")


def _start(hub: Hub, instance_id: str = "i") -> TurnWork:
    """Starts an instance; gives its first turn."""
    hub.StartInstance(pb.CreateInstanceRequest(instanceId=instance_id, name="Any"), LOCAL_CALL)
    return _turn(hub)


def _turn(hub: Hub) -> TurnWork:
    turn = hub.take_turn()
    assert turn is not None
    return turn


def _activity(hub: Hub) -> ActivityWork:
    work = hub.take_activity()
    assert work is not None
    return work


def _state(hub: Hub) -> pb.OrchestrationState:
    return hub.GetInstance(pb.GetInstanceRequest(instanceId="i"), LOCAL_CALL).orchestrationState


def _response(*actions: pb.OrchestratorAction) -> pb.OrchestratorResponse:
    return pb.OrchestratorResponse(actions=actions)


def _schedule(task_id: int) -> pb.OrchestratorAction:
    return helpers.new_schedule_task_action(task_id, "Activity", None, None)


def _complete(
    status: pb.OrchestrationStatus = pb.ORCHESTRATION_STATUS_COMPLETED,
) -> pb.OrchestratorAction:
    return helpers.new_complete_orchestration_action(9, status)


def _call_entity() -> pb.OrchestratorAction:
    call = pb.EntityOperationCalledEvent(
        requestId="r",
        operation="get",
        targetInstanceId=helpers.get_string_value("@counter@x"),
        parentInstanceId=helpers.get_string_value("i"),
    )
    return pb.OrchestratorAction(
        id=1, sendEntityMessage=pb.SendEntityMessageAction(entityOperationCalled=call)
    )


def _lock(holder: str) -> pb.OrchestratorAction:
    lock = pb.EntityLockRequestedEvent(
        criticalSectionId=holder,
        lockSet=["@counter@x"],
        parentInstanceId=helpers.get_string_value(holder),
    )
    return pb.OrchestratorAction(id=1, sendEntityMessage=pb.SendEntityMessageAction(entityLockRequested=lock))
