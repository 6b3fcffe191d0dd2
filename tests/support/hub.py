"""A task hub in a hundred lines, with Microsoft's own replay engine in it.

Orchestrations run in this thread, by default one turn per completed task: the longest history that a run
can have. The order in which tasks complete is drawn from a seed. Every turn is kept, for a test to replay.
"""

import json
import logging
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import durabletask.internal.helpers as events
import durabletask.internal.orchestrator_service_pb2 as pb
from durabletask.serialization import JsonDataConverter
from durabletask.worker import (
    _OrchestrationExecutor,  # pyright: ignore[reportPrivateUsage]  # the engine has no public form without a hub
    _Registry,  # pyright: ignore[reportPrivateUsage]
)

from sitebackup.registry import ORCHESTRATORS

type Activity = Callable[[Any], Any]

_COMPLETIONS = {
    "taskCompleted",
    "taskFailed",
    "eventRaised",
    "timerFired",
    "subOrchestrationInstanceCompleted",
    "subOrchestrationInstanceFailed",
}


@dataclass
class Turn:
    """One execution: what the orchestrator was replayed with, and the actions and status it gave."""

    old: list[pb.HistoryEvent]
    new: list[pb.HistoryEvent]
    actions: list[bytes]
    status: str | None


@dataclass
class Instance:
    """An orchestration that ran to its end."""

    name: str
    id: str
    history: list[pb.HistoryEvent] = field(default_factory=list[pb.HistoryEvent])
    turns: list[Turn] = field(default_factory=list[Turn])
    output: Any = None
    failure: str | None = None

    @property
    def longest_history(self) -> int:
        """Events that the history would have if every task had completed in a turn of its own."""
        kinds = [event.WhichOneof("eventType") for event in self.history]
        turns = 1 + sum(kind in _COMPLETIONS for kind in kinds)
        return (
            len(kinds) - kinds.count("orchestratorStarted") - kinds.count("orchestratorCompleted") + 2 * turns
        )

    @property
    def statuses(self) -> list[Any]:
        """The custom status after each turn."""
        return [json.loads(turn.status) for turn in self.turns if turn.status]


class Hub:
    """Runs orchestrations against `activities`; `instances` has each one that ran, sub-orchestrations too.

    `at_once`: tasks that complete before the next turn.
    """

    def __init__(
        self,
        activities: Mapping[str, Activity],
        seed: int = 0,
        *,
        keep_turns: bool = True,
        at_once: int = 1,
    ) -> None:
        self.instances: list[Instance] = []
        self._activities = activities
        self._random = random.Random(seed)  # noqa: S311 - an order of completion, no secret
        self._keep_turns = keep_turns
        self._at_once = at_once
        self._raised: dict[str, list[pb.HistoryEvent]] = {}
        self._registry = _Registry()
        for name, orchestrator in ORCHESTRATORS.items():
            self._registry.add_named_orchestrator(name, orchestrator)

    def run(self, name: str, orchestration_input: Any, instance_id: str = "run") -> Instance:
        """Run an orchestration to its end."""
        instance = Instance(name, instance_id)
        self.instances.append(instance)
        pending = [events.new_execution_started_event(name, instance_id, json.dumps(orchestration_input))]
        open_tasks: list[pb.OrchestratorAction] = []
        while pending:
            raised = self._raised.get(instance_id, [])
            for new in [*([event] for event in raised), pending]:
                for action in self._turn(instance, new):
                    if action.HasField("completeOrchestration"):
                        self._complete(instance, action.completeOrchestration)
                        return instance
                    instance.history.append(_scheduled(action))
                    open_tasks.append(action)
            raised.clear()
            self._random.shuffle(open_tasks)
            completed, open_tasks = open_tasks[: self._at_once], open_tasks[self._at_once :]
            pending = [self._perform(task, instance_id) for task in completed]
        raise AssertionError(f"{name} waits for nothing and does not end")

    def raise_event(self, name: str, data: Any, instance_id: str = "run") -> None:
        """Raise an event for an orchestration that runs: it hears of it before anything else."""
        raised = self._raised.setdefault(instance_id, [])
        raised.append(events.new_event_raised_event(name, json.dumps(data)))

    def execute(
        self, instance_id: str, old: Sequence[pb.HistoryEvent], new: Sequence[pb.HistoryEvent]
    ) -> tuple[list[pb.OrchestratorAction], str | None]:
        """Run one turn of the engine; return its actions and the serialized custom status."""
        engine = _OrchestrationExecutor(self._registry, logging.getLogger("hub"), JsonDataConverter())
        result = engine.execute(instance_id, old, new)
        return list(result.actions), result.encoded_custom_status

    def _turn(self, instance: Instance, pending: list[pb.HistoryEvent]) -> list[pb.OrchestratorAction]:
        new = [events.new_orchestrator_started_event(datetime.now(UTC)), *pending]
        actions, status = self.execute(instance.id, instance.history, new)
        if self._keep_turns:
            actions_bytes = [action.SerializeToString(deterministic=True) for action in actions]
            instance.turns.append(Turn(list(instance.history), new, actions_bytes, status))
        instance.history += [*new, events.new_orchestrator_completed_event()]
        return actions

    def _perform(self, action: pb.OrchestratorAction, parent: str) -> pb.HistoryEvent:
        if action.HasField("createTimer"):
            return events.new_timer_fired_event(action.id, datetime.now(UTC))
        if action.HasField("createSubOrchestration"):
            sub = action.createSubOrchestration
            child = self.run(sub.name, json.loads(sub.input.value), f"{parent}:{action.id:04x}")
            if child.failure is not None:
                return events.new_sub_orchestration_failed_event(action.id, RuntimeError(child.failure))
            return events.new_sub_orchestration_completed_event(action.id, json.dumps(child.output))
        call = action.scheduleTask
        try:
            result = self._activities[call.name](json.loads(call.input.value))
        except Exception as error:  # noqa: BLE001 - what an activity raises is the orchestration's matter
            return events.new_task_failed_event(action.id, error)
        return events.new_task_completed_event(action.id, json.dumps(result))

    def _complete(self, instance: Instance, end: pb.CompleteOrchestrationAction) -> None:
        if end.orchestrationStatus == pb.ORCHESTRATION_STATUS_COMPLETED:
            instance.output = json.loads(end.result.value)
        else:
            instance.failure = end.failureDetails.errorMessage
        instance.history.append(
            events.new_execution_completed_event(
                end.orchestrationStatus, end.result.value, end.failureDetails
            )
        )


def _scheduled(action: pb.OrchestratorAction) -> pb.HistoryEvent:
    if action.HasField("createTimer"):
        return events.new_timer_created_event(action.id, action.createTimer.fireAt.ToDatetime())
    if action.HasField("createSubOrchestration"):
        sub = action.createSubOrchestration
        return events.new_sub_orchestration_created_event(
            action.id, sub.name, sub.instanceId, sub.input.value
        )
    return events.new_task_scheduled_event(
        action.id, action.scheduleTask.name, action.scheduleTask.input.value
    )
