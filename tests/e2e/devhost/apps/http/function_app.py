"""A sample app for the tests of the local host: HTTP functions of all kinds, a timer, a queue trigger."""

import json
import logging
import os
from pathlib import Path
from typing import Any

import azure.functions as func

_logger = logging.getLogger(__name__)

app = func.FunctionApp(http_auth_level=func.AuthLevel.FUNCTION)


def _mirror(req: func.HttpRequest, name: str) -> func.HttpResponse:
    """Says who answered, and what it was asked."""
    document: dict[str, object] = {
        "function": name,
        "method": req.method,
        "url": req.url,
        "headers": dict[str, str](req.headers),
        "query": dict(req.params),
        "route": dict(req.route_params),
        "body": req.get_body().decode(),
    }
    return func.HttpResponse(json.dumps(document), mimetype="application/json")


@app.route(route="mirror/{word?}", auth_level=func.AuthLevel.ANONYMOUS)
def mirror(req: func.HttpRequest) -> func.HttpResponse:
    return _mirror(req, "mirror")


@app.route(route="items/{id:int}", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
def item(req: func.HttpRequest) -> func.HttpResponse:
    return _mirror(req, "item")


@app.route(route="items/{id:int}", methods=["DELETE"], auth_level=func.AuthLevel.ANONYMOUS)
def delete_item(req: func.HttpRequest) -> func.HttpResponse:
    return _mirror(req, "delete_item")


@app.route(route="items/special", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
def special(req: func.HttpRequest) -> func.HttpResponse:
    return _mirror(req, "special")


@app.route(route="files/{*path}", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
def files(req: func.HttpRequest) -> func.HttpResponse:
    return _mirror(req, "files")


@app.route(auth_level=func.AuthLevel.ANONYMOUS)
def unrouted(req: func.HttpRequest) -> str:
    return "by its name"


@app.route(route="", auth_level=func.AuthLevel.ANONYMOUS)
def empty_route(req: func.HttpRequest) -> str:
    return "by its name"


@app.route(route="pages/{page}.html", auth_level=func.AuthLevel.ANONYMOUS)
def page(req: func.HttpRequest) -> func.HttpResponse:
    return _mirror(req, "page")


@app.route(route="answer", auth_level=func.AuthLevel.ANONYMOUS)
def answer(req: func.HttpRequest) -> func.HttpResponse:
    response = func.HttpResponse(
        b"\x00\xff", status_code=418, headers={"X-Kind": "teapot"}, mimetype="image/tea"
    )
    response.headers.add("Set-Cookie", "a=1; Path=/; HttpOnly; SameSite=Lax")
    response.headers.add("Set-Cookie", "b=2; Max-Age=60; Secure")
    return response


@app.route(route="output/{text?}", auth_level=func.AuthLevel.ANONYMOUS, binding_arg_name="answer")
def output(req: func.HttpRequest, answer: func.Out[func.HttpResponse]) -> None:
    if "text" in req.route_params:
        answer.set(func.HttpResponse(req.route_params["text"]))


@app.route(route="status/{code}", auth_level=func.AuthLevel.ANONYMOUS)
def status(req: func.HttpRequest) -> func.HttpResponse:
    code: Any = req.route_params["code"]
    return func.HttpResponse(status_code=code)


@app.route(route="broken", auth_level=func.AuthLevel.ANONYMOUS)
def broken(req: func.HttpRequest):
    raise RuntimeError("not for the caller")


@app.route(route="settings/{name}", auth_level=func.AuthLevel.ANONYMOUS)
def setting(req: func.HttpRequest) -> str:
    return os.environ.get(req.route_params["name"], "")


@app.route(route="bytes", auth_level=func.AuthLevel.ANONYMOUS)
def body_as_it_is(req: func.HttpRequest) -> str:
    return f"{req.headers['content-encoding']} {req.get_body().hex()}"


@app.route(route="log", auth_level=func.AuthLevel.ANONYMOUS)
def log(req: func.HttpRequest) -> str:
    for level in (logging.DEBUG, logging.INFO, logging.WARNING):
        _logger.log(level, "logged at %s", logging.getLevelName(level))
    return "logged"


@app.route(route="guarded", auth_level=func.AuthLevel.FUNCTION)
def guarded(req: func.HttpRequest) -> str:
    return "in"


@app.route(route="for-admins", auth_level=func.AuthLevel.ADMIN)
def for_admins(req: func.HttpRequest) -> str:
    return "in"


@app.route(route="runtime/reserved", auth_level=func.AuthLevel.ANONYMOUS)
def reserved(req: func.HttpRequest) -> str:
    return "in the way"


@app.route(route="switched-off", auth_level=func.AuthLevel.ANONYMOUS)
def switched_off(req: func.HttpRequest) -> str:
    return "still on"


@app.timer_trigger(arg_name="timer", schedule="0 0 0 1 1 *")
def tick(timer: func.TimerRequest) -> None:
    Path(os.environ["TICK_FILE"]).write_text(f"past due: {timer.past_due}")


@app.queue_trigger(arg_name="message", queue_name="q", connection="AzureWebJobsStorage")  # pyright: ignore[reportUnknownMemberType]  # its keyword arguments have no types
def from_queue(message: func.QueueMessage) -> None:
    """Never runs here."""
