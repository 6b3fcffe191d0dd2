"""The task hub as its clients see it: the app's durable clients, over gRPC, and the management API.

What the Durable Functions extension refuses is refused here with the same gRPC status; what it accepts is
accepted. The comparison was made with the extension's sources (`TaskHubGrpcServer.cs`, `DurableClient.cs`).
"""

from collections import defaultdict
from collections.abc import Callable, Collection
from concurrent import futures
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import cast, override

import durabletask.internal.orchestrator_service_pb2 as pb
import durabletask.internal.orchestrator_service_pb2_grpc as stubs
import grpc
from durabletask.testing.in_memory_backend import OrchestrationInstance

from .events import text
from .execution import TERMINAL_STATUSES, Execution, new_id
from .late_answers import LateAnswers, Send, answers_later
from .paging import PAGE_SIZE, page, page_after
from .workqueue import WorkQueue

# A worker's stream of work holds a thread for as long as it is connected. Idle threads cost nothing.
_GRPC_THREADS = 64
# The client's limit is what bounds a message: the extension's server takes any.
_SERVER_OPTIONS = [("grpc.max_receive_message_length", -1)]

_SUSPENDABLE = frozenset(
    {
        pb.ORCHESTRATION_STATUS_PENDING,
        pb.ORCHESTRATION_STATUS_RUNNING,
        pb.ORCHESTRATION_STATUS_CONTINUED_AS_NEW,
    }
)


@dataclass(frozen=True, slots=True, eq=False)
class _Wait:
    """A client that waits until an instance is `done`."""

    done: Callable[[OrchestrationInstance], bool]
    with_payloads: bool
    send: Send[pb.GetInstanceResponse]


