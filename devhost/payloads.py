"""The documents of the durable management API: field by field, in the order of the Durable extension.

Source: `HttpApiHandler.cs` of azure-functions-durable-extension.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC
from typing import Any
from urllib.parse import quote_plus

import durabletask.internal.orchestrator_service_pb2 as pb
from azure.durable_functions.internal.compat.history_projection import project_history
from durabletask.internal.history_helpers import collect_history_events
from google.protobuf.timestamp_pb2 import Timestamp

from .answers import parse_json

STATUS_NAMES: Mapping[pb.OrchestrationStatus, str] = {
    pb.ORCHESTRATION_STATUS_RUNNING: "Running",
    pb.ORCHESTRATION_STATUS_COMPLETED: "Completed",
    pb.ORCHESTRATION_STATUS_CONTINUED_AS_NEW: "ContinuedAsNew",
    pb.ORCHESTRATION_STATUS_FAILED: "Failed",
    pb.ORCHESTRATION_STATUS_CANCELED: "Canceled",
    pb.ORCHESTRATION_STATUS_TERMINATED: "Terminated",
    pb.ORCHESTRATION_STATUS_PENDING: "Pending",
    pb.ORCHESTRATION_STATUS_SUSPENDED: "Suspended",
}


def status_document(
    state: pb.OrchestrationState, *, show_input: bool = True, history: list[dict[str, Any]] | None = None
) -> dict[str, Any]:
    """The status of an instance. Absent values are null; `historyEvents` alone is left out when absent."""
    document: dict[str, Any] = {
        "name": state.name,
        "instanceId": state.instanceId,
        "runtimeStatus": STATUS_NAMES[state.orchestrationStatus],
        "input": payload(state.input.value) if show_input else None,
        "customStatus": payload(state.customStatus.value),
        "output": output(state),
        "createdTime": _date(state.createdTimestamp),
        "lastUpdatedTime": _date(state.lastUpdatedTimestamp),
    }
    if history is not None:
        document["historyEvents"] = history
    return document


def output(state: pb.OrchestrationState) -> Any:
    """The result of an instance; of a failed one the text of its failure."""
    if state.HasField("failureDetails"):
        return f"{state.failureDetails.errorType}: {state.failureDetails.errorMessage}"
    return payload(state.output.value)


def payload(serialized: str) -> Any:
    """A payload as JSON, or as the text it is if it isn't JSON. An empty one is null."""
    if not serialized:
        return None
    try:
        return parse_json(serialized)
    except ValueError:
        return serialized


def history_events(
    chunks: Iterable[pb.HistoryChunk], *, show_input: bool, show_output: bool
) -> list[dict[str, Any]]:
    """The history as the status document shows it, in the projection of Microsoft's SDK."""
    events = collect_history_events(chunks)
    return project_history(events, show_input=show_input, show_history_output=show_output)


def management_urls(instance_id: str, webhook_url: str, query: str) -> dict[str, str]:
    """The answer to a start: where to ask for the instance, and how to steer it.

    `{eventName}` and `{text}` are for the caller to fill in. `query` carries the key.
    """
    instance = f"{webhook_url}/instances/{quote_plus(instance_id)}"
    return {
        "id": instance_id,
        "statusQueryGetUri": f"{instance}?{query}",
        "sendEventPostUri": f"{instance}/raiseEvent/{{eventName}}?{query}",
        "terminatePostUri": f"{instance}/terminate?reason={{text}}&{query}",
        "purgeHistoryDeleteUri": f"{instance}?{query}",
        "restartPostUri": f"{instance}/restart?{query}",
        "suspendPostUri": f"{instance}/suspend?reason={{text}}&{query}",
        "resumePostUri": f"{instance}/resume?reason={{text}}&{query}",
    }


def _date(timestamp: Timestamp) -> str:
    return timestamp.ToDatetime(tzinfo=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
