"""The part of the durable webhooks that is about entities: `/entities/{name?}/{key?}`."""

import json
import uuid

import durabletask.internal.orchestrator_service_pb2 as pb
from aiohttp import web
from durabletask.entities import EntityInstanceId
from google.protobuf.wrappers_pb2 import Int32Value

from taskhub.events import text
from taskhub.hub import Hub
from taskhub.workqueue import LOCAL_CALL

from .payloads import error_document, payload
from .webhook_query import WebhookQuery

_PAGE_SIZE = 100


class EntityWebhooks:
    """Reads, lists and signals entities."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    async def handle(
        self, request: web.Request, query: WebhookQuery, method: str, parts: list[str]
    ) -> web.StreamResponse:
        """Answers one request. `parts` are the decoded segments behind `entities`."""
        match method, parts:
            case "GET", [] | [_]:
                return self._list(request, query, parts[0] if parts else "")
            case "GET", [name, key]:
                return self._state(_entity_id(name, key))
            case "POST" | "DELETE", [name, key]:
                operation = "delete" if method == "DELETE" else query.text("op") or ""
                return await self._signal(request, _entity_id(name, key), operation)
            case _:
                return web.Response(status=404)

    def _state(self, entity_id: str) -> web.StreamResponse:
        found = self._hub.GetEntity(pb.GetEntityRequest(instanceId=entity_id, includeState=True), LOCAL_CALL)
        if not found.exists or not found.entity.serializedState.value:
            return web.Response(status=404)
        return _json(payload(found.entity.serializedState.value))

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
        return _json(documents, {"x-ms-continuation-token": page.continuationToken.value})

    async def _signal(self, request: web.Request, entity_id: str, operation: str) -> web.StreamResponse:
        body = await request.text()
        if body and request.content_type != "application/json":
            body = json.dumps(body)
        elif body:
            try:
                json.loads(body)
            except ValueError as error:
                document = error_document(f"Could not parse JSON content: {error}")
                return web.json_response(document, status=400)
        signal = pb.SignalEntityRequest(
            instanceId=entity_id, name=operation, input=text(body), requestId=str(uuid.uuid4())
        )
        self._hub.SignalEntity(signal, LOCAL_CALL)
        return web.Response(status=202)


def _entity_id(name: str, key: str) -> str:
    """The key `$` stands for the empty one, which a path can't express."""
    return str(EntityInstanceId(name.lower(), "" if key == "$" else key))


def _document(entity: pb.EntityMetadata) -> dict[str, object]:
    entity_id = EntityInstanceId.parse(entity.instanceId)
    modified = entity.lastModifiedTime.ToDatetime().isoformat(timespec="microseconds") + "Z"
    return {
        "entityId": {"name": entity_id.entity, "key": entity_id.key},
        "lastOperationTime": modified,
        "state": payload(entity.serializedState.value),
    }


def _json(document: object, headers: dict[str, str] | None = None) -> web.Response:
    return web.json_response(
        document, headers=headers, dumps=lambda value: json.dumps(value, ensure_ascii=False)
    )