class Hub(WorkQueue):
    """An in-memory task hub with the manners of the Durable Functions extension."""

    def __init__(
        self,
        wake: Callable[[], None],
        call_later: Callable[[float, Callable[[], None]], None],
        *,
        default_version: str = "",
        overrides_any_state: bool = False,
    ) -> None:
        """`wake` is called when there may be work; `call_later` runs a callback after so many seconds.

        Both must return at once: they are called from any thread, with the hub's lock held. A start replaces
        an instance with the same ID that has ended; with `overrides_any_state` also one that is running, as
        `overridableExistingInstanceStates` of host.json may say. `default_version` is the version of an
        orchestration that a client starts without one.
        """
        super().__init__(wake, call_later)
        self._default_version = default_version
        every_status = frozenset(pb.OrchestrationStatus.values())
        self._replaceable = every_status if overrides_any_state else TERMINAL_STATUSES
        self._waits: defaultdict[str, list[_Wait]] = defaultdict(list)
        self._threads = futures.ThreadPoolExecutor(_GRPC_THREADS, thread_name_prefix="hub")

    @override
    def start(self) -> str:
        """Serves gRPC on a free port of the loopback interface; gives the address."""
        server = grpc.server(self._threads, interceptors=[LateAnswers()], options=_SERVER_OPTIONS)
        add_servicer = cast(
            Callable[[Hub, grpc.Server], None],
            stubs.add_TaskHubSidecarServiceServicer_to_server,  # pyright: ignore[reportUnknownMemberType]  # generated
        )
        add_servicer(self, server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        self._server = server
        return f"http://127.0.0.1:{port}"

    # Starting

    @override
    def StartInstance(
        self, request: pb.CreateInstanceRequest, context: grpc.ServicerContext
    ) -> pb.CreateInstanceResponse:
        with self._lock:
            instance_id = request.instanceId or new_id()
            replaceable = frozenset(request.orchestrationIdReusePolicy.replaceableStatus) or self._replaceable
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
                request.version.value or self._default_version or None,
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
        """Ends the orchestration once the message has arrived. What it has begun goes on, as in Azure."""
        with self._lock:
            self._send_termination(self._running(request.instanceId, context), request.output.value or None)
        return pb.TerminateResponse()

    @override
    def SuspendInstance(
        self, request: pb.SuspendRequest, context: grpc.ServicerContext
    ) -> pb.SuspendResponse:
        with self._lock:
            self._check_status(request.instanceId, "suspend", _SUSPENDABLE, context)
            return super().SuspendInstance(request, context)

    @override
    def ResumeInstance(self, request: pb.ResumeRequest, context: grpc.ServicerContext) -> pb.ResumeResponse:
        with self._lock:
            self._check_status(request.instanceId, "resume", {pb.ORCHESTRATION_STATUS_SUSPENDED}, context)
            return super().ResumeInstance(request, context)

    def _check_status(
        self,
        instance_id: str,
        verb: str,
        wanted: Collection[pb.OrchestrationStatus],
        context: grpc.ServicerContext,
    ) -> None:
        """Refuses with UNKNOWN for any reason: the extension does not catch its exceptions here."""
        execution = self.execution(instance_id)
        if execution is None:
            context.abort(grpc.StatusCode.UNKNOWN, f"No instance with ID '{instance_id}' was found.")
        if execution.status not in wanted:
            status = pb.OrchestrationStatus.Name(execution.status).rpartition("_")[2].capitalize()
            context.abort(
                grpc.StatusCode.UNKNOWN,
                f"Cannot {verb} the orchestration instance {instance_id} "
                f"because instance is in the {status} state.",
            )

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
        query = request.query
        after = page_after(query.continuationToken.value)
        size = query.maxInstanceCount if query.maxInstanceCount > 0 else PAGE_SIZE
        with self._lock:
            matching = (instance for instance in self._instances.values() if _matches(instance, query))
            instances, token = page(matching, _by_creation, after, size)
            states = [
                self._build_instance_response(instance, query.fetchInputsAndOutputs).orchestrationState
                for instance in instances
            ]
        return pb.QueryInstancesResponse(orchestrationState=states, continuationToken=text(token))

    # Waiting, for as long as the caller does

    @override
    @answers_later
    def WaitForInstanceStart(  # pyright: ignore[reportIncompatibleMethodOverride]  # see `late_answers`
        self,
        request: pb.GetInstanceRequest,
        context: grpc.ServicerContext,
        send: Send[pb.GetInstanceResponse],
    ) -> None:
        self._wait(request, context, lambda one: one.status != pb.ORCHESTRATION_STATUS_PENDING, send)

    @override
    @answers_later
    def WaitForInstanceCompletion(  # pyright: ignore[reportIncompatibleMethodOverride]  # see `late_answers`
        self,
        request: pb.GetInstanceRequest,
        context: grpc.ServicerContext,
        send: Send[pb.GetInstanceResponse],
    ) -> None:
        self._wait(request, context, lambda one: one.status in TERMINAL_STATUSES, send)

    def _wait(
        self,
        request: pb.GetInstanceRequest,
        context: grpc.ServicerContext,
        done: Callable[[OrchestrationInstance], bool],
        send: Send[pb.GetInstanceResponse],
    ) -> None:
        wait = _Wait(done, request.getInputsAndOutputs, send)
        with self._lock:
            self._waits[request.instanceId].append(wait)
            self._notify_waiters(request.instanceId)
        if not context.add_callback(lambda: self._forget(request.instanceId, wait)):
            self._forget(request.instanceId, wait)

    def _forget(self, instance_id: str, wait: _Wait) -> None:
        """The call is over: answered, cancelled, or its time was up."""
        with self._lock:
            waits = [other for other in self._waits.pop(instance_id, ()) if other is not wait]
            if waits:
                self._waits[instance_id] = waits

    @override
    def _notify_waiters(self, instance_id: str) -> None:
        instance = self._instances.get(instance_id)
        if instance is None:
            return
        for wait in [wait for wait in self._waits.get(instance_id, ()) if wait.done(instance)]:
            self._forget(instance_id, wait)
            response = self._build_instance_response(instance, wait.with_payloads)
            self._threads.submit(_answer, wait.send, response)


def _answer(send: Send[pb.GetInstanceResponse], response: pb.GetInstanceResponse) -> None:
    send(response)
    send(None)


def _matches(instance: OrchestrationInstance, query: pb.InstanceQuery) -> bool:
    created = instance.created_at
    if query.HasField("createdTimeFrom") and created < query.createdTimeFrom.ToDatetime(tzinfo=UTC):
        return False
    if query.HasField("createdTimeTo") and created >= query.createdTimeTo.ToDatetime(tzinfo=UTC):
        return False
    if query.runtimeStatus and instance.status not in query.runtimeStatus:
        return False
    return instance.instance_id.startswith(query.instanceIdPrefix.value)


def _by_creation(instance: OrchestrationInstance) -> str:
    """What a listing is ordered by; the ID tells those apart that were created at the same time."""
    return f"{instance.created_at.isoformat(timespec='microseconds')} {instance.instance_id}"
