"""Orchestrations and activities in the task hub, where the order matters that processes leave to chance."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import durabletask.internal.orchestrator_service_pb2 as pb
import grpc
import pytest
from durabletask.internal import helpers

from taskhub.execution import LOCAL_CALL, HubError
from taskhub.hub import Hub

from .steps import (
    Clock,
    complete,
    continue_as_new,
    kinds,
    response,
    schedule,
    start,
    state,
    status,
    sub_orchestration,
    take_activity,
    take_turn,
    terminate,
)


def test_the_second_outcome_of_one_activity_is_dropped(hub: Hub) -> None:
    turn = start(hub)
    hub.complete_turn(turn, response(schedule(1)))
    work = take_activity(hub)
    hub.abandon_activity(work)  # its worker seems dead, and answers all the same
    again = take_activity(hub)
    hub.complete_activity(work, result='"first"')
    hub.complete_activity(again, result='"second"')
    events = take_turn(hub).request.newEvents
    assert [event.WhichOneof("eventType") for event in events] == ["orchestratorStarted", "taskCompleted"]
    assert events[1].taskCompleted.result.value == '"first"'


def test_an_activity_that_was_answered_is_not_run_again(hub: Hub) -> None:
    hub.complete_turn(start(hub), response(schedule(1)))
    work = take_activity(hub)
    hub.abandon_activity(work)
    hub.complete_activity(work, result="1")
    assert hub.take_activity() is None


def test_events_carry_the_time_they_happened(hub: Hub, clock: Clock) -> None:
    now = helpers.new_timestamp(datetime.now(UTC))
    timer = helpers.new_create_timer_action(2, now.ToDatetime())
    hub.complete_turn(start(hub), response(schedule(1), timer, sub_orchestration(3, "child")))
    child = take_turn(hub)
    hub.complete_turn(child, response(complete()))
    clock.strike()
    hub.complete_activity(take_activity(hub), result="1")
    request = take_turn(hub).request
    assert len(request.newEvents) == 4
    for event in [*request.pastEvents, *request.newEvents]:
        assert datetime.now(UTC) - event.timestamp.ToDatetime(tzinfo=UTC) < timedelta(minutes=1)


def test_completions_share_a_turn_while_others_are_under_way(hub: Hub, clock: Clock) -> None:
    turn = start(hub)
    hub.complete_turn(turn, response(schedule(1), schedule(2), schedule(3)))
    first, second, third = (take_activity(hub) for _ in range(3))
    hub.complete_activity(first, result="1")
    hub.complete_activity(second, result="2")
    assert hub.take_turn() is None
    clock.strike()
    turn = take_turn(hub)
    assert len(turn.request.newEvents) == 3
    hub.complete_turn(turn, response())
    hub.complete_activity(third, result="3")  # none is left to wait for
    assert len(take_turn(hub).request.newEvents) == 2


def test_an_abandoned_turn_comes_back_with_what_came_meanwhile(hub: Hub) -> None:
    turn = start(hub)
    hub.RaiseEvent(pb.RaiseEventRequest(instanceId="i", name="go"), LOCAL_CALL)
    assert hub.take_turn() is None
    hub.abandon_turn(turn)
    assert kinds(take_turn(hub)) == ["orchestratorStarted", "executionStarted", "eventRaised"]


# Terminating


def test_a_terminated_instance_is_not_over_before_the_message_has_arrived(hub: Hub, clock: Clock) -> None:
    hub.complete_turn(start(hub), response(schedule(1)))
    request = pb.TerminateRequest(instanceId="i", output=helpers.get_string_value("enough"))
    hub.TerminateInstance(request, LOCAL_CALL)
    assert status(hub) == "RUNNING"
    purged = hub.PurgeInstances(pb.PurgeInstancesRequest(instanceId="i"), LOCAL_CALL)
    assert purged.deletedInstanceCount == 0
    with pytest.raises(HubError) as refusal:
        hub.StartInstance(pb.CreateInstanceRequest(instanceId="i", name="Any"), LOCAL_CALL)
    assert refusal.value.code == grpc.StatusCode.ALREADY_EXISTS
    clock.strike()
    assert (status(hub), state(hub).output.value) == ("TERMINATED", "enough")
    purged = hub.PurgeInstances(pb.PurgeInstancesRequest(instanceId="i"), LOCAL_CALL)
    assert purged.deletedInstanceCount == 1


def test_a_turn_that_is_out_when_its_instance_is_terminated_still_counts(hub: Hub, clock: Clock) -> None:
    turn = start(hub)
    terminate(hub, clock)
    assert status(hub) == "PENDING"
    hub.complete_turn(turn, response(schedule(1)))
    assert status(hub) == "TERMINATED"
    assert take_activity(hub).task_id == 1


def test_an_instance_that_completes_before_its_termination_arrives_has_completed(
    hub: Hub, clock: Clock
) -> None:
    turn = start(hub)
    terminate(hub, clock)
    hub.complete_turn(turn, response(complete()))
    assert status(hub) == "COMPLETED"


def test_a_terminated_instance_ends_though_its_worker_has_died(hub: Hub, clock: Clock) -> None:
    turn = start(hub)
    terminate(hub, clock)
    hub.abandon_turn(turn)
    assert status(hub) == "TERMINATED"
    assert hub.take_turn() is None


def test_a_termination_does_not_reach_a_later_run_of_the_instance(hub: Hub, clock: Clock) -> None:
    turn = start(hub)
    hub.TerminateInstance(pb.TerminateRequest(instanceId="i"), LOCAL_CALL)
    hub.complete_turn(turn, response(complete()))
    start(hub)
    clock.strike()
    assert status(hub) == "PENDING"


def test_a_parent_is_told_nothing_about_a_child_that_was_terminated(hub: Hub, clock: Clock) -> None:
    hub.complete_turn(start(hub), response(sub_orchestration(1, "child")))
    hub.complete_turn(take_turn(hub), response())
    terminate(hub, clock, "child")
    failed = take_turn(hub).request.newEvents[-1].subOrchestrationInstanceFailed
    assert (failed.taskScheduledId, failed.failureDetails) == (1, pb.TaskFailureDetails())


# What outlives a run, and what must not reach the next


@pytest.mark.parametrize("end", [complete, continue_as_new])
def test_activities_that_nobody_waits_for_any_more_run_all_the_same(
    hub: Hub, end: Callable[[], pb.OrchestratorAction]
) -> None:
    hub.complete_turn(start(hub), response(schedule(1), schedule(2), end()))
    assert [take_activity(hub).task_id for _ in range(2)] == [1, 2]


def test_activities_run_though_their_instance_was_terminated_purged_or_replaced(
    hub: Hub, clock: Clock
) -> None:
    hub.complete_turn(start(hub), response(schedule(1), schedule(2), schedule(3)))
    terminate(hub, clock)
    assert take_activity(hub).task_id == 1
    hub.PurgeInstances(pb.PurgeInstancesRequest(instanceId="i"), LOCAL_CALL)
    assert take_activity(hub).task_id == 2
    start(hub)
    assert take_activity(hub).task_id == 3
    assert hub.take_activity() is None


def test_the_result_of_an_activity_reaches_no_other_run_of_its_instance(hub: Hub) -> None:
    hub.complete_turn(start(hub), response(schedule(1), complete()))
    hub.complete_turn(start(hub), response(schedule(1)))
    hub.complete_activity(take_activity(hub), result='"of the first run"')
    assert hub.take_turn() is None
    hub.complete_activity(take_activity(hub), result='"of the second run"')
    assert take_turn(hub).request.newEvents[-1].taskCompleted.result.value == '"of the second run"'


def test_the_answer_of_a_turn_that_was_overtaken_has_no_effect(clock: Clock) -> None:
    hub = Hub(wake=lambda: None, call_later=clock.call_later)
    turn = start(hub)
    policy = pb.OrchestrationIdReusePolicy(replaceableStatus=[pb.ORCHESTRATION_STATUS_PENDING])
    request = pb.CreateInstanceRequest(instanceId="i", name="Any", orchestrationIdReusePolicy=policy)
    hub.StartInstance(request, LOCAL_CALL)
    hub.complete_turn(turn, response(schedule(1)))
    assert hub.take_activity() is None
    hub.complete_turn(take_turn(hub), response(complete()))
    assert status(hub) == "COMPLETED"


def test_an_activity_of_a_purged_instance_ends_unheard(hub: Hub, clock: Clock) -> None:
    turn = start(hub)
    hub.complete_turn(turn, response(schedule(1)))
    work = take_activity(hub)
    terminate(hub, clock)
    hub.PurgeInstances(pb.PurgeInstancesRequest(instanceId="i"), LOCAL_CALL)
    hub.complete_activity(work, result="1")
    assert hub.take_turn() is None
    assert not hub.GetInstance(pb.GetInstanceRequest(instanceId="i"), LOCAL_CALL).exists


def test_a_new_generation_gets_the_events_but_not_the_results_of_the_old_one(hub: Hub, clock: Clock) -> None:
    turn = start(hub)
    hub.complete_turn(turn, response(schedule(1), schedule(2)))
    first, second = take_activity(hub), take_activity(hub)
    hub.complete_activity(first, result="1")
    clock.strike()
    turn = take_turn(hub)
    hub.complete_activity(second, result="2")
    hub.RaiseEvent(pb.RaiseEventRequest(instanceId="i", name="go"), LOCAL_CALL)
    hub.complete_turn(turn, response(continue_as_new()))
    assert kinds(take_turn(hub)) == ["orchestratorStarted", "executionStarted", "eventRaised"]


def test_an_orchestration_with_too_long_a_history_fails_and_says_so(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("taskhub.runs._MAX_HISTORY", 3)
    hub = Hub(wake=lambda: None, call_later=clock.call_later)
    turn = start(hub)
    hub.complete_turn(turn, response(schedule(1)))
    hub.complete_activity(take_activity(hub), result="1")
    hub.complete_turn(take_turn(hub), response())
    assert status(hub) == "FAILED"
    assert "would exceed maximum history size" in state(hub).failureDetails.errorMessage


def test_an_instance_may_be_started_for_later(hub: Hub, clock: Clock) -> None:
    start_at = helpers.new_timestamp(datetime.now(UTC) + timedelta(hours=1))
    request = pb.CreateInstanceRequest(instanceId="i", name="Any", scheduledStartTimestamp=start_at)
    hub.StartInstance(request, LOCAL_CALL)
    assert hub.take_turn() is None
    assert status(hub) == "PENDING"
    assert clock.waiting[0][0] == pytest.approx(3600, abs=10)
    clock.strike()
    assert hub.take_turn() is not None
