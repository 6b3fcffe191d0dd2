"""The durable webhooks: the HTTP management API below `/runtime/webhooks/durabletask`.

Written along `HttpApiHandler.cs` of azure-functions-durable-extension, the order of its checks included.
What no rule answers is 404 without a body.
"""

import asyncio
import json
import math
from typing import Any
from urllib.parse import quote_plus, unquote_plus

import durabletask.internal.orchestrator_service_pb2 as pb
import grpc
from aiohttp import web
from google.protobuf.timestamp_pb2 import Timestamp

from taskhub.events import text
from taskhub.execution import TERMINAL_STATUSES, HubError
from taskhub.hub import Hub
from taskhub.workqueue import LOCAL_CALL

from .answers import body_text, error_answer, json_answer, parse_json
from .entity_webhooks import EntityWebhooks
from .functions import TaskRegistry
from .keys import Keys
from .payloads import STATUS_NAMES, history_events, management_urls, output, status_document
from .webhook_query import WebhookQuery

WEBHOOK_PATH = "/runtime/webhooks/durabletask"
_SHORTEST_POLL_SECONDS = 0.01


class Management:
    """Answers the durable webhooks."""

    def __init__(self, hub: Hub, keys: Keys, hub_name: str, functions: TaskRegistry) -> None:
        self._hub = hub
        self._keys = keys
        self._link_query = f"taskHub={quote_plus(hub_name)}&connection=Storage&code={keys.system}"
        self._entities = EntityWebhooks(hub, functions)

    async def handle(self, request: web.Request, parts: list[str]) -> web.StreamResponse:
        """Answers one request. `parts` are the path's segments behind WEBHOOK_PATH, percent-encoded.

        As in Azure the path is decoded as a query is, with `+` for a space, and split thereafter.
        """
        if not self._keys.allow("system", request.headers, request.query):
            return web.Response(status=401)
        try:
            return await self._route(request, unquote_plus("/".join(parts)).split("/"))
        except web.HTTPException:
            raise
        except Exception as error:  # noqa: BLE001 (as in Azure: whatever goes wrong, the caller gets a 500)
            return error_answer(500, "Something went wrong while processing your request", error)

    async def _route(self, request: web.Request, parts: list[str]) -> web.StreamResponse:  # noqa: PLR0911 (a table)
        query = WebhookQuery(request.query)
        controller, *rest = parts
        match request.method, controller.lower(), rest:
            case "POST", "orchestrators", [name] | [name, _]:
                return await self._start(request, query, name, rest[1] if len(rest) > 1 else "")
            case "GET", "instances", []:
                return self._list(request, query)
            case "DELETE", "instances", []:
                return self._purge_many(query)
            case "GET", "instances", [instance_id]:
                return self._status(request, query, instance_id)
            case "DELETE", "instances", [instance_id]:
                return self._purge(instance_id)
            case "POST", "instances", [instance_id, operation]:
                return await self._steer(request, query, instance_id, operation.lower())
            case "POST", "instances", [instance_id, operation, event] if operation.lower() == "raiseevent":
                return await self._raise_event(request, instance_id, event)
            case method, "entities", _:
                return await self._entities.handle(request, query, method, rest)
            case _:
                return web.Response(status=404)

    # Starting

    async def _start(
        self, request: web.Request, query: WebhookQuery, name: str, instance_id: str
    ) -> web.StreamResponse:
        try:
            body = await body_text(request)
            if body.strip():
                parse_json(body)
        except ValueError as error:
            if _ends_early(error):
                raise  # 500: of its JSON library's exceptions, the extension expects all but this one
            return error_answer(400, "Invalid JSON content", error)
        wanted = pb.CreateInstanceRequest(
            name=name, instanceId=instance_id, input=text(body), version=text(query.text("version"))
        )
        try:
            created = self._hub.StartInstance(wanted, LOCAL_CALL)
        except HubError as error:
            return error_answer(409, str(error))
        return await self._started(request, query, created.instanceId)

    async def _restart(
        self, request: web.Request, query: WebhookQuery, instance_id: str
    ) -> web.StreamResponse:
        wanted = pb.RestartInstanceRequest(
            instanceId=instance_id, restartWithNewInstanceId=query.flag("restartWithNewInstanceId", True)
        )
        try:
            restarted = self._hub.RestartInstance(wanted, LOCAL_CALL)
        except HubError as error:
            if error.code == grpc.StatusCode.NOT_FOUND:
                return error_answer(400, "InstanceId does not match a valid orchestration instance.", error)
            return error_answer(409, "A non-terminal instance with this instance ID already exists.", error)
        return await self._started(request, query, restarted.instanceId)

    async def _started(
        self, request: web.Request, query: WebhookQuery, instance_id: str
    ) -> web.StreamResponse:
        """Answers at once, or waits for the end if the caller gave `timeout` and `pollingInterval`."""
        timeout, interval = query.seconds("timeout"), query.seconds("pollingInterval")
        if timeout is not None and interval is not None:
            if not interval <= timeout < math.inf:
                message = f"Total timeout {timeout:g} should be bigger than retry timeout {interval:g}"
                return error_answer(400, message)
            state = await self._wait(request, instance_id, timeout, interval)
            if state is not None and state.orchestrationStatus == pb.ORCHESTRATION_STATUS_COMPLETED:
                return json_answer(output(state))
            if state is not None and state.orchestrationStatus in TERMINAL_STATUSES:
                return self._status(request, query, instance_id)
        urls = management_urls(
            instance_id, f"{request.scheme}://{request.host}{WEBHOOK_PATH}", self._link_query
        )
        return json_answer(urls, 202, {"Location": urls["statusQueryGetUri"], "Retry-After": "10"})

    async def _wait(
        self,
        request: web.Request,
        instance_id: str,
        timeout: float,  # noqa: ASYNC109 (the caller's parameter, polled as in Azure)
        interval: float,
    ) -> pb.OrchestrationState | None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        while True:
            state = self._find(instance_id)
            remaining = deadline - loop.time()
            if state is None or state.orchestrationStatus in TERMINAL_STATUSES or remaining <= 0:
                return state
            if request.transport is None:  # the caller has hung up
                return state
            await asyncio.sleep(min(max(interval, _SHORTEST_POLL_SECONDS), remaining))

    # Asking

    def _find(self, instance_id: str) -> pb.OrchestrationState | None:
        wanted = pb.GetInstanceRequest(instanceId=instance_id, getInputsAndOutputs=True)
        found = self._hub.GetInstance(wanted, LOCAL_CALL)
        return found.orchestrationState if found.exists else None

    def _status(self, request: web.Request, query: WebhookQuery, instance_id: str) -> web.StreamResponse:
        state = self._find(instance_id)
        if state is None:
            return web.Response(status=404)
        show_input = query.flag("showInput", True)
        history: list[dict[str, Any]] | None = None
        if query.flag("showHistory", False):
            wanted = pb.StreamInstanceHistoryRequest(instanceId=instance_id)
            history = history_events(
                self._hub.StreamInstanceHistory(wanted, LOCAL_CALL),
                show_input=show_input,
                show_output=query.flag("showHistoryOutput", False),
            )
        document = status_document(state, show_input=show_input, history=history)
        if state.orchestrationStatus not in TERMINAL_STATUSES:
            location = f"{request.scheme}://{request.host}{request.raw_path}"
            return json_answer(document, 202, {"Location": location, "Retry-After": "5"})
        failed = state.orchestrationStatus == pb.ORCHESTRATION_STATUS_FAILED
        error = failed and query.flag("returnInternalServerErrorOnFailure", False)
        return json_answer(document, 500 if error else 200)

    def _list(self, request: web.Request, query: WebhookQuery) -> web.StreamResponse:
        show_input = query.flag("showInput", True)
        wanted = pb.InstanceQuery(
            runtimeStatus=query.statuses("runtimeStatus"),
            createdTimeFrom=query.time("createdTimeFrom"),
            createdTimeTo=query.time("createdTimeTo"),
            instanceIdPrefix=text(query.text("instanceIdPrefix")),
            maxInstanceCount=query.number("top") or 0,
            continuationToken=text(request.headers.get("x-ms-continuation-token")),
            fetchInputsAndOutputs=True,
        )
        page = self._hub.QueryInstances(pb.QueryInstancesRequest(query=wanted), LOCAL_CALL)
        documents = [status_document(state, show_input=show_input) for state in page.orchestrationState]
        return json_answer(documents, headers={"x-ms-continuation-token": page.continuationToken.value})

    # Steering

    async def _steer(
        self, request: web.Request, query: WebhookQuery, instance_id: str, operation: str
    ) -> web.StreamResponse:
        reason = text(query.text("reason"))
        match operation:
            case "restart":
                return await self._restart(request, query, instance_id)
            case "rewind":
                return self._rewind(query, instance_id)
            case "terminate" | "suspend" | "resume":
                gone = self._gone(instance_id)
                if gone is not None:
                    return gone
            case _:
                return web.Response(status=404)
        match operation:
            case "terminate":
                self._hub.TerminateInstance(
                    pb.TerminateRequest(instanceId=instance_id, output=reason), LOCAL_CALL
                )
            case "suspend":
                self._hub.SuspendInstance(
                    pb.SuspendRequest(instanceId=instance_id, reason=reason), LOCAL_CALL
                )
            case _:
                self._hub.ResumeInstance(pb.ResumeRequest(instanceId=instance_id, reason=reason), LOCAL_CALL)
        return web.Response(status=202)

    def _gone(self, instance_id: str) -> web.StreamResponse | None:
        """The answer if there is nothing left to steer."""
        state = self._find(instance_id)
        if state is None:
            return web.Response(status=404)
        if state.orchestrationStatus in TERMINAL_STATUSES:
            return web.Response(status=410)
        return None

    def _rewind(self, query: WebhookQuery, instance_id: str) -> web.StreamResponse:
        state = self._find(instance_id)
        if state is None:
            return json_answer(f'No orchestration with instance ID "{instance_id}" found.', 404)
        if state.orchestrationStatus != pb.ORCHESTRATION_STATUS_FAILED:
            status = STATUS_NAMES[state.orchestrationStatus]
            message = f'This orchestration has status {status}, but only orchestrations in the "Failed" state'
            return json_answer(f"{message} can be rewound.", 412)
        wanted = pb.RewindInstanceRequest(instanceId=instance_id, reason=text(query.text("reason")))
        self._hub.RewindInstance(wanted, LOCAL_CALL)
        return web.Response(status=202)

    async def _raise_event(self, request: web.Request, instance_id: str, name: str) -> web.StreamResponse:
        gone = self._gone(instance_id)
        if gone is not None:
            return gone
        if request.content_type != "application/json":
            return error_answer(400, "Only application/json request content is supported")
        try:
            body = await body_text(request)
            parse_json(body)
        except ValueError as error:
            return error_answer(400, "Invalid JSON content", error)
        event = pb.RaiseEventRequest(instanceId=instance_id, name=name, input=text(body))
        self._hub.RaiseEvent(event, LOCAL_CALL)
        return web.Response(status=202)

    # Purging

    def _purge(self, instance_id: str) -> web.StreamResponse:
        state = self._find(instance_id)
        if state is None:
            return web.Response(status=404)
        if state.orchestrationStatus not in TERMINAL_STATUSES:
            message = (
                "Only orchestrations in a terminal state can be purged, but the orchestration "
                f"with instance ID {instance_id} has status {STATUS_NAMES[state.orchestrationStatus]}"
            )
            return json_answer(message, 412)
        purged = self._hub.PurgeInstances(pb.PurgeInstancesRequest(instanceId=instance_id), LOCAL_CALL)
        return json_answer({"instancesDeleted": purged.deletedInstanceCount})

    def _purge_many(self, query: WebhookQuery) -> web.StreamResponse:
        since = query.time("createdTimeFrom")
        if since is None:
            return json_answer("Please provide value for 'createdTimeFrom' parameter.", 400)
        until = query.time("createdTimeTo")
        if until is None:
            until = Timestamp()
            until.GetCurrentTime()
        wanted = pb.PurgeInstanceFilter(
            createdTimeFrom=since, createdTimeTo=until, runtimeStatus=query.statuses("runtimeStatus")
        )
        purged = self._hub.PurgeInstances(pb.PurgeInstancesRequest(purgeInstanceFilter=wanted), LOCAL_CALL)
        if purged.deletedInstanceCount == 0:
            return web.Response(status=404)
        return json_answer({"instancesDeleted": purged.deletedInstanceCount})


def _ends_early(error: ValueError) -> bool:
    """Whether a JSON text is all right as far as it goes."""
    return isinstance(error, json.JSONDecodeError) and error.pos >= len(error.doc.rstrip())
