"""The task hub's rules for the life of a run: how it starts, what it waits for, how it ends.

The lowest of three layers over Microsoft's in-memory backend (`runs`, `workqueue`, `hub`). It replaces what
the backend leaves to threads that sleep or poll (timers, delayed signals, sub-orchestrations) with events,
and gives every run an identity, so that nothing meant for an earlier run of an instance reaches a later one.
"""

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import cast, override

import durabletask.internal.orchestrator_service_pb2 as pb
from durabletask.internal import helpers
from durabletask.testing.in_memory_backend import (
    InMemoryOrchestrationBackend,
    OrchestrationInstance,
    PendingLockRequest,
)

from .events import child_event, now_event, stamp, started_event, text
from .execution import Execution, ParentLink, new_id

# Events of one orchestration: far beyond what is sensible, and an error instead of a memory that fills up.
_MAX_HISTORY = 1_000_000

# Events that are meant for an instance, whichever run of it is current.
_FROM_OUTSIDE = frozenset({"eventRaised", "executionSuspended", "executionResumed", "executionTerminated"})

_logger = logging.getLogger(__name__)


class Runs(InMemoryOrchestrationBackend):
    """The backend, with runs that are told apart and woken by events."""

    def __init__(
        self, wake: Callable[[], None], call_later: Callable[[float, Callable[[], None]], None]
    ) -> None:
        """`wake` is called when there may be work; `call_later` runs a callback after so many seconds.

        Both must return at once: they are called from any thread, with the hub's lock held.
        """
        super().__init__(max_history_size=_MAX_HISTORY, port=0)
        self._wake = wake
        self._call_later = call_later

    def execution(self, instance_id: str) -> Execution | None:
        """The current run of an instance."""
        return cast("Execution | None", self._instances.get(instance_id))

    # Starting

    @override
    def _create_instance_internal(
        self, instance_id: str, name: str, encoded_input: str | None = None, version: str | None = None
    ) -> None:
        existing = self.execution(instance_id)
        if existing and not existing.is_terminal:
            raise ValueError(f"Orchestration instance '{instance_id}' already exists.")
        self._start(Execution(instance_id, name, pb.ORCHESTRATION_STATUS_PENDING, version, encoded_input))

    def _start(self, execution: Execution, start_at: datetime | None = None) -> None:
        """Puts the run into the hub, in place of any earlier one, and queues its first turn."""
        self._instances[execution.instance_id] = execution
        self._orchestration_in_flight.discard(execution.instance_id)
        self._renew_token(execution)
        now = datetime.now(UTC)
        start_at = max(start_at or now, now)
        execution.pending_events = [
            helpers.new_orchestrator_started_event(start_at),
            started_event(execution),
        ]
        if start_at > now:
            self._call_later((start_at - now).total_seconds(), lambda: self._wake_run(execution))
        else:
            self._enqueue_orchestration(execution.instance_id)

    def _wake_run(self, execution: Execution) -> None:
        with self._lock:
            if self._is_current(execution) and not execution.is_terminal:
                self._enqueue_orchestration(execution.instance_id)

    def _is_current(self, execution: Execution) -> bool:
        return self._instances.get(execution.instance_id) is execution

    def _renew_token(self, execution: Execution) -> None:
        """A turn that is out with an earlier token is stale from now on."""
        execution.completion_token = self._next_completion_token
        self._next_completion_token += 1

    @override
    def _enqueue_orchestration(self, instance_id: str) -> None:
        execution = self.execution(instance_id)
        if execution is None:
            return
        if execution.is_terminal:
            execution.pending_events.clear()  # the backend delivers an entity's answer to anyone
            return
        stamp(execution.pending_events)
        super()._enqueue_orchestration(instance_id)
        self._wake()

    @override
    def _enqueue_entity(self, entity_id: str) -> None:
        super()._enqueue_entity(entity_id)
        self._wake()

    # Ending

    def _end(self, execution: Execution, status: pb.OrchestrationStatus, *events: pb.HistoryEvent) -> None:
        """Ends a run without asking its orchestrator: a turn that is out for it comes back in vain."""
        now = datetime.now(UTC)
        execution.status = status
        execution.completed_at = execution.last_updated_at = now
        execution.history += [*execution.dispatched_events, *execution.pending_events, *events]
        execution.history.append(
            helpers.new_execution_completed_event(status, execution.output, execution.failure_details)
        )
        stamp(execution.history)
        execution.dispatched_events.clear()
        execution.pending_events.clear()
        self._renew_token(execution)
        self._orchestration_in_flight.discard(execution.instance_id)
        self._after_end(execution)
        self._notify_waiters(execution.instance_id)

    def _fail(self, execution: Execution, message: str) -> None:
        execution.failure_details = pb.TaskFailureDetails(
            errorType="OrchestrationFailed", errorMessage=message, isNonRetriable=True
        )
        self._end(execution, pb.ORCHESTRATION_STATUS_FAILED)

    def _after_end(self, execution: Execution) -> None:
        """What follows the end of a run: late results find no one, its locks are free, its parent knows."""
        execution.open_activities.clear()
        self._release_locks(execution)
        link = execution.parent
        if (
            link is None
            or not self._is_current(link.execution)
            or link.execution.execution_id != link.execution_id
        ):
            return
        if link.execution.is_terminal:
            return
        link.execution.pending_events.append(child_event(execution, link.task_id))
        link.execution.last_updated_at = datetime.now(UTC)
        self._enqueue_orchestration(link.execution.instance_id)

    @override
    def _process_complete_orchestration_action(
        self, instance: OrchestrationInstance, complete_action: pb.CompleteOrchestrationAction
    ) -> None:
        execution = cast(Execution, instance)
        continues = complete_action.orchestrationStatus == pb.ORCHESTRATION_STATUS_CONTINUED_AS_NEW
        if continues:
            # What came in during the turn goes to the new run, but not the results of tasks of the old one.
            execution.pending_events = [
                event for event in execution.pending_events if event.WhichOneof("eventType") in _FROM_OUTSIDE
            ]
        super()._process_complete_orchestration_action(execution, complete_action)
        if continues:
            execution.execution_id = new_id()
            execution.open_activities.clear()
            self._release_locks(execution)
            # The backend's own event knows neither the run's identity nor its parent.
            execution.pending_events[1] = started_event(execution)

    # Waiting: sub-orchestrations, timers, delayed signals, entity locks

    @override
    def _process_create_sub_orchestration_action(
        self, instance: OrchestrationInstance, action: pb.OrchestratorAction
    ) -> None:
        parent = cast(Execution, instance)
        wanted = action.createSubOrchestration
        created = pb.SubOrchestrationInstanceCreatedEvent(
            name=wanted.name,
            instanceId=wanted.instanceId,
            input=text(wanted.input.value),
            version=text(wanted.version.value),
        )
        parent.history.append(now_event(event_id=action.id, subOrchestrationInstanceCreated=created))
        existing = self.execution(wanted.instanceId)
        if existing and not existing.is_terminal:
            error = ValueError(f"Orchestration instance '{wanted.instanceId}' already exists.")
            parent.pending_events.append(helpers.new_sub_orchestration_failed_event(action.id, error))
            self._enqueue_orchestration(parent.instance_id)
            return
        child = Execution(
            wanted.instanceId,
            wanted.name,
            pb.ORCHESTRATION_STATUS_PENDING,
            wanted.version.value or None,
            wanted.input.value or None,
        )
        child.parent = ParentLink(parent, parent.execution_id, action.id)
        self._start(child)

    @override
    def _watch_sub_orchestration(self, parent_instance_id: str, sub_instance_id: str, task_id: int) -> None:
        parent, child = self.execution(parent_instance_id), self.execution(sub_instance_id)
        if parent and child:
            child.parent = ParentLink(parent, parent.execution_id, task_id)
            if child.is_terminal:
                self._after_end(child)

    @override
    def _process_create_timer_action(
        self, instance: OrchestrationInstance, action: pb.OrchestratorAction
    ) -> None:
        execution = cast(Execution, instance)
        timer = action.createTimer
        execution.history.append(
            now_event(event_id=action.id, timerCreated=pb.TimerCreatedEvent(fireAt=timer.fireAt))
        )
        execution_id = execution.execution_id

        def fire() -> None:
            with self._lock:
                if (
                    not self._is_current(execution)
                    or execution.execution_id != execution_id
                    or execution.is_terminal
                ):
                    return
                fired = pb.TimerFiredEvent(fireAt=timer.fireAt, timerId=action.id)
                execution.pending_events.append(now_event(timerFired=fired))
                execution.last_updated_at = datetime.now(UTC)
                self._enqueue_orchestration(execution.instance_id)

        fire_at = timer.fireAt.ToDatetime(tzinfo=UTC)
        self._call_later(max(0.0, (fire_at - datetime.now(UTC)).total_seconds()), fire)

    @override
    def _schedule_delayed_entity_operation(
        self, entity_id: str, event: pb.HistoryEvent, fire_at: datetime
    ) -> None:
        def fire() -> None:
            with self._lock:
                self._queue_entity_operation(entity_id, event)

        self._call_later(max(0.0, (fire_at - datetime.now(UTC)).total_seconds()), fire)

    @override
    def _process_send_entity_message_action(
        self, instance: OrchestrationInstance, action: pb.OrchestratorAction
    ) -> None:
        message = action.sendEntityMessage
        if message.HasField("entityOperationCalled"):
            message.entityOperationCalled.parentExecutionId.value = cast(Execution, instance).execution_id
        super()._process_send_entity_message_action(instance, action)

    @override
    def _grant_lock(self, pending: PendingLockRequest) -> None:
        super()._grant_lock(pending)
        holder = self.execution(pending.parent_instance_id)
        if holder:
            holder.critical_sections.add(pending.critical_section_id)

    def _release_locks(self, execution: Execution) -> None:
        """An orchestrator that was ended from outside never sends its unlocks."""
        self._pending_lock_requests = [
            request
            for request in self._pending_lock_requests
            if request.parent_instance_id != execution.instance_id
        ]
        if execution.critical_sections:
            for entity in self._entities.values():
                if entity.locked_by in execution.critical_sections:
                    entity.locked_by = None
            execution.critical_sections.clear()
            self._try_grant_pending_locks()
