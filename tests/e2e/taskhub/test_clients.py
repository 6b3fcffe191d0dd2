"""What clients may ask of the task hub: steering, listing in pages, and waiting, over its socket."""

import itertools
from collections.abc import Generator
from typing import Any

import durabletask.internal.orchestrator_service_pb2 as pb
import durabletask.internal.orchestrator_service_pb2_grpc as stubs
import grpc
import psutil
import pytest
from durabletask.internal import helpers
from google.protobuf.empty_pb2 import Empty

from taskhub.execution import LOCAL_CALL, HubError
from taskhub.hub import Hub
from tests.e2e.support.waiting import wait_until

from .steps import Clock, batch_result, complete, response, signal, start, status, take_entity

TIMEOUT = 10
WAITS = 200  # more than the hub has threads


@pytest.fixture
def client(hub: Hub) -> Generator[Any]:
    """A stub of the hub."""
    with grpc.insecure_channel(hub.start().removeprefix("http://")) as channel:
        yield stubs.TaskHubSidecarServiceStub(channel)


# Starting and steering


def test_a_live_instance_keeps_its_id_and_an_ended_one_gives_it_up(hub: Hub) -> None:
    turn = start(hub)
    with pytest.raises(HubError) as refusal:
        hub.StartInstance(pb.CreateInstanceRequest(instanceId="i", name="Any"), LOCAL_CALL)
    assert refusal.value.code == grpc.StatusCode.ALREADY_EXISTS
    hub.complete_turn(turn, response(complete()))
    assert start(hub).execution.execution_id != turn.execution.execution_id


def test_a_live_instance_is_replaced_if_any_state_may_be_overridden(clock: Clock) -> None:
    hub = Hub(lambda: None, clock.call_later, overrides_any_state=True)
    hub.complete_turn(start(hub), response())
    assert status(hub) == "RUNNING"
    start(hub)
    assert status(hub) == "PENDING"


def test_a_large_input_is_taken_whatever_a_client_may_receive(client: Any) -> None:
    large = helpers.get_string_value(f'"{"x" * 5_000_000}"')
    request = pb.CreateInstanceRequest(instanceId="i", name="Any", input=large)
    assert client.StartInstance(request, timeout=TIMEOUT).instanceId == "i"


def test_steering_what_is_not_running_is_refused(hub: Hub) -> None:
    with pytest.raises(HubError) as missing:
        hub.TerminateInstance(pb.TerminateRequest(instanceId="i"), LOCAL_CALL)
    assert missing.value.code == grpc.StatusCode.NOT_FOUND
    hub.complete_turn(start(hub), response(complete()))
    with pytest.raises(HubError) as over:
        hub.RaiseEvent(pb.RaiseEventRequest(instanceId="i", name="go"), LOCAL_CALL)
    assert over.value.code == grpc.StatusCode.FAILED_PRECONDITION


def test_suspending_and_resuming_in_a_wrong_state_is_an_unknown_error_as_in_azure(client: Any) -> None:
    def refusals() -> list[grpc.StatusCode]:
        codes: list[grpc.StatusCode] = []
        for call in (
            lambda: client.SuspendInstance(pb.SuspendRequest(instanceId="i"), timeout=TIMEOUT),
            lambda: client.ResumeInstance(pb.ResumeRequest(instanceId="i"), timeout=TIMEOUT),
        ):
            try:
                call()
            except grpc.RpcError as error:
                codes.append(error.code())  # pyright: ignore[reportAttributeAccessIssue]  # it is a Call too
        return codes

    unknown = grpc.StatusCode.UNKNOWN
    assert refusals() == [unknown, unknown]
    client.StartInstance(pb.CreateInstanceRequest(instanceId="i", name="Any"), timeout=TIMEOUT)
    assert refusals() == [unknown]  # it may be suspended, and is not suspended yet


# Listing


def test_purging_between_two_pages_hides_no_instance(hub: Hub) -> None:
    ids = [f"i{number}" for number in range(7)]
    for instance_id in ids:
        hub.complete_turn(start(hub, instance_id), response(complete()))
    seen: list[str] = []
    token = None
    for _ in itertools.count():
        query = pb.InstanceQuery(maxInstanceCount=2, continuationToken=token)
        found = hub.QueryInstances(pb.QueryInstancesRequest(query=query), LOCAL_CALL)
        for instance in found.orchestrationState:
            seen.append(instance.instanceId)
            hub.PurgeInstances(pb.PurgeInstancesRequest(instanceId=instance.instanceId), LOCAL_CALL)
        token = found.continuationToken
        if not token.value:
            break
        assert token.value.isascii()
    assert seen == ids


