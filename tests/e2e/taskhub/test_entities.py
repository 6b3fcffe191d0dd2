"""Entities in the task hub: the order of what is asked of them, their locks, and when they exist."""

from datetime import UTC, datetime, timedelta

import durabletask.internal.orchestrator_service_pb2 as pb
import pytest
from durabletask.internal import helpers

from taskhub.execution import LOCAL_CALL, TurnWork
from taskhub.hub import Hub

from .steps import (
    ENTITY,
    Clock,
    batch_result,
    call,
    continue_as_new,
    kinds,
    lock,
    operations,
    response,
    signal,
    start,
    take_entity,
    take_turn,
    terminate,
    unlock,
)

# Operations


@pytest.mark.parametrize("ended", [False, True])
def test_an_entity_answers_only_the_run_that_asked(hub: Hub, clock: Clock, ended: bool) -> None:
    hub.complete_turn(start(hub), response(call("get")))
    work = take_entity(hub)
    terminate(hub, clock)
    if not ended:
        hub.complete_turn(start(hub), response())
    hub.complete_entity(work, batch_result("1"))
    assert hub.take_turn() is None


def test_a_batch_whose_worker_died_runs_again_before_what_came_meanwhile(hub: Hub) -> None:
    signal(hub, "first")
    hub.complete_turn(start(hub), response(call("second")))
    work = take_entity(hub)
    signal(hub, "third")
    assert hub.take_entity() is None
    hub.abandon_entity(work)
    again = take_entity(hub)
    assert operations(again) == ["first", "second", "third"]
    hub.complete_entity(again, batch_result("1", operations=3))
    assert kinds(take_turn(hub)) == ["orchestratorStarted", "entityOperationCompleted"]
    assert hub.take_entity() is None


def test_a_batch_that_failed_answers_its_callers_and_leaves_the_entity_as_it_was(hub: Hub) -> None:
    _give_state(hub, "1")
    hub.complete_turn(start(hub), response(call("get")))
    hub.fail_entity(take_entity(hub), pb.TaskFailureDetails(errorMessage="no luck"))
    failed = take_turn(hub).request.newEvents[-1].entityOperationFailed
    assert failed.failureDetails.errorMessage == "no luck"
    assert _state(hub) == "1"


@pytest.mark.parametrize("by_orchestrator", [False, True])
def test_a_delayed_signal_does_not_arrive_early(hub: Hub, clock: Clock, by_orchestrator: bool) -> None:
    later = helpers.new_timestamp(datetime.now(UTC) + timedelta(hours=1))
    if by_orchestrator:
        signaled = pb.EntityOperationSignaledEvent(
            operation="add", targetInstanceId=helpers.get_string_value(ENTITY), scheduledTime=later
        )
        message = pb.SendEntityMessageAction(entityOperationSignaled=signaled)
        hub.complete_turn(start(hub), response(pb.OrchestratorAction(id=1, sendEntityMessage=message)))
    else:
        hub.SignalEntity(
            pb.SignalEntityRequest(instanceId=ENTITY, name="add", scheduledTime=later), LOCAL_CALL
        )
    assert hub.take_entity() is None
    assert clock.waiting[0][0] == pytest.approx(3600, abs=10)
    clock.strike()
    assert operations(take_entity(hub)) == ["add"]


def test_a_state_that_is_not_valid_unicode_as_a_python_string_passes_unchanged(hub: Hub) -> None:
    _give_state(hub, r'"\ud800"')
    assert _state(hub) == r'"\ud800"'
    signal(hub, "next")
    assert take_entity(hub).request.entityState.value == r'"\ud800"'


def test_an_entity_may_have_an_empty_key(hub: Hub) -> None:
    signal(hub, "add", "@counter@")
    assert take_entity(hub).name == "counter"


# Existence


def test_an_entity_whose_state_was_set_to_none_is_there_no_more(hub: Hub) -> None:
    _give_state(hub, "1")
    assert _listed(hub) == [ENTITY]
    _give_state(hub, None)
    assert not hub.GetEntity(pb.GetEntityRequest(instanceId=ENTITY), LOCAL_CALL).exists
    assert _listed(hub) == []
    assert _listed(hub, transient=True) == [ENTITY]
    assert _clean(hub) == 1
    assert _listed(hub, transient=True) == []


def test_an_entity_that_has_operations_waiting_is_still_listed(hub: Hub) -> None:
    _give_state(hub, "1")
    signal(hub, "add")
    assert _listed(hub) == [ENTITY]


def test_cleaning_up_does_not_take_an_entity_away_from_its_first_batch(hub: Hub) -> None:
    signal(hub, "add")
    work = take_entity(hub)
    assert _clean(hub) == 0
    signal(hub, "again")
    hub.complete_entity(work, batch_result("1"))
    assert _state(hub) == "1"
    assert operations(take_entity(hub)) == ["again"]


def test_cleaning_up_leaves_what_is_locked_has_state_or_is_asked_something(hub: Hub) -> None:
    _give_state(hub, "1", "@counter@kept")
    hub.complete_turn(start(hub), response(lock("i", "@counter@locked")))
    signal(hub, "add", "@counter@asked")
    assert _clean(hub) == 0


# Locks


