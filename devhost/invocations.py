"""What passes between whoever wants a function run and the pool that runs it."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .functions import Function


class WorkerLostError(Exception):
    """The worker ended with the invocation in hand. Whether the function ran is unknown."""


class WorkerRecycledError(WorkerLostError):
    """The host stopped the worker, because another function in it ran too long."""


class InvocationTimeoutError(Exception):
    """The function ran longer than `functionTimeout`, which is `limit_seconds`; its worker was stopped."""

    def __init__(self, limit_seconds: float) -> None:
        super().__init__(f"It ran longer than {limit_seconds:g} s, and its worker was stopped.")
        self.limit_seconds = limit_seconds


@dataclass(frozen=True, slots=True)
class Failure:
    """An exception that left a function."""

    message: str
    """`ClassName: text`, as the worker library gives it."""
    stack: str


@dataclass(frozen=True, slots=True)
class Invocation:
    """One call of a function."""

    function: Function
    payload: bytes
    """The trigger's data: JSON text, a protobuf in base64, or the body of the HTTP request."""
    kind: str = "string"
    """How the worker shall read the payload: `string`, `json`, `bytes` or `http`."""
    http: Mapping[str, object] | None = None
    """`method`, `url`, `headers`, `query`, `params` of an HTTP request."""
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])
    """What the trigger says beside its data, each value as JSON text."""
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    """What the function sees as `context.invocation_id`."""


@dataclass(frozen=True, slots=True)
class InvocationResult:
    """How a call ended: with a failure, with a value, or with neither (`kind` None)."""

    kind: str | None = None
    payload: bytes = b""
    http: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """`status`, `headers`, `cookies` of an HTTP response."""
    failure: Failure | None = None
