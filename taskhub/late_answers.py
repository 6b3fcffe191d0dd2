"""gRPC methods that answer later, and hold no thread until then.

grpcio gives each call a thread of its pool until the call is answered, so callers that wait shut out all
others. The handler of a streaming method can avoid this: if it is marked `experimental_non_blocking`
(`grpc/_server.py`), it may return at once and send later, from any thread. One answer and a stream of one
answer are the same bytes.
"""

from collections.abc import Callable
from typing import Any, override

import grpc

type Send[Answer] = Callable[[Answer | None], None]
"""Sends an answer, or None to end the call. It blocks until gRPC has taken it: not with a lock held."""
type _Handler = grpc.RpcMethodHandler[Any, Any] | None


def answers_later[Method: Callable[..., None]](method: Method) -> Method:
    """Marks a method of a servicer that takes a `Send` as its last argument."""
    setattr(method, "experimental_non_blocking", True)  # noqa: B010 (no attribute that a type checker knows)
    return method


class LateAnswers(grpc.ServerInterceptor):
    """Serves the methods that are marked."""

    @override
    def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], _Handler],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> _Handler:
        handler = continuation(handler_call_details)
        behavior = handler.unary_unary if handler else None
        if handler is None or behavior is None or not hasattr(behavior, "experimental_non_blocking"):
            return handler
        return grpc.unary_stream_rpc_method_handler(
            behavior, handler.request_deserializer, handler.response_serializer
        )
