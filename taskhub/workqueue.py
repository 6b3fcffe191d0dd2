"""The task hub's inner side: turns and activities out, results in.

Microsoft's in-memory backend streams work to a connected worker and trusts it to live. Here the dispatcher
takes work and gives back a result, or the work itself when its worker died: that is what makes "at least
once" true.
"""

import itertools
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from typing import cast, override

import durabletask.internal.orchestrator_service_pb2 as pb
from durabletask.internal import helpers
from durabletask.testing.in_memory_backend import OrchestrationInstance

from .entities import Entities
from .events import activity_event, stamp, text
from .execution import LOCAL_CALL, ActivityWork, Execution, HubError, TurnWork

# While other activities of the orchestration run, a completion waits this long for company: a turn replays
# the whole history. (A fan-out of 1,000 activities of 20 ms took 1.5 s without, 1.1 s with it.)
_TURN_DELAY_SECONDS = 0.02


class WorkQueue(Entities):
    """The backend with a queue that work is taken from. All methods may be called from any thread."""

    def __init__(
        self, wake: Callable[[], None], call_later: Callable[[float, Callable[[], None]], None]
    ) -> None:
        super().__init__(wake, call_later)
        self._tickets = itertools.count(1)
        self._activities: deque[ActivityWork] = deque()
        self._unanswered: set[int] = set()

    # Turns of orchestrations

    def take_turn(self) -> TurnWork | None:
        """The next orchestration with something to do, if any; not given out again until it is back."""
        with self._lock:
            while self._orchestration_queue:
                instance_id = self._orchestration_queue.popleft()
                self._orchestration_queue_set.discard(instance_id)
                execution = self.execution(instance_id)
                if (
                    execution
                    and execution.pending_events
                    and instance_id not in self._orchestration_in_flight
                ):
                    return self._begin_turn(execution)
        return None

    def complete_turn(self, turn: TurnWork, response: pb.OrchestratorResponse) -> None:
        """Carries out what the orchestrator decided; nothing if the run was replaced meanwhile."""
        execution = turn.execution
        with self._lock:
            if not self._holds(turn):
                return
            custom_status = execution.custom_status
            response.instanceId = execution.instance_id
            response.completionToken = str(turn.token)
            try:
                self.CompleteOrchestratorTask(response, LOCAL_CALL)
            except HubError as error:
                self._fail(execution, str(error))
                return
            if not response.HasField("customStatus"):
                execution.custom_status = custom_status  # the backend forgets it, also across continue-as-new
            stamp(execution.history)
            if execution.is_terminal:
                self._after_end(execution)
            elif execution.termination:
                self._terminate(execution, execution.termination)
            elif execution.pending_events:
                self._enqueue_soon(execution)

    def fail_turn(self, turn: TurnWork, details: pb.TaskFailureDetails) -> None:
        """Ends the orchestration, because its function could not be run at all."""
        action = helpers.new_complete_orchestration_action(-1, pb.ORCHESTRATION_STATUS_FAILED, None, details)
        self.complete_turn(turn, pb.OrchestratorResponse(actions=[action]))

    def abandon_turn(self, turn: TurnWork) -> None:
        """Puts the turn back, for another worker."""
        execution = turn.execution
        with self._lock:
            if self._holds(turn):
                execution.pending_events = [*execution.dispatched_events, *execution.pending_events]
                execution.dispatched_events.clear()
                self._orchestration_in_flight.discard(execution.instance_id)
                if execution.termination:
                    self._terminate(execution, execution.termination)
                else:
                    self._enqueue_orchestration(execution.instance_id)

    def _begin_turn(self, execution: Execution) -> TurnWork:
        new_events = execution.pending_events
        execution.pending_events = []
        if execution.history and not new_events[0].HasField("orchestratorStarted"):
            new_events.insert(0, helpers.new_orchestrator_started_event(datetime.now(UTC)))
        stamp(new_events)
        execution.dispatched_events = new_events
        self._orchestration_in_flight.add(execution.instance_id)
        request = pb.OrchestratorRequest(
            instanceId=execution.instance_id,
            executionId=text(execution.execution_id),
            pastEvents=execution.history,
            newEvents=new_events,
        )
        return TurnWork(execution, execution.completion_token, request)

    def _holds(self, turn: TurnWork) -> bool:
        return self._is_current(turn.execution) and turn.token == turn.execution.completion_token

    def _enqueue_soon(self, execution: Execution) -> None:
        """Queues the next turn: at once, or a little later if other activities may complete until then."""
        if not execution.open_activities:
            self._enqueue_orchestration(execution.instance_id)
        elif not execution.turn_is_due and execution.instance_id not in self._orchestration_queue_set:
            execution.turn_is_due = True
            self._call_later(_TURN_DELAY_SECONDS, lambda: self._enqueue_due(execution))

    def _enqueue_due(self, execution: Execution) -> None:
        with self._lock:
            execution.turn_is_due = False
            if self._is_current(execution):
                self._enqueue_orchestration(execution.instance_id)

    # Activities

    def take_activity(self) -> ActivityWork | None:
        """The next activity to run, if any: as in Azure, also after the end of the run that has scheduled it.

        One that came back and was answered all the same is not given out again.
        """
        with self._lock:
            while self._activities:
                work = self._activities.popleft()
                if work.ticket in self._unanswered:
                    return work
        return None

    def complete_activity(
        self, work: ActivityWork, *, result: str | None = None, failure: pb.TaskFailureDetails | None = None
    ) -> None:
        """Delivers the outcome to the orchestration; one that no longer waits for it never hears of it."""
        execution = work.execution
        with self._lock:
            self._unanswered.discard(work.ticket)
            if work.ticket not in execution.open_activities:
                return
            execution.open_activities.remove(work.ticket)
            execution.pending_events.append(activity_event(work.task_id, result, failure))
            stamp(execution.pending_events)
            execution.last_updated_at = datetime.now(UTC)
            if execution.instance_id not in self._orchestration_in_flight:
                self._enqueue_soon(execution)

    def abandon_activity(self, work: ActivityWork) -> None:
        """Puts the activity back, in front, for another worker."""
        with self._lock:
            self._activities.appendleft(work)
            self._wake()

    @override
    def _process_schedule_task_action(
        self, instance: OrchestrationInstance, action: pb.OrchestratorAction
    ) -> None:
        execution = cast(Execution, instance)
        name, argument = action.scheduleTask.name, action.scheduleTask.input.value or None
        execution.history.append(helpers.new_task_scheduled_event(action.id, name, argument))
        work = ActivityWork(next(self._tickets), execution, name, action.id, argument)
        execution.open_activities.add(work.ticket)
        self._unanswered.add(work.ticket)
        self._activities.append(work)
        self._wake()
