"""The front door: HTTP in, the right handler or function, HTTP out.

Order as in Azure: the admin endpoint and the durable webhooks first, then the functions' routes, most
specific first, then the welcome page. What fits nothing, a wrong method included, is 404.
"""

import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from aiohttp import typedefs, web
from aiohttp.http import HttpProcessingError
from multidict import CIMultiDict

from .answers import body_bytes
from .cors import enable as enable_cors
from .functions import Function, HttpTrigger
from .invocations import Invocation, InvocationResult, InvocationTimeoutError, WorkerLostError
from .keys import Keys
from .routes import RouteTemplate
from .settings import Cors

# The limits of the Functions host and of the web server in it (Kestrel).
_BODY_LIMIT_BYTES = 104_857_600
_HEADER_LIMIT_BYTES = 32_768

_WELCOME = "<!DOCTYPE html><html><body><h1>Your local function app is up and running.</h1></body></html>"

_logger = logging.getLogger(__name__)
_server_logger = logging.getLogger(f"{__name__}.server")
# A request that is no HTTP is answered 400. It is the client's trouble and no news for the terminal.
_server_logger.addFilter(
    lambda record: not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))
)


class Handler(Protocol):
    """Answers the paths below a prefix of its own. `parts` are the segments behind it, percent-encoded."""

    async def handle(self, request: web.Request, parts: list[str]) -> web.StreamResponse: ...


@dataclass(frozen=True, slots=True)
class FunctionRoute:
    """A function with its place in the URL space."""

    template: RouteTemplate
    function: Function
    trigger: HttpTrigger

    @classmethod
    def of(cls, function: Function, trigger: HttpTrigger, prefix: str) -> "FunctionRoute":
        """Raises RouteError."""
        return cls(RouteTemplate.parse(f"{prefix}/{trigger.route}"), function, trigger)


class FrontDoor:
    """Finds who answers a request."""

    def __init__(
        self,
        invoke: Callable[[Invocation], Awaitable[InvocationResult]],
        keys: Keys,
        routes: Iterable[FunctionRoute],
        admin: Handler,
        webhooks: Handler,
    ) -> None:
        self._invoke = invoke
        self._keys = keys
        self._routes = sorted(routes, key=lambda route: route.template.precedence)
        self._admin = admin
        self._webhooks = webhooks

    def runner(self, cors: Cors | None, grace_seconds: float) -> web.AppRunner:
        """What serves it. Requests that are in flight at the end get `grace_seconds`."""
        application = web.Application(client_max_size=_BODY_LIMIT_BYTES, middlewares=[_refuse_odd_bytes])
        application.router.add_route("*", "/{path:.*}", self._handle)
        if cors is not None:
            enable_cors(application, cors)
        return web.AppRunner(
            application,
            access_log=None,
            shutdown_timeout=grace_seconds,
            auto_decompress=False,  # a function gets the bytes that its Content-Encoding speaks of
            max_field_size=_HEADER_LIMIT_BYTES,
            logger=_server_logger,
        )

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        path = request.rel_url.raw_path.removeprefix("/").removesuffix("/")
        parts = path.split("/") if path else []
        if "" in parts:  # two slashes in a row fit no route of ASP.NET
            return web.Response(status=404)
        match [part.lower() for part in parts]:
            case ["admin", *_]:
                return await self._admin.handle(request, parts[1:])
            case ["runtime", "webhooks", "durabletask", *_]:
                return await self._webhooks.handle(request, parts[3:])
            case _:
                return await self._handle_function(request, parts)

    async def _handle_function(self, request: web.Request, parts: list[str]) -> web.StreamResponse:
        for route in self._routes:
            if route.trigger.methods and request.method not in route.trigger.methods:
                continue
            parameters = route.template.match(parts)
            if parameters is not None:
                if not self._keys.allow(route.trigger.auth_level, request.headers, request.query):
                    return web.Response(status=401)
                return await self._run(request, route.function, parameters)
        if not parts and request.method == "GET":
            return web.Response(text=_WELCOME, content_type="text/html")
        return web.Response(status=404)

    async def _run(
        self, request: web.Request, function: Function, parameters: Mapping[str, str]
    ) -> web.StreamResponse:
        http = {
            "method": request.method,
            "url": f"{request.scheme}://{request.host}{request.raw_path}",
            "headers": _joined(request.headers.items(), str.lower),
            "query": {name: value for name, value in _joined(request.query.items(), str).items() if value},
            "params": parameters,
        }
        try:
            result = await self._invoke(Invocation(function, await body_bytes(request), "http", http))
        except InvocationTimeoutError:
            _logger.error(
                "Function '%s' ran into the function timeout; its worker is replaced.", function.name
            )
            return web.Response(status=500)
        except WorkerLostError:
            _logger.error("The worker died while it ran '%s'.", function.name)
            return web.Response(status=500)
        if result.failure is not None:
            _logger.error(
                "Function '%s' failed. %s\n%s", function.name, result.failure.message, result.failure.stack
            )
            return web.Response(status=500)
        return _response(result)


@web.middleware
async def _refuse_odd_bytes(request: web.Request, handler: typedefs.Handler) -> web.StreamResponse:
    """The web server of Azure takes paths in ASCII and headers in UTF-8 only."""
    try:
        request.raw_path.encode("ascii")
        for value in request.headers.values():
            value.encode()
    except UnicodeEncodeError:
        return web.Response(status=400)
    return await handler(request)


def _joined(pairs: Iterable[tuple[str, str]], key: Callable[[str], str]) -> dict[str, str]:
    """One value a name: several are joined with commas, as the Functions host does it."""
    joined: dict[str, str] = {}
    for name, value in pairs:
        name = key(name)  # noqa: PLW2901 (the name as the function sees it)
        joined[name] = f"{joined[name]},{value}" if name in joined else value
    return joined


def _response(result: InvocationResult) -> web.Response:
    if result.kind is None:
        return web.Response(status=204)
    if result.kind != "http":
        content_type = "application/json" if result.kind == "json" else "text/plain"
        return web.Response(body=result.payload, content_type=content_type, charset="utf-8")
    headers = CIMultiDict[str](result.http["headers"])
    for computed in ("content-length", "transfer-encoding"):
        headers.pop(computed, None)
    response = web.Response(status=result.http["status"], body=result.payload, headers=headers)
    for cookie in result.http["cookies"]:
        response.set_cookie(**cookie)
    return response
