"""The host: puts the parts together, and runs from start to exit code.

Exit codes: 0 after SIGINT or SIGTERM; 1 when the app doesn't load, a setting is wrong, the port is taken or
the workers crash too often.
"""

import asyncio
import json
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TextIO

from aiohttp import web

from taskhub.hub import Hub

from .admin import Admin
from .dispatch import Dispatcher
from .functions import Function, TaskRegistry, listing
from .http_front import FrontDoor, FunctionRoute
from .keys import Keys
from .management import WEBHOOK_PATH, Management
from .pool import WorkerPool
from .routes import RouteError
from .settings import HostSettings
from .workers import IndexingError

_NOTICE = (
    "This is a local host for development and tests. Orchestrations live in its memory and end with it;\n"
    "in Azure, the Functions host and the Durable Functions extension take its place."
)
# Requests in flight get this long at the end; with the workers' own grace the host stays below 10 seconds.
_REQUEST_GRACE_SECONDS = 1.0

_logger = logging.getLogger(__name__)


def run(settings: HostSettings, port: int, *, enable_auth: bool, crash_limit: bool) -> int:
    """Hosts the app until a signal or a fatal error; gives the exit code."""
    try:
        listener = socket.create_server(("127.0.0.1", port))
    except (OSError, OverflowError) as error:
        reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error)
        say(f"Port {port} cannot be used: {reason}. Choose another one with --port.", sys.stderr)
        return 1
    with listener:
        hostname = {"WEBSITE_HOSTNAME": f"localhost:{listener.getsockname()[1]}"}  # as `func start` sets it
        settings = replace(settings, environment=hostname | dict(settings.environment))
        return asyncio.run(Host(settings, listener, Keys(enable_auth), crash_limit=crash_limit).run())


def say(text: str, stream: TextIO | None = None) -> None:
    """Writes to the person at the terminal."""
    target = stream or sys.stdout
    target.write(f"{text}\n")
    target.flush()


class Host:
    """One run of the host, on one event loop."""

    def __init__(
        self, settings: HostSettings, listener: socket.socket, keys: Keys, *, crash_limit: bool
    ) -> None:
        self._settings = settings
        self._crash_limit = crash_limit
        self._listener = listener
        self._keys = keys
        self._base_url = f"http://localhost:{listener.getsockname()[1]}"
        self._loop: asyncio.AbstractEventLoop
        self._end: asyncio.Future[int]
        self._dispatcher: Dispatcher | None = None
        self._pump_is_due = False

    async def run(self) -> int:
        """Runs until the end; gives the exit code."""
        self._loop = asyncio.get_running_loop()
        self._end = self._loop.create_future()
        say(_NOTICE)
        hub = Hub(
            self._wake,
            self._call_later,
            default_version=self._settings.default_version,
            overrides_any_state=self._settings.overrides_any_state,
        )
        on_fatal = self._fail if self._crash_limit else None
        pool = WorkerPool(self._settings, self._client_input(hub.start()), on_fatal)
        self._handle_signals(pool)
        try:
            return await self._host(hub, pool)
        except IndexingError as error:
            say(f"The app in {self._settings.app} could not be loaded.\n{error}", sys.stderr)
            return 1
        finally:
            await pool.stop()
            hub.stop(0)

    async def _host(self, hub: Hub, pool: WorkerPool) -> int:
        starting = asyncio.create_task(pool.start())
        await asyncio.wait({starting, self._end}, return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            starting.cancel()
            await asyncio.wait({starting})
            return self._end.result()
        functions = [f for f in starting.result() if not self._settings.disabled(f.name)]
        registry = TaskRegistry(functions)
        self._dispatcher = Dispatcher(hub, pool.invoke, registry, self._settings)
        front = FrontDoor(
            pool.invoke,
            self._keys,
            self._routes(functions),
            admin=Admin(functions, pool.invoke, self._keys, self._base_url, self._settings.environment),
            webhooks=Management(hub, self._keys, self._settings.hub_name, registry),
        )
        runner = front.runner(self._settings.cors, _REQUEST_GRACE_SECONDS)
        await runner.setup()
        try:
            await web.SockSite(runner, self._listener).start()
            self._announce(functions)
            return await self._end
        finally:
            self._dispatcher.stop()
            await runner.cleanup()

    def _routes(self, functions: Iterable[Function]) -> list[FunctionRoute]:
        routes: list[FunctionRoute] = []
        for function in functions:
            if function.http is None:
                continue
            if function.http.route.lower().startswith(("admin", "runtime")):
                _logger.error(
                    "Function '%s' has no route: those that start with admin or runtime are the host's own.",
                    function.name,
                )
                continue
            try:
                routes.append(FunctionRoute.of(function, function.http, self._settings.route_prefix))
            except RouteError as error:
                _logger.error("Function '%s' has a route that cannot be used: %s", function.name, error)
        return routes

    def _announce(self, functions: Sequence[Function]) -> None:
        for function in functions:
            for sentence in function.shortcomings():
                _logger.warning(sentence)
        if self._keys.enforced:
            say(f"\nMaster key: {self._keys.master}\nDefault function key: {self._keys.host}")
        say(listing(functions, self._base_url, self._settings.route_prefix))

    def _client_input(self, rpc_url: str) -> str:
        """What a durable client parameter receives, as the extension gives it over its gRPC protocol."""
        return json.dumps(
            {
                "taskHubName": self._settings.hub_name,
                "connectionName": None,
                "creationUrls": None,
                "managementUrls": None,
                "baseUrl": None,
                "requiredQueryStringParameters": f"code={self._keys.system}",
                "rpcBaseUrl": rpc_url,
                "httpBaseUrl": f"{self._base_url}{WEBHOOK_PATH}",
                "maxGrpcMessageSizeInBytes": self._settings.max_message_bytes,
                "grpcHttpClientTimeout": "00:01:40",
                "useForwardedHost": False,
            }
        )

    # What the parts call back, some of it from other threads

    def _wake(self) -> None:
        if not self._pump_is_due:
            self._pump_is_due = True
            self._loop.call_soon_threadsafe(self._pump)

    def _pump(self) -> None:
        self._pump_is_due = False
        if self._dispatcher is not None:
            self._dispatcher.pump()

    def _call_later(self, delay_seconds: float, callback: Callable[[], None]) -> None:
        self._loop.call_soon_threadsafe(self._loop.call_later, delay_seconds, callback)

    def _fail(self, message: str) -> None:
        _logger.critical(message)
        if not self._end.done():
            self._end.set_result(1)

    def _handle_signals(self, pool: WorkerPool) -> None:
        """The first SIGINT or SIGTERM ends the host in order, the second at once."""

        def stop(number: signal.Signals) -> None:
            if not self._end.done():
                self._end.set_result(0)
                return
            pool.kill()
            os._exit(128 + number)

        for number in (signal.SIGINT, signal.SIGTERM):
            self._loop.add_signal_handler(number, stop, number)
