"""The part of the durable webhooks that is about entities: `/entities/{name?}/{key?}`."""

import json
import uuid

import durabletask.internal.orchestrator_service_pb2 as pb
from aiohttp import web
from google.protobuf.wrappers_pb2 import Int32Value

from taskhub.events import text
from taskhub.hub import Hub
from taskhub.workqueue import LOCAL_CALL

from .answers import body_text, error_answer, json_answer, parse_json
from .functions import TaskRegistry
from .payloads import payload
from .webhook_query import WebhookQuery

_PAGE_SIZE = 100


class EntityWebhooks:
    """Reads, lists and signals entities."""

    def __init__(self, hub: Hub, functions: TaskRegistry) -> None:
        self._hub = hub
        self._functions = functions

    async def handle(
        self, request: web.Request, query: WebhookQuery, method: str, parts: list[str]
    ) -> web.StreamResponse:
        """Answers one request. `parts` are the decoded segments behind `entities`: name and key, if any."""
        match method, parts:
            case "GET", [] | [_]:
                return self._list(request, query, parts[0] if parts else "")
            case "GET", [name, key]:
                # In reading, a key of `$` stands for the empty one, which the path has no room for.
                return self._state(_entity_id(name, "" if key == "$" else key))
            case "POST" | "DELETE", []:
                return error_answer(400, "Invalid entity id: entity name must not be a null or empty string.")
            case "POST" | "DELETE", [name] | [name, _]:
                operation = "delete" if method == "DELETE" else query.text("op") or ""
                return await self._signal(request, name, parts[1] if len(parts) > 1 else "", operation)
            case _:
                return web.Response(status=404)

    def _state(self, entity_id: str) -> web.StreamResponse:
        found = self._hub.GetEntity(pb.GetEntityRequest(instanceId=entity_id, includeState=True), LOCAL_CALL)
        if not found.exists or not found.entity.serializedState.value:
            return web.Response(status=404)
        return json_answer(payload(found.entity.serializedState.value))

    def _list(self, request: web.Request, query: WebhookQuery, name: str) -> web.StreamResponse:
        wanted = pb.EntityQuery(
            instanceIdStartsWith=text(f"@{name.lower()}@" if name else ""),
            lastModifiedFrom=query.time("lastOperationTimeFrom"),
            lastModifiedTo=query.time("lastOperationTimeTo"),
            includeState=query.flag("fetchState", False),
            pageSize=Int32Value(value=query.number("top") or _PAGE_SIZE),
            continuationToken=text(request.headers.get("x-ms-continuation-token")),
        )
        page = self._hub.QueryEntities(pb.QueryEntitiesRequest(query=wanted), LOCAL_CALL)
        documents = [_document(entity) for entity in page.entities]
        return json_answer(documents, headers={"x-ms-continuation-token": page.continuationToken.value})

    async def _signal(self, request: web.Request, name: str, key: str, operation: str) -> web.StreamResponse:
        try:
            body = await body_text(request)
            if body and request.content_type == "application/json":
                parse_json(body)
            elif body:
                body = json.dumps(body)
        except ValueError as error:
            return error_answer(400, f"Could not parse JSON content: {error}")
        if self._functions.find("entityTrigger", name) is None:
            return error_answer(400, self._unknown(name.lower()))
        signal = pb.SignalEntityRequest(
            instanceId=_entity_id(name, key),
            name=operation,
            input=text(body),
            requestId=str(uuid.uuid4()),
        )
        self._hub.SignalEntity(signal, LOCAL_CALL)
        return web.Response(status=202)

    def _unknown(self, name: str) -> str:
        known = "', '".join(self._functions.names("entityTrigger"))
        return (
            f"The function '{name}' doesn't exist, is disabled, or is not an entity function. "
            f"Additional info: The following are the known entity functions: '{known}'."
        )


def _entity_id(name: str, key: str) -> str:
    return f"@{name.lower()}@{key}"


def _document(entity: pb.EntityMetadata) -> dict[str, object]:
    _, name, key = entity.instanceId.split("@", 2)
    modified = entity.lastModifiedTime.ToDatetime().isoformat(timespec="microseconds") + "Z"
    return {
        "entityId": {"name": name, "key": key},
        "lastOperationTime": modified,
        "state": payload(entity.serializedState.value),
    }