def test_removing_between_two_pages_hides_no_entity(hub: Hub) -> None:
    ids = [f"@counter@{key}" for key in ["ä", "b", "c", "d", "e"]]
    for entity_id in ids:
        signal(hub, "set", entity_id)
        hub.complete_entity(take_entity(hub), batch_result("1"))
    seen: list[str] = []
    token = None
    while True:
        query = pb.EntityQuery(pageSize={"value": 2}, continuationToken=token)  # pyright: ignore[reportArgumentType]
        found = hub.QueryEntities(pb.QueryEntitiesRequest(query=query), LOCAL_CALL)
        for entity in found.entities:
            seen.append(entity.instanceId)
            signal(hub, "delete", entity.instanceId)
            hub.complete_entity(take_entity(hub), batch_result(None))
        token = found.continuationToken
        if not token.value:
            break
    assert sorted(seen) == sorted(ids)


def test_a_listing_is_filtered_and_has_a_hundred_instances_to_a_page(hub: Hub) -> None:
    for number in range(101):
        start(hub, f"many-{number:03}")
    hub.complete_turn(start(hub, "done"), response(complete()))

    def listed(query: pb.InstanceQuery) -> list[str]:
        found = hub.QueryInstances(pb.QueryInstancesRequest(query=query), LOCAL_CALL)
        return [instance.instanceId for instance in found.orchestrationState]

    assert len(listed(pb.InstanceQuery(instanceIdPrefix=helpers.get_string_value("many-")))) == 100
    assert listed(pb.InstanceQuery(runtimeStatus=[pb.ORCHESTRATION_STATUS_COMPLETED])) == ["done"]


@pytest.mark.parametrize("token", ["ä", "x", "-1", "9" * 30, "____"])
def test_a_token_that_was_never_given_out_breaks_nothing(hub: Hub, token: str) -> None:
    start(hub)
    query = pb.InstanceQuery(continuationToken=helpers.get_string_value(token))
    found = hub.QueryInstances(pb.QueryInstancesRequest(query=query), LOCAL_CALL)
    assert [instance.instanceId for instance in found.orchestrationState] == ["i"]


# Waiting


def test_clients_that_wait_do_not_make_the_hub_deaf(hub: Hub, client: Any) -> None:
    hub.complete_turn(start(hub, "ended"), response(complete()))
    turn = start(hub)
    request = pb.GetInstanceRequest(instanceId="i", getInputsAndOutputs=True)
    waits = [client.WaitForInstanceCompletion.future(request, timeout=60) for _ in range(WAITS)]
    ended = pb.GetInstanceRequest(instanceId="ended")
    assert client.WaitForInstanceCompletion(ended, timeout=TIMEOUT).exists  # it comes after the others
    assert client.GetInstance(request, timeout=TIMEOUT).exists
    assert psutil.Process().num_threads() < WAITS
    hub.complete_turn(turn, response(complete()))
    answers = {wait.result(TIMEOUT).orchestrationState.orchestrationStatus for wait in waits}
    assert answers == {pb.ORCHESTRATION_STATUS_COMPLETED}


def test_a_client_may_wait_for_an_instance_that_is_yet_to_come(hub: Hub, client: Any) -> None:
    wait = client.WaitForInstanceStart.future(pb.GetInstanceRequest(instanceId="i"), timeout=TIMEOUT)
    client.Hello(Empty(), timeout=TIMEOUT)
    turn = start(hub)
    assert not wait.done()
    hub.complete_turn(turn, response())
    assert wait.result(TIMEOUT).orchestrationState.orchestrationStatus == pb.ORCHESTRATION_STATUS_RUNNING


def test_a_wait_for_what_has_ended_is_over_at_once(hub: Hub, client: Any) -> None:
    hub.complete_turn(start(hub), response(complete()))
    request = pb.GetInstanceRequest(instanceId="i")
    assert client.WaitForInstanceStart(request, timeout=TIMEOUT).exists
    assert client.WaitForInstanceCompletion(request, timeout=TIMEOUT).exists


@pytest.mark.parametrize("timeout", [0.3, 60])
def test_waits_that_were_given_up_leave_nothing_behind(hub: Hub, client: Any, timeout: float) -> None:
    turn = start(hub)
    request = pb.GetInstanceRequest(instanceId="i")
    waits = [client.WaitForInstanceCompletion.future(request, timeout=timeout) for _ in range(WAITS)]
    wait_until(lambda: timeout < TIMEOUT or len(vars(hub)["_waits"]["i"]) == WAITS, TIMEOUT)
    for wait in waits if timeout > TIMEOUT else ():
        wait.cancel()
    wait_until(lambda: all(wait.done() for wait in waits) and not vars(hub)["_waits"], TIMEOUT)
    last = client.WaitForInstanceCompletion.future(request, timeout=TIMEOUT)
    hub.complete_turn(turn, response(complete()))
    assert last.result(TIMEOUT).exists


def test_waits_end_with_an_error_when_the_hub_stops(hub: Hub, client: Any) -> None:
    start(hub)
    wait = client.WaitForInstanceCompletion.future(pb.GetInstanceRequest(instanceId="i"), timeout=60)
    client.Hello(Empty(), timeout=TIMEOUT)
    hub.stop(0)
    assert isinstance(wait.exception(TIMEOUT), grpc.RpcError)
