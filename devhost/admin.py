"""The admin endpoint: is the host well, which functions are there, run one by hand.

`POST /admin/functions/{name}` is how all triggers are tried that don't fire by themselves here: timers,
queues, events, blobs.
"""

import asyncio
import logging
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any
from urllib.parse import unquote

from aiohttp import web

from . import by_hand
from .answers import body_text, json_answer, parse_json
from .functions import Function
from .invocations import Invocation, InvocationResult, InvocationTimeoutError, WorkerLostError
from .keys import Keys

# The host version whose behavior this one follows.
_VERSION = "4.0.0"

_logger = logging.getLogger(__name__)


class Admin:
    """Answers below `/admin`."""

    def __init__(
        self,
        functions: Sequence[Function],
        invoke: Callable[[Invocation], Awaitable[InvocationResult]],
        keys: Keys,
        base_url: str,
        environment: Mapping[str, str],
    ) -> None:
        self._functions = {function.name.lower(): function for function in functions}
        self._invoke = invoke
        self._keys = keys
        self._base_url = base_url
        self._environment = environment
        self._id = uuid.uuid4().hex
        self._started = time.monotonic()
        self._running: set[asyncio.Task[None]] = set()

    async def handle(self, request: web.Request, parts: list[str]) -> web.StreamResponse:  # noqa: PLR0911 (a table)
        """Answers one request. `parts` are the path's segments behind `/admin`, percent-encoded."""
        if not self._keys.allow("admin", request.headers, request.query):
            return web.Response(status=401)
        match request.method, [unquote(part).lower() for part in parts]:
            case "GET" | "POST", ["host", "ping"]:
                return web.Response(status=200)
            case "GET", ["host", "status"]:
                return json_answer(self._status())
            case "GET", ["functions"]:
                return json_answer([self._document(function) for function in self._functions.values()])
            case "GET", ["functions", name] if name in self._functions:
                return json_answer(self._document(self._functions[name]))
            case "POST", ["functions", name] if name in self._functions:
                return await self._run(request, self._functions[name])
            case _:
                return web.Response(status=404)

    def _status(self) -> dict[str, Any]:
        uptime = int(1000 * (time.monotonic() - self._started))
        return {"id": self._id, "state": "Running", "version": _VERSION, "processUptime": uptime}

    def _document(self, function: Function) -> dict[str, Any]:
        return {
            "name": function.name,
            "href": f"{self._base_url}/admin/functions/{function.name}",
            "config": {"name": function.name, "bindings": function.bindings},
            "language": "python",
            "isDisabled": False,
        }

    async def _run(self, request: web.Request, function: Function) -> web.StreamResponse:
        """Fire and forget: the answer says that the function was started, not how it ended."""
        try:
            text: Any = parse_json(await body_text(request))["input"]
            text.encode()
        except (ValueError, LookupError, TypeError, AttributeError):
            return web.Response(status=400)
        if not by_hand.may_be_called(function):
            return web.Response(status=400)
        task = asyncio.create_task(self._run_and_log(function, text))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return web.Response(status=202)

    async def _run_and_log(self, function: Function, text: str) -> None:
        try:
            result = await self._invoke(await by_hand.invocation(function, text, self._environment))
        except by_hand.NotReadableError as error:
            _logger.error("Function '%s' failed. %s", function.name, error)
            return
        except (InvocationTimeoutError, WorkerLostError) as error:
            _logger.error("Function '%s' did not end: %s", function.name, error)
            return
        if result.failure is not None:
            failure = result.failure
            _logger.error("Function '%s' failed. %s\n%s", function.name, failure.message, failure.stack)
