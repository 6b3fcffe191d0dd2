"""The task hub's rules for the life of a run: how it starts, what it waits for, how it ends.

The lowest of four layers over Microsoft's in-memory backend (`runs`, `entities`, `workqueue`, `hub`). It
replaces the backend's threads that sleep or poll (timers, sub-orchestrations) with events, and gives every
run an identity, so that nothing meant for an earlier run of an instance reaches a later one.
"""

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import cast, override

import durabletask.internal.orchestrator_service_pb2 as pb
from durabletask.internal import helpers
from durabletask.testing.in_memory_backend import InMemoryOrchestrationBackend, OrchestrationInstance

from .events import child_event, stamp, started_event
from .execution import Execution, ParentLink, new_id

# Events of one orchestration: far beyond what is sensible, and an error instead of a memory that fills up.
_MAX_HISTORY = 1_000_000

# Events that are meant for an instance, whichever run of it is current.
_FROM_OUTSIDE = frozenset({"eventRaised", "executionSuspended", "executionResumed"})

# In Azure, terminating sends a message and does not wait until it has arrived. The delay is long enough to
# expose code that expects the instance to have ended at once.
_TERMINATION_SECONDS = 0.2

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

    def _call_at(self, time: datetime, callback: Callable[[], None]) -> None:
        """Runs a callback at a time, or as soon as possible if that is past."""
        self._call_later(max(0.0, (time - datetime.now(UTC)).total_seconds()), callback)

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
        if replaced := self.execution(execution.instance_id):
            self._let_go(replaced)
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
            self._call_at(start_at, lambda: self._wake_run(execution))
        else:
            self._enqueue_orchestration(execution.instance_id)

    def _wake_run(self, execution: Execution) -> None:
        with self._lock:
            if self._is_current(execution):
                self._enqueue_orchestration(execution.instance_id)

    def _is_current(self, execution: Execution, execution_id: str = "") -> bool:
        """Whether this is the instance's run now, and still the one with that identity if one is given."""
        return self._instances.get(execution.instance_id) is execution and (
            execution_id in {"", execution.execution_id}
        )

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

    def _deliver(self, execution: Execution, event: pb.HistoryEvent) -> None:
        """Gives the run something to react to, unless it has ended."""
        if not execution.is_terminal:
            execution.pending_events.append(event)
            execution.last_updated_at = datetime.now(UTC)
            self._enqueue_orchestration(execution.instance_id)

    # Ending

    def _send_termination(self, execution: Execution, output: str | None) -> None:
        """Ends the run when the message has arrived and no turn of it is out; one that is out counts."""

        def arrive() -> None:
            with self._lock:
                if self._is_current(execution) and not execution.is_terminal:
                    execution.termination = helpers.new_terminated_event(encoded_output=output)
                    if execution.instance_id not in self._orchestration_in_flight:
                        self._terminate(execution, execution.termination)

        self._call_later(_TERMINATION_SECONDS, arrive)

    def _terminate(self, execution: Execution, termination: pb.HistoryEvent) -> None:
        execution.output = termination.executionTerminated.input.value or None
        self._end(execution, pb.ORCHESTRATION_STATUS_TERMINATED, termination)

    def _fail(self, execution: Execution, message: str) -> None:
        execution.failure_details = pb.TaskFailureDetails(
            errorType="OrchestrationFailed", errorMessage=message, isNonRetriable=True
        )
        self._end(execution, pb.ORCHESTRATION_STATUS_FAILED)

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

    def _after_end(self, execution: Execution) -> None:
        """What follows the end of a run: late results find no one, its parent knows."""
        self._let_go(execution)
        link = execution.parent
        if link and self._is_current(link.execution, link.execution_id):
            self._deliver(link.execution, child_event(execution, link.task_id))

    def _let_go(self, execution: Execution) -> None:
        """Nothing that the run has waited for reaches it any more. What it has begun goes on all the same."""
        execution.open_activities.clear()

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
            self._let_go(execution)
            # The backend's own event knows neither the run's identity nor its parent.
            execution.pending_events[1] = started_event(execution)

    # Waiting: sub-orchestrations, timers

    @override
    def _process_create_sub_orchestration_action(
        self, instance: OrchestrationInstance, action: pb.OrchestratorAction
    ) -> None:
        parent = cast(Execution, instance)
        wanted = action.createSubOrchestration
        child = Execution(
            wanted.instanceId,
            wanted.name,
            pb.ORCHESTRATION_STATUS_PENDING,
            wanted.version.value or None,
            wanted.input.value or None,
            parent=ParentLink(parent, parent.execution_id, action.id),
        )
        parent.history.append(
            helpers.new_sub_orchestration_created_event(
                action.id, child.name, child.instance_id, child.input, version=child.version
            )
        )
        existing = self.execution(child.instance_id)
        if existing and not existing.is_terminal:
            error = ValueError(f"Orchestration instance '{child.instance_id}' already exists.")
            self._deliver(parent, helpers.new_sub_orchestration_failed_event(action.id, error))
        else:
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
        execution_id = execution.execution_id
        fire_at = action.createTimer.fireAt.ToDatetime(tzinfo=UTC)

        def fire() -> None:
            with self._lock:
                if self._is_current(execution, execution_id):
                    self._deliver(execution, helpers.new_timer_fired_event(action.id, fire_at))

        execution.history.append(helpers.new_timer_created_event(action.id, fire_at))
        self._call_at(fire_at, fire)
