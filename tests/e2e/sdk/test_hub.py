"""The task hub in memory, over its socket: what processes leave to chance is brought about here."""

from collections.abc import Generator
from typing import Any

import durabletask.internal.orchestrator_service_pb2 as pb
import durabletask.internal.orchestrator_service_pb2_grpc as stubs
import grpc
import psutil
import pytest
from durabletask.internal import helpers

from durable_sdk.hub import local_hub

TIMEOUT = 10


@pytest.fixture
def address() -> Generator[str]:
    with local_hub() as endpoint:
        yield endpoint.removeprefix("http://")


@pytest.fixture
def hub(address: str) -> Generator[Any]:
    """The stub of a hub."""
    with grpc.insecure_channel(address) as channel:
        yield stubs.TaskHubSidecarServiceStub(channel)


def test_it_listens_on_loopback_only(address: str) -> None:
    port = int(address.rpartition(":")[2])
    listening = [
        connection.laddr[0].removeprefix("::ffff:")
        for connection in psutil.Process().net_connections("inet")
        if connection.status == psutil.CONN_LISTEN and connection.laddr[1] == port
    ]
    assert listening == ["127.0.0.1"]


def test_a_worker_gets_no_more_than_it_asked_for(hub: Any) -> None:
    fan_out(hub, activities=3)
    one, two = connect(hub, activities=1), connect(hub, activities=2)
    held = [next(one), next(two), next(two)]
    assert sorted(item.activityRequest.taskId for item in held) == [1, 2, 3]


def test_room_for_work_is_filled_again(hub: Any) -> None:
    fan_out(hub, activities=2)
    worker = connect(hub, activities=1)
    seen: list[str] = []
    while len(seen) < 2:
        item = next(worker)
        if item.HasField("activityRequest"):
            complete(hub, item, str(item.activityRequest.taskId))
        else:
            seen += results(item)
            decide(hub, item)
    assert sorted(seen) == ["1", "2"]


def test_what_a_lost_worker_held_goes_to_another(hub: Any) -> None:
    fan_out(hub, activities=1)
    lost = connect(hub)
    assert next(lost).activityRequest.taskId == 1
    lost.cancel()
    worker = connect(hub)
    complete(hub, next(worker), "again")
    assert results(next(worker)) == ["again"]


def test_a_stopped_worker_may_finish_and_its_answer_counts_once(hub: Any) -> None:
    fan_out(hub, activities=1)
    stopped = connect(hub)
    first = next(stopped)
    stopped.cancel()
    worker = connect(hub)
    second = next(worker)
    complete(hub, first, "first")
    complete(hub, second, "second")
    assert results(next(worker)) == ["first"]


def test_a_turn_that_was_given_to_another_worker_is_not_taken_from_the_first(hub: Any) -> None:
    start(hub)
    lost = connect(hub)
    first = next(lost)
    lost.cancel()
    worker = connect(hub)
    second = next(worker)
    assert second.orchestratorRequest.newEvents == first.orchestratorRequest.newEvents
    decide(hub, first, schedule(1))
    decide(hub, second, schedule(2))
    assert next(worker).activityRequest.taskId == 2


def test_a_failure_without_words_is_a_failure(hub: Any) -> None:
    fan_out(hub, activities=1)
    worker = connect(hub)
    item = next(worker)
    hub.CompleteActivityTask(
        pb.ActivityResponse(
            instanceId="i",
            taskId=1,
            completionToken=item.completionToken,
            failureDetails=pb.TaskFailureDetails(),
        ),
        timeout=TIMEOUT,
    )
    assert next(worker).orchestratorRequest.newEvents[-1].HasField("taskFailed")


def test_activities_of_an_orchestration_that_has_ended_are_still_handed_out(hub: Any) -> None:
    start(hub)
    first = connect(hub, activities=0)
    end = helpers.new_complete_orchestration_action(3, pb.ORCHESTRATION_STATUS_COMPLETED)
    decide(hub, next(first), schedule(1), schedule(2), end)
    first.cancel()
    worker = connect(hub)
    items = [next(worker), next(worker)]
    assert [item.activityRequest.taskId for item in items] == [1, 2]
    for item in items:
        complete(hub, item, "unheard")
    assert hub.GetInstance(pb.GetInstanceRequest(instanceId="i"), timeout=TIMEOUT).exists


def test_timers_fire(hub: Any) -> None:
    start(hub)
    worker = connect(hub)
    first = next(worker)
    now = first.orchestratorRequest.newEvents[0].timestamp.ToDatetime()
    decide(hub, first, helpers.new_create_timer_action(1, now))
    assert next(worker).orchestratorRequest.newEvents[-1].HasField("timerFired")


def connect(hub: Any, activities: int = 10) -> Any:
    """A worker's stream of work; it breaks if there is none for too long."""
    request = pb.GetWorkItemsRequest(
        maxConcurrentOrchestrationWorkItems=1, maxConcurrentActivityWorkItems=activities
    )
    return hub.GetWorkItems(request, timeout=TIMEOUT)


def start(hub: Any) -> None:
    hub.StartInstance(pb.CreateInstanceRequest(instanceId="i", name="Any"), timeout=TIMEOUT)


def fan_out(hub: Any, activities: int) -> None:
    """Start an orchestration that waits for so many activities, which nobody has taken yet."""
    start(hub)
    worker = connect(hub, activities=0)
    decide(hub, next(worker), *(schedule(number) for number in range(1, activities + 1)))
    worker.cancel()


def decide(hub: Any, item: pb.WorkItem, *actions: pb.OrchestratorAction) -> None:
    """Complete a turn."""
    response = pb.OrchestratorResponse(instanceId="i", completionToken=item.completionToken, actions=actions)
    hub.CompleteOrchestratorTask(response, timeout=TIMEOUT)


def complete(hub: Any, item: pb.WorkItem, result: str) -> None:
    """Complete an activity."""
    response = pb.ActivityResponse(
        instanceId="i",
        taskId=item.activityRequest.taskId,
        completionToken=item.completionToken,
        result=helpers.get_string_value(result),
    )
    hub.CompleteActivityTask(response, timeout=TIMEOUT)


def results(turn: pb.WorkItem) -> list[str]:
    """What completed since the last turn."""
    events = turn.orchestratorRequest.newEvents
    return [event.taskCompleted.result.value for event in events if event.HasField("taskCompleted")]


def schedule(number: int) -> pb.OrchestratorAction:
    return helpers.new_schedule_task_action(number, "Activity", None, None)
