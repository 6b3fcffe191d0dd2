"""A sample app for the tests of the local host: it streams HTTP, with a web framework of its own.

The real one is `azurefunctions-extensions-http-fastapi`; this is what it tells Microsoft's worker library.
"""

from typing import Any

import azure.functions as func
from azurefunctions.extensions import base

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)


class Request:
    """What a function gets in place of `azure.functions.HttpRequest`."""


class Tracker(metaclass=base.RequestTrackerMeta):
    """Tells the library of `Request`."""

    request_type = Request
    synchronizer = base.RequestSynchronizer


class WebApp(base.WebApp):
    """An application that takes any route."""

    def route(self, func: Any) -> Any:
        return func

    def get_app(self) -> None:
        return None


class WebServer(base.WebServer):
    """A server that serves nothing."""

    async def serve(self) -> None:
        return None


@app.route(route="stream")
async def stream(req: Request):
    return "streamed"
