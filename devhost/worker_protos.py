"""The message types that Microsoft's worker library expects from its host.

In Azure they are protobuf classes, handed in by the proxy worker; the library only reads attributes, calls
`WhichOneof`, and builds answers by keyword. Plain objects do, and nothing is serialized twice.
"""

from types import SimpleNamespace
from typing import Any


class TypedData:
    """A value with its kind: `TypedData(string="x")`. Asking for another kind is an AttributeError."""

    __slots__ = ("kind", "value")

    def __init__(self, **field: object) -> None:
        ((self.kind, self.value),) = field.items()

    def WhichOneof(self, group: str) -> str:  # noqa: N802 (protobuf's name)
        """The kind. `group` is protobuf's name of the union; there is only one here."""
        return self.kind

    def __getattr__(self, name: str) -> Any:
        if name == self.kind:
            return self.value
        raise AttributeError(name)


class ParameterBinding(SimpleNamespace):
    """One named input or output."""

    def WhichOneof(self, group: str) -> str:  # noqa: N802 (protobuf's name)
        """Values always travel in the message itself, never in shared memory."""
        return "data"


class BindingInfo(SimpleNamespace):
    """Direction and data type of a binding; the library compares them with these constants."""

    undefined = 0
    out = 1
    inout = 2


class StatusResult(SimpleNamespace):
    """How a request ended."""

    Failure = 0
    Success = 1


class RpcHttpCookie(SimpleNamespace):
    """A cookie of an HTTP response."""

    SameSite = SimpleNamespace(**{"None": "", "Lax": "Lax", "Strict": "Strict", "ExplicitNone": "None"})


PROTOS = SimpleNamespace(
    BindingInfo=BindingInfo,
    FunctionMetadataResponse=SimpleNamespace,
    InvocationResponse=SimpleNamespace,
    NullableBool=SimpleNamespace,
    NullableDouble=SimpleNamespace,
    NullableString=SimpleNamespace,
    NullableTimestamp=SimpleNamespace,
    ParameterBinding=ParameterBinding,
    RpcException=SimpleNamespace,
    RpcFunctionMetadata=SimpleNamespace,
    RpcHttp=SimpleNamespace,
    RpcHttpCookie=RpcHttpCookie,
    RpcRetryOptions=SimpleNamespace,
    StatusResult=StatusResult,
    TypedData=TypedData,
    WorkerInitResponse=SimpleNamespace,
    WorkerMetadata=SimpleNamespace,
)
