"""Cross-origin requests (CORS), as `func start` answers them.

Allowed origins come from `Host` in local.settings.json; in Azure they are a setting of the platform. Any
method and any header is allowed. Source: `Startup.cs` of azure-functions-core-tools, `CorsService.cs` of
ASP.NET Core.
"""

from collections.abc import Mapping

from aiohttp import web
from aiohttp.typedefs import Handler

from .settings import Cors


def headers(cors: Cors, origin: str | None) -> Mapping[str, str]:
    """What an answer to a page of `origin` gets on top: nothing if it is not allowed."""
    if origin is None or not cors.origins & {"*", origin}:
        return {}
    if "*" in cors.origins:
        return {"Access-Control-Allow-Origin": "*"}
    named = {"Access-Control-Allow-Origin": origin, "Vary": "Origin"}
    return named | ({"Access-Control-Allow-Credentials": "true"} if cors.credentials else {})


def enable(application: web.Application, cors: Cors) -> None:
    """Has the application answer what browsers ask beforehand, and say with each answer who may read it."""

    @web.middleware
    async def answer_preflights(request: web.Request, handler: Handler) -> web.StreamResponse:
        method = request.headers.get("Access-Control-Request-Method")
        if request.method != "OPTIONS" or "Origin" not in request.headers or method is None:
            return await handler(request)
        answer = web.Response(status=204)
        if headers(cors, request.headers["Origin"]):
            answer.headers["Access-Control-Allow-Methods"] = method
            wanted = request.headers.get("Access-Control-Request-Headers")
            if wanted:
                answer.headers["Access-Control-Allow-Headers"] = wanted
        return answer

    async def name_origin(request: web.Request, response: web.StreamResponse) -> None:
        response.headers.update(headers(cors, request.headers.get("Origin")))

    application.middlewares.append(answer_preflights)
    application.on_response_prepare.append(name_origin)
