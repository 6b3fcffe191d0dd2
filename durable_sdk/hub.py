"""A task hub in the memory of the process that runs it: for development, where there is no scheduler.

It is the local host's hub, with the half that a scheduler has and a Functions host has not: workers connect
to it over gRPC, from other processes of this machine too. A worker gets as much work at once as it asked for.
What it holds when its connection ends, stopped or killed, goes to another worker. One that is stopped still
finishes what it holds: the first answer for an activity counts, and any second one is dropped.

The hub ends with its process, and every orchestration with it. Only the scheduler survives that.
"""

import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import override

import durabletask.internal.orchestrator_service_pb2 as pb
import grpc
from durabletask.internal.helpers import get_string_value

from durable_sdk.loop import event_loop_thread
from taskhub.execution import LOCAL_CALL, ActivityWork, TurnWork
from taskhub.hub import Hub

_PING_SECONDS = 30.0
"""A worker that hears nothing for two minutes connects anew, and what it holds would be given away."""


@contextmanager
def local_hub() -> Generator[str]:
    """Run a hub; gives the address where it listens, on loopback only."""
    with event_loop_thread("hub-clock") as clock:

        def call_later(seconds: float, call: Callable[[], None]) -> None:
            clock.call_soon_threadsafe(clock.call_later, seconds, call)

        hub = LocalHub(call_later)
        try:
            yield hub.start()
        finally:
            hub.stop(0)


@dataclass(eq=False, slots=True)
class _Worker:
    """A connection that work is handed out over, and the tokens of what it holds."""

    max_turns: int
    max_activities: int
    turns: set[str] = field(default_factory=set[str])
    activities: set[str] = field(default_factory=set[str])
    gone: bool = False


class LocalHub(Hub):
    """The hub as workers see it. It hands out no work of entities: nothing here has any."""

    def __init__(self, call_later: Callable[[float, Callable[[], None]], None]) -> None:
        """`call_later` runs a callback after so many seconds, in a thread of its own."""
        super().__init__(self._announce, call_later)
        self._news = threading.Condition(self._lock)
        self._workers: set[_Worker] = set()
        self._turns_out: dict[str, TurnWork] = {}
        self._activities_out: dict[str, ActivityWork] = {}

    # Work out

    @override
    def GetWorkItems(
        self, request: pb.GetWorkItemsRequest, context: grpc.ServicerContext
    ) -> Iterator[pb.WorkItem]:
        """Streams work to a worker for as long as it is connected."""
        worker = _Worker(request.maxConcurrentOrchestrationWorkItems, request.maxConcurrentActivityWorkItems)
        with self._lock:
            self._workers.add(worker)
        if not context.add_callback(partial(self._leave, worker)):
            self._leave(worker)
        while (item := self._next_item(worker)) is not None:
            yield item

    def _next_item(self, worker: _Worker) -> pb.WorkItem | None:
        """Wait for work that the worker has room for; None once it is gone."""
        ping_at = time.monotonic() + _PING_SECONDS
        with self._news:
            while not worker.gone:
                if item := self._turn_item(worker) or self._activity_item(worker):
                    return item
                if (left := ping_at - time.monotonic()) <= 0:
                    return pb.WorkItem(healthPing=pb.HealthPing())
                self._news.wait(left)
        return None

    def _turn_item(self, worker: _Worker) -> pb.WorkItem | None:
        if len(worker.turns) >= worker.max_turns or (turn := self.take_turn()) is None:
            return None
        token = str(turn.token)
        self._turns_out[token] = turn
        worker.turns.add(token)
        return pb.WorkItem(completionToken=token, orchestratorRequest=turn.request)

    def _activity_item(self, worker: _Worker) -> pb.WorkItem | None:
        if len(worker.activities) >= worker.max_activities or (work := self.take_activity()) is None:
            return None
        token = str(work.ticket)
        self._activities_out[token] = work
        worker.activities.add(token)
        request = pb.ActivityRequest(
            name=work.name,
            taskId=work.task_id,
            input=get_string_value(work.input),
            orchestrationInstance=pb.OrchestrationInstance(instanceId=work.execution.instance_id),
        )
        return pb.WorkItem(completionToken=token, activityRequest=request)

    def _announce(self) -> None:
        with self._news:
            self._news.notify_all()

    # Work back, done or not

    @override
    def CompleteOrchestratorTask(
        self, request: pb.OrchestratorResponse, context: grpc.ServicerContext
    ) -> pb.CompleteTaskResponse:
        if context is LOCAL_CALL:  # `complete_turn` has checked the answer and passes it on
            return super().CompleteOrchestratorTask(request, context)
        with self._lock:
            for worker in self._workers:
                worker.turns.discard(request.completionToken)
            if turn := self._turns_out.pop(request.completionToken, None):
                self.complete_turn(turn, request)
            self._announce()
        return pb.CompleteTaskResponse()

    @override
    def CompleteActivityTask(
        self, request: pb.ActivityResponse, context: grpc.ServicerContext
    ) -> pb.CompleteTaskResponse:
        with self._lock:
            for worker in self._workers:
                worker.activities.discard(request.completionToken)
            if work := self._activities_out.pop(request.completionToken, None):
                failure = request.failureDetails if request.HasField("failureDetails") else None
                self.complete_activity(work, result=request.result.value, failure=failure)
            self._announce()
        return pb.CompleteTaskResponse()

    def _leave(self, worker: _Worker) -> None:
        """Give back what the worker holds: activities last in line, for it may be finishing them."""
        with self._lock:
            worker.gone = True
            self._workers.discard(worker)
            for token in worker.turns:
                turn = self._turns_out.pop(token)
                if self._holds(turn):
                    self.abandon_turn(turn)
                    self._renew_token(turn.execution)  # an answer to the old one comes too late
            self._activities.extend(self._activities_out[token] for token in worker.activities)
            self._announce()
