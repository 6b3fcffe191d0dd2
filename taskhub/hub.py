"""The task hub as its clients see it: the app's durable clients, over gRPC, and the management API.

What the Durable Functions extension refuses is refused here with the same gRPC status; what it accepts is
accepted. The comparison was made with the extension's sources (`TaskHubGrpcServer.cs`, `DurableClient.cs`).
"""

import threading
from collections.abc import Callable
from concurrent import futures
from datetime import UTC, datetime
from typing import cast, override

import durabletask.internal.orchestrator_service_pb2 as pb
import durabletask.internal.orchestrator_service_pb2_grpc as stubs
import grpc
from durabletask.testing.in_memory_backend import OrchestrationInstance

from .execution import TERMINAL_STATUSES, Execution, new_id
from .workqueue import WorkQueue

# A call that waits for an orchestration holds its thread for as long. Idle threads cost nothing, so: plenty.
_GRPC_THREADS = 64
_PAGE_SIZE = 100


class Hub(WorkQueue):
    """An in-memory task hub with the manners of the Durable Functions extension."""

    @override
    def start(self) -> str:
        """Serves gRPC on a free port of the loopback interface; gives the address."""
        server = grpc.server(futures.ThreadPoolExecutor(_GRPC_THREADS, thread_name_prefix="hub"))
        add_servicer = cast(
            Callable[[Hub, grpc.Server], None],
            stubs.add_TaskHubSidecarServiceServicer_to_server,  # pyright: ignore[reportUnknownMemberType]  # generated
        )
        add_servicer(self, server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        self._server = server
        return f"http://127.0.0.1:{port}"

    @override
    def stop(self, grace: float | None = None) -> None:
        """Ends the service. Calls that wait for an orchestration end with an error."""
        with self._lock:
            waiters = [waiter for group in self._state_waiters.values() for waiter in group]
        for waiter in waiters:
            waiter.event.set()
        super().stop(grace)

    # Starting

    @override
    def StartInstance(
        self, request: pb.CreateInstanceRequest, context: grpc.ServicerContext
    ) -> pb.CreateInstanceResponse:
        with self._lock:
            instance_id = request.instanceId or new_id()
            replaceable = frozenset(request.orchestrationIdReusePolicy.replaceableStatus) or TERMINAL_STATUSES
            existing = self.execution(instance_id)
            if existing and existing.status not in replaceable:
                context.abort(
                    grpc.StatusCode.ALREADY_EXISTS,
                    f"An Orchestration instance with the ID {instance_id} already exists.",
                )
            execution = Execution(
                instance_id,
                request.name,
                pb.ORCHESTRATION_STATUS_PENDING,
                request.version.value or None,
                request.input.value or None,
                tags=dict(request.tags) or None,
            )
            start_at: datetime | None = None
            if request.HasField("scheduledStartTimestamp"):
                start_at = request.scheduledStartTimestamp.ToDatetime(tzinfo=UTC)
            self._start(execution, start_at)
        return pb.CreateInstanceResponse(instanceId=instance_id)

    @override
    def RestartInstance(
        self, request: pb.RestartInstanceRequest, context: grpc.ServicerContext
    ) -> pb.RestartInstanceResponse:
        with self._lock:
            execution = self._existing(request.instanceId, context)
            if not request.restartWithNewInstanceId and not execution.is_terminal:
                context.abort(
                    grpc.StatusCode.FAILED_PRECONDITION,
                    "A non-terminal instance with this instance ID already exists.",
                )
            instance_id = new_id() if request.restartWithNewInstanceId else request.instanceId
            self._create_instance_internal(instance_id, execution.name, execution.input, execution.version)
        return pb.RestartInstanceResponse(instanceId=instance_id)

    # Steering

    @override
    def RaiseEvent(
        self, request: pb.RaiseEventRequest, context: grpc.ServicerContext
    ) -> pb.RaiseEventResponse:
        with self._lock:
            self._running(request.instanceId, context)
            return super().RaiseEvent(request, context)

    @override
    def TerminateInstance(
        self, request: pb.TerminateRequest, context: grpc.ServicerContext
    ) -> pb.TerminateResponse:
        """Ends the orchestration at once. Its sub-orchestrations and activities run on, as in Azure."""
        with self._lock:
            execution = self._running(request.instanceId, context)
            execution.output = request.output.value or None
            terminated = pb.ExecutionTerminatedEvent(input=request.output)
            self._end(
                execution,
                pb.ORCHESTRATION_STATUS_TERMINATED,
                pb.HistoryEvent(eventId=-1, executionTerminated=terminated),
            )
        return pb.TerminateResponse()

    @override
    def SuspendInstance(
        self, request: pb.SuspendRequest, context: grpc.ServicerContext
    ) -> pb.SuspendResponse:
        with self._lock:
            execution = self._running(request.instanceId, context)
            if execution.status == pb.ORCHESTRATION_STATUS_SUSPENDED:
                context.abort(
                    grpc.StatusCode.FAILED_PRECONDITION, "The orchestration instance is suspended already."
                )
            return super().SuspendInstance(request, context)

    @override
    def ResumeInstance(self, request: pb.ResumeRequest, context: grpc.ServicerContext) -> pb.ResumeResponse:
        with self._lock:
            execution = self._running(request.instanceId, context)
            if execution.status != pb.ORCHESTRATION_STATUS_SUSPENDED:
                context.abort(
                    grpc.StatusCode.FAILED_PRECONDITION, "The orchestration instance is not suspended."
                )
            return super().ResumeInstance(request, context)

    def _existing(self, instance_id: str, context: grpc.ServicerContext) -> Execution:
        execution = self.execution(instance_id)
        if execution is None:
            context.abort(grpc.StatusCode.NOT_FOUND, f"No instance with ID '{instance_id}' was found.")
        return execution

    def _running(self, instance_id: str, context: grpc.ServicerContext) -> Execution:
        execution = self._existing(instance_id, context)
        if execution.is_terminal:
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, "The orchestration instance is not running.")
        return execution

    # Asking

    @override
    def QueryInstances(
        self, request: pb.QueryInstancesRequest, context: grpc.ServicerContext
    ) -> pb.QueryInstancesResponse:
        if request.query.maxInstanceCount <= 0:
            request.query.maxInstanceCount = _PAGE_SIZE
        return super().QueryInstances(request, context)

    @override
    def _wait_for_state(
        self, instance_id: str, predicate: Callable[[OrchestrationInstance], bool], timeout: float | None
    ) -> OrchestrationInstance | None:
        """Waits as long as the caller does. (The backend gives up after 30 s if the caller set no limit.)"""
        return super()._wait_for_state(instance_id, predicate, timeout or threading.TIMEOUT_MAX)
