"""A call by hand: what a function's trigger would give it, from the one text of an admin request.

For a blob trigger the text is `container/blob`, and the function gets the content. Source:
https://learn.microsoft.com/azure/azure-functions/functions-manually-run-non-http
"""

import json
from collections.abc import Mapping

from .functions import Function
from .invocations import Invocation

# Called by a request of its own, or by an orchestration.
_NEVER_BY_HAND = frozenset({"httpTrigger", "orchestrationTrigger", "entityTrigger"})
# Microsoft's library tells one message from many by these.
_METADATA = {"eventHubTrigger": {"SystemProperties": "{}"}, "serviceBusTrigger": {"UserProperties": "{}"}}
_TIMER_INFO = {"Schedule": {"AdjustForDST": True}, "ScheduleStatus": None, "IsPastDue": False}


class NotReadableError(Exception):
    """What the text names cannot be read; the message says what and why."""


def may_be_called(function: Function) -> bool:
    """Whether the function has a trigger that a text can stand for."""
    return function.trigger_type not in _NEVER_BY_HAND


async def invocation(function: Function, text: str, environment: Mapping[str, str]) -> Invocation:
    """The call. `environment` has the connection string of a blob. Raises NotReadableError."""
    match function.trigger_type:
        case "timerTrigger":
            return Invocation(function, json.dumps(_TIMER_INFO).encode(), "json")
        case "eventGridTrigger" | "cosmosDBTrigger":
            return Invocation(function, text.encode(), "json")
        case "blobTrigger":
            return await _of_blob(function, text, environment)
        case trigger:
            return Invocation(function, text.encode(), metadata=_METADATA.get(trigger, {}))


async def _of_blob(function: Function, path: str, environment: Mapping[str, str]) -> Invocation:
    # Imported here: few apps need them, and they take a while.
    from azure.core.exceptions import AzureError  # noqa: PLC0415
    from azure.storage.blob.aio import BlobClient  # noqa: PLC0415

    name = str(function.trigger["connection"])
    connection = environment.get(name) or environment.get(f"AzureWebJobs{name}", "")
    container, _, blob = path.partition("/")
    try:
        async with BlobClient.from_connection_string(connection, container, blob, retry_total=0) as client:
            content = await (await client.download_blob()).readall()
            metadata = {"BlobTrigger": path, "Uri": client.url, "Properties": {"Length": len(content)}}
    except (AzureError, ValueError) as error:
        raise NotReadableError(f"The blob '{path}' cannot be read: {error}") from error
    return Invocation(
        function,
        content,
        "bytes",
        metadata={name: json.dumps(value) for name, value in metadata.items()},
    )
