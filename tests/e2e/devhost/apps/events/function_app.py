# pyright: reportUnknownMemberType=false
# (the decorators' keyword arguments have no types)
"""A sample app for the tests of the local host: functions that wait for messages, events and blobs.

Each notes what it got in a file of its name, in the directory that `NOTES` names.
"""

import json
import os
from pathlib import Path
from typing import cast

import azure.functions as func

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)


def _note(name: str, *seen: object) -> None:
    path = Path(os.environ["NOTES"], name)
    path.with_suffix(".new").write_text(json.dumps(seen))
    path.with_suffix(".new").rename(path)


@app.route(route="hello")
def hello(req: func.HttpRequest) -> str:
    return "hello"


@app.queue_trigger(arg_name="message", queue_name="q", connection="AzureWebJobsStorage")
def queued(message: func.QueueMessage) -> None:
    _note("queued", message.get_body().decode())


@app.service_bus_queue_trigger(arg_name="message", queue_name="q", connection="Bus")
def sent(message: func.ServiceBusMessage) -> None:
    _note("sent", message.get_body().decode())


@app.event_hub_message_trigger(arg_name="event", event_hub_name="h", connection="Hub")
def streamed(event: func.EventHubEvent) -> None:
    _note("streamed", event.get_body().decode())


@app.event_grid_trigger(arg_name="event")
def published(event: func.EventGridEvent) -> None:
    _note("published", event.id, event.get_json())


@app.cosmos_db_trigger(arg_name="documents", connection="Db", database_name="d", container_name="c")
def changed(documents: func.DocumentList) -> None:
    found = cast("list[dict[str, str]]", documents)
    _note("changed", [document["id"] for document in found])


@app.generic_trigger(arg_name="text", type="fancyTrigger", data_type=func.DataType.STRING)
def fancy(text: str) -> None:
    _note("fancy", text)


@app.blob_trigger(arg_name="blob", path="uploads/{name}", connection="Uploads")
def uploaded(blob: func.InputStream) -> None:
    _note("uploaded", blob.name, blob.length, blob.read().decode())
