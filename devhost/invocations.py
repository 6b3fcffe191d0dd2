"""What passes between whoever wants a function run and the pool that runs it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .functions import Function


class WorkerLostError(Exception):
    """The worker died, or was stopped, with the invocation in hand. Whether the function ran is unknown."""


class InvocationTimeoutError(Exception):
    """The function ran longer than `functionTimeout`; its worker was stopped."""


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
    """How the worker shall read the payload: `string`, `json` or `http`."""
    http: Mapping[str, object] | None = None
    """`method`, `url`, `headers`, `query`, `params` of an HTTP request."""


@dataclass(frozen=True, slots=True)
class InvocationResult:
    """How a call ended: with a failure, with a value, or with neither (`kind` None)."""

    kind: str | None = None
    payload: bytes = b""
    http: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """`status`, `headers`, `cookies` of an HTTP response."""
    failure: Failure | None = None
