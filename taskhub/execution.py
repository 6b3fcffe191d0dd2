"""What the hub keeps for one run of an orchestration, and the work that it hands out."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

import durabletask.internal.orchestrator_service_pb2 as pb
import grpc
from durabletask.testing.in_memory_backend import OrchestrationInstance

TERMINAL_STATUSES = frozenset(
    {
        pb.ORCHESTRATION_STATUS_COMPLETED,
        pb.ORCHESTRATION_STATUS_FAILED,
        pb.ORCHESTRATION_STATUS_TERMINATED,
        pb.ORCHESTRATION_STATUS_CANCELED,
    }
)


def new_id() -> str:
    """An identity, for an instance or for one run of it."""
    return uuid.uuid4().hex


@dataclass(eq=False)
class Execution(OrchestrationInstance):
    """An orchestration instance, with what tells one run of it from the next.

    Replacing, restarting and purging an instance make a new object; continuing as new keeps the object and
    changes `execution_id`. So work is stale if its object is no longer in the hub or its identity no longer
    matches.
    """

    execution_id: str = field(default_factory=new_id)
    parent: "ParentLink | None" = None
    open_activities: set[int] = field(default_factory=set[int])
    """Tickets of the activities that it waits for."""
    turn_is_due: bool = False
    """A turn will be queued shortly; completions until then share it."""
    termination: pb.HistoryEvent | None = None
    """Ends it when the turn that is out has come back."""
    locks: set[str] = field(default_factory=set[str])
    """IDs of the entities whose locks it holds or has asked for."""

    @property
    def is_terminal(self) -> bool:
        return self.status in TERMINAL_STATUSES


@dataclass(frozen=True, slots=True)
class ParentLink:
    """Who waits for a sub-orchestration, and under which task."""

    execution: Execution
    execution_id: str
    task_id: int


@dataclass(frozen=True, slots=True)
class ActivityWork:
    """One activity to run. The ticket is its own, also among the retries of one task."""

    ticket: int
    execution: Execution
    name: str
    task_id: int
    input: str | None
    """JSON text."""


@dataclass(frozen=True, slots=True)
class TurnWork:
    """One step of an orchestration: its history and what is new."""

    execution: Execution
    token: int
    request: pb.OrchestratorRequest


@dataclass(frozen=True, slots=True)
class EntityWork:
    """A batch of operations on one entity."""

    name: str
    token: str
    request: pb.EntityBatchRequest
    callers: Sequence[pb.OperationInfo]


class HubError(Exception):
    """The hub refused a call that came from the host itself; `code` is what gRPC would have said."""

    def __init__(self, code: grpc.StatusCode, details: str) -> None:
        super().__init__(details)
        self.code = code


class LocalCall:
    """Stands in for the gRPC context when the host calls the hub in its own process."""

    def abort(self, code: grpc.StatusCode, details: str) -> None:
        raise HubError(code, details)

    def time_remaining(self) -> float | None:
        return None

    def is_active(self) -> bool:
        return True


LOCAL_CALL = cast(grpc.ServicerContext, LocalCall())
"""For calls from the host's own process, which raise `HubError` where a client's call is aborted."""
