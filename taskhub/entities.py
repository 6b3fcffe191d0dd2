"""The task hub's entities: what is asked of them, their locks, their state.

The rules are those of `TaskEntityDispatcher.cs` in DurableTask.Core. What is asked of an entity waits in a
queue, requests for its lock too. While the entity is locked, only operations of the lock's holder run. A
request for several locks gets one after the other, in the order of its set, which is the same for all.
"""

from datetime import datetime
from typing import cast, override

import durabletask.internal.orchestrator_service_pb2 as pb
import grpc
from durabletask.internal import helpers
from durabletask.testing.in_memory_backend import EntityState, OrchestrationInstance

from .events import text
from .execution import LOCAL_CALL, EntityWork, Execution
from .paging import PAGE_SIZE, page, page_after
from .runs import Runs


class Entities(Runs):
    """The runs with entities beside them."""

    # Asking something of an entity

    @override
    def _process_send_entity_message_action(
        self, instance: OrchestrationInstance, action: pb.OrchestratorAction
    ) -> None:
        execution = cast(Execution, instance)
        message = action.sendEntityMessage
        if message.HasField("entityLockRequested"):
            request = message.entityLockRequested
            execution.history.append(pb.HistoryEvent(eventId=action.id, entityLockRequested=request))
            self._request_lock(execution, request)
        elif message.HasField("entityUnlockSent"):
            unlock = message.entityUnlockSent
            execution.history.append(pb.HistoryEvent(eventId=action.id, entityUnlockSent=unlock))
            self._unlock(execution, unlock.targetInstanceId.value)
        else:
            if message.HasField("entityOperationCalled"):
                message.entityOperationCalled.parentExecutionId.value = execution.execution_id
            super()._process_send_entity_message_action(execution, action)

    @override
    def _schedule_delayed_entity_operation(
        self, entity_id: str, event: pb.HistoryEvent, fire_at: datetime
    ) -> None:
        def fire() -> None:
            with self._lock:
                self._queue_entity_operation(entity_id, event)

        self._call_at(fire_at, fire)

    @override
    def _enqueue_entity(self, entity_id: str) -> None:
        if entity_id not in self._entity_in_flight:
            self._grant_next_lock(self._entities[entity_id])
        super()._enqueue_entity(entity_id)
        self._wake()

    # Locks

    def _request_lock(self, execution: Execution, request: pb.EntityLockRequestedEvent) -> None:
        """Asks the next entity of the set for its lock; once there is none left, the run holds them all."""
        if request.position == len(request.lockSet):
            granted = pb.EntityLockGrantedEvent(criticalSectionId=request.criticalSectionId)
            self._deliver(execution, pb.HistoryEvent(eventId=-1, entityLockGranted=granted))
        else:
            entity_id = request.lockSet[request.position]
            execution.locks.add(entity_id)
            request.parentInstanceId.value = execution.instance_id
            self._queue_entity_operation(entity_id, pb.HistoryEvent(eventId=-1, entityLockRequested=request))

    def _grant_next_lock(self, entity: EntityState) -> None:
        """Gives the lock to the request for it that is next in the queue, if one is."""
        if entity.locked_by or not entity.pending_operations:
            return
        if not entity.pending_operations[0].HasField("entityLockRequested"):
            return
        request = entity.pending_operations.pop(0).entityLockRequested
        entity.locked_by = request.parentInstanceId.value
        request.position += 1
        if holder := self.execution(entity.locked_by):
            self._request_lock(holder, request)

    def _unlock(self, execution: Execution, entity_id: str) -> None:
        execution.locks.discard(entity_id)
        entity = self._entities.get(entity_id)
        if entity and entity.locked_by == execution.instance_id:
            entity.locked_by = None
            # What the holder did not wait for still comes before what others have asked.
            entity.pending_operations.sort(key=lambda event: _caller(event) != execution.instance_id)
            self._enqueue_entity(entity_id)

    @override
    def _let_go(self, execution: Execution) -> None:
        """An orchestrator that was ended from outside never sends its unlocks."""
        super()._let_go(execution)
        for entity_id in list(execution.locks):
            entity = self._entities[entity_id]
            entity.pending_operations = [
                event
                for event in entity.pending_operations
                if event.entityLockRequested.parentInstanceId.value != execution.instance_id
            ]
            self._unlock(execution, entity_id)
            self._enqueue_entity(entity_id)

    # Work out, results in

    def take_entity(self) -> EntityWork | None:
        """The next entity that may do something, if any, with all of it."""
        with self._lock:
            while self._entity_queue:
                entity_id = self._entity_queue.popleft()
                self._entity_queue_set.discard(entity_id)
                entity = self._entities.get(entity_id)
                if entity and entity_id not in self._entity_in_flight and (batch := _next_batch(entity)):
                    self._entity_in_flight.add(entity_id)
                    entity.dispatched_operations = batch
                    request, callers = helpers.convert_to_entity_batch_request(
                        pb.EntityRequest(
                            instanceId=entity_id,
                            entityState=text(entity.serialized_state),
                            operationRequests=batch,
                        )
                    )
                    name = entity_id.split("@", 2)[1]
                    return EntityWork(name, str(entity.completion_token), request, callers)
        return None

    def complete_entity(self, work: EntityWork, result: pb.EntityBatchResult) -> None:
        """Stores the entity's new state and answers its callers."""
        result.completionToken = work.token
        with self._lock:
            for caller in work.callers:
                waiting = self.execution(caller.responseDestination.instanceId)
                if not waiting or waiting.execution_id != caller.responseDestination.executionId.value:
                    caller.ClearField("responseDestination")
            del result.operationInfos[:]
            result.operationInfos.extend(work.callers)
            self.CompleteEntityTask(result, LOCAL_CALL)

    def fail_entity(self, work: EntityWork, details: pb.TaskFailureDetails) -> None:
        """Answers every operation of the batch with a failure; the entity stays as it was."""
        failed = pb.OperationResult(failure=pb.OperationResultFailure(failureDetails=details))
        results = [failed] * len(work.request.operations)
        self.complete_entity(
            work, pb.EntityBatchResult(results=results, entityState=work.request.entityState)
        )

    def abandon_entity(self, work: EntityWork) -> None:
        """Puts the batch back, for another worker."""
        self.AbandonTaskEntityWorkItem(pb.AbandonEntityTaskRequest(completionToken=work.token), LOCAL_CALL)

    # What clients may ask: an entity is there if it has a state

    @override
    def GetEntity(self, request: pb.GetEntityRequest, context: grpc.ServicerContext) -> pb.GetEntityResponse:
        with self._lock:
            entity = self._entities.get(request.instanceId)
            if entity is None or entity.serialized_state is None:
                return pb.GetEntityResponse(exists=False)
            return super().GetEntity(request, context)

    @override
    def QueryEntities(
        self, request: pb.QueryEntitiesRequest, context: grpc.ServicerContext
    ) -> pb.QueryEntitiesResponse:
        query = request.query
        after = page_after(query.continuationToken.value)
        size = query.pageSize.value if query.pageSize.value > 0 else PAGE_SIZE
        everything = pb.EntityQuery()
        everything.CopyFrom(query)
        everything.includeTransient = True
        everything.ClearField("pageSize")
        everything.ClearField("continuationToken")
        with self._lock:
            found = super().QueryEntities(pb.QueryEntitiesRequest(query=everything), context).entities
            wanted = (
                entity
                for entity in found
                if query.includeTransient or self._entities[entity.instanceId].serialized_state is not None
            )
            entities, token = page(wanted, lambda entity: entity.instanceId, after, size)
        return pb.QueryEntitiesResponse(entities=entities, continuationToken=text(token))

    @override
    def CleanEntityStorage(
        self, request: pb.CleanEntityStorageRequest, context: grpc.ServicerContext
    ) -> pb.CleanEntityStorageResponse:
        """Removes the entities without a state that have nothing to do. No lock outlives its holder here."""
        with self._lock:
            removable = [
                entity_id
                for entity_id, entity in self._entities.items()
                if request.removeEmptyEntities
                and entity.serialized_state is None
                and entity.locked_by is None
                and not entity.pending_operations
                and entity_id not in self._entity_in_flight
            ]
            for entity_id in removable:
                del self._entities[entity_id]
        return pb.CleanEntityStorageResponse(emptyEntitiesRemoved=len(removable))


def _next_batch(entity: EntityState) -> list[pb.HistoryEvent]:
    """Takes from the queue what may run now: the holder's operations, or all up to a request for the lock."""
    batch: list[pb.HistoryEvent] = []
    rest: list[pb.HistoryEvent] = []
    for event in entity.pending_operations:
        if entity.locked_by:
            may_run = _caller(event) == entity.locked_by
        else:
            may_run = not rest and not event.HasField("entityLockRequested")
        (batch if may_run else rest).append(event)
    entity.pending_operations = rest
    return batch


def _caller(event: pb.HistoryEvent) -> str:
    """The orchestration that waits for the operation, if one does."""
    return event.entityOperationCalled.parentInstanceId.value