def test_an_operation_of_another_does_not_run_while_an_entity_is_locked(hub: Hub) -> None:
    _hold_lock(hub, "holder")
    signal(hub, "of a client")
    hub.complete_turn(start(hub, "other"), response(call("of another", "other")))
    assert hub.take_entity() is None
    hub.RaiseEvent(pb.RaiseEventRequest(instanceId="holder", name="go"), LOCAL_CALL)
    hub.complete_turn(take_turn(hub), response(call("of the holder", "holder")))
    work = take_entity(hub)
    assert operations(work) == ["of the holder"]
    hub.complete_entity(work, batch_result("1"))
    assert hub.take_entity() is None
    hub.complete_turn(take_turn(hub), response(unlock("holder")))
    assert operations(take_entity(hub)) == ["of a client", "of another"]


def test_what_a_holder_did_not_wait_for_comes_before_the_operations_of_others(hub: Hub) -> None:
    turn = _turn_with_lock(hub, "holder")
    signal(hub, "of a client")
    hub.complete_turn(turn, response(call("of the holder", "holder"), unlock("holder")))
    assert operations(take_entity(hub)) == ["of the holder", "of a client"]


def test_what_was_asked_before_a_lock_runs_before_it_is_granted(hub: Hub) -> None:
    signal(hub, "before")
    hub.complete_turn(start(hub, "holder"), response(lock("holder")))
    signal(hub, "after")
    assert hub.take_turn() is None
    work = take_entity(hub)
    assert operations(work) == ["before"]
    hub.complete_entity(work, batch_result("1"))
    assert kinds(take_turn(hub)) == ["orchestratorStarted", "entityLockGranted"]
    assert hub.take_entity() is None


def test_a_lock_of_several_entities_is_granted_when_all_of_them_are_free(hub: Hub) -> None:
    _hold_lock(hub, "first", "@counter@b")
    hub.complete_turn(start(hub, "second"), response(lock("second", "@counter@a", "@counter@b")))
    assert hub.take_turn() is None
    signal(hub, "waits", "@counter@a")
    assert hub.take_entity() is None
    hub.RaiseEvent(pb.RaiseEventRequest(instanceId="first", name="go"), LOCAL_CALL)
    hub.complete_turn(take_turn(hub), response(unlock("first", "@counter@b")))
    granted = take_turn(hub)
    assert (granted.execution.instance_id, kinds(granted)[-1]) == ("second", "entityLockGranted")


def test_a_client_sees_who_holds_the_lock(hub: Hub) -> None:
    _give_state(hub, "1")
    _hold_lock(hub, "holder")
    found = hub.GetEntity(pb.GetEntityRequest(instanceId=ENTITY), LOCAL_CALL)
    assert found.entity.lockedBy.value == "holder"


@pytest.mark.parametrize("waits_only", [False, True])
def test_a_terminated_instance_neither_keeps_a_lock_nor_its_place_for_one(
    hub: Hub, clock: Clock, waits_only: bool
) -> None:
    _hold_lock(hub, "first")
    if waits_only:
        hub.complete_turn(start(hub, "second"), response(lock("second")))
        terminate(hub, clock, "second")
    hub.complete_turn(start(hub, "third"), response(lock("third")))
    assert hub.take_turn() is None
    terminate(hub, clock, "first")
    granted = take_turn(hub)
    assert (granted.execution.instance_id, kinds(granted)[-1]) == ("third", "entityLockGranted")


def test_a_new_generation_does_not_hold_the_locks_of_the_old_one(hub: Hub) -> None:
    turn = _turn_with_lock(hub, "holder")
    signal(hub, "waits")
    hub.complete_turn(turn, response(continue_as_new()))
    assert operations(take_entity(hub)) == ["waits"]


def _hold_lock(hub: Hub, holder: str, entity_id: str = ENTITY) -> None:
    hub.complete_turn(_turn_with_lock(hub, holder, entity_id), response())


def _turn_with_lock(hub: Hub, holder: str, entity_id: str = ENTITY) -> TurnWork:
    """Lets an orchestration lock an entity; gives the turn in which it hears of it."""
    hub.complete_turn(start(hub, holder), response(lock(holder, entity_id)))
    turn = take_turn(hub)
    assert kinds(turn)[-1] == "entityLockGranted"
    return turn


def _give_state(hub: Hub, state: str | None, entity_id: str = ENTITY) -> None:
    signal(hub, "set", entity_id)
    work = take_entity(hub)
    assert work.request.instanceId == entity_id
    hub.complete_entity(work, batch_result(state))


def _state(hub: Hub) -> str:
    found = hub.GetEntity(pb.GetEntityRequest(instanceId=ENTITY, includeState=True), LOCAL_CALL)
    return found.entity.serializedState.value


def _listed(hub: Hub, *, transient: bool = False) -> list[str]:
    query = pb.EntityQuery(includeTransient=transient)
    found = hub.QueryEntities(pb.QueryEntitiesRequest(query=query), LOCAL_CALL)
    return [entity.instanceId for entity in found.entities]


def _clean(hub: Hub) -> int:
    """Gives the number of entities that were removed."""
    request = pb.CleanEntityStorageRequest(removeEmptyEntities=True, releaseOrphanedLocks=True)
    return hub.CleanEntityStorage(request, LOCAL_CALL).emptyEntitiesRemoved
