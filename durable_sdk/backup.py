"""One backup as a client of the task hub sees it: started, followed, and told in a document."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from durabletask.client import OrchestrationState, OrchestrationStatus, TaskHubGrpcClient

from sitebackup import names

_POLL_SECONDS = 1.0
_ENDS = (OrchestrationStatus.COMPLETED, OrchestrationStatus.FAILED, OrchestrationStatus.TERMINATED)

type Document = dict[str, Any]
"""The status document of an orchestration, with the fields that Azure Functions answers over HTTP."""


class BackupLostError(Exception):
    """The task hub no longer knows the backup: it was purged, or the hub was in memory and began anew."""


def run_backup(client: TaskHubGrpcClient, root: str, progress: Callable[[Document], None]) -> Document:
    """Start a backup of `root`, an absolute path on the workers' machines, and follow it to its end.

    Returns the final document; calls `progress` with a document about once a second until then. Raises
    `BackupLostError`, and `grpc.RpcError` when the task hub does not answer.
    """
    instance_id = client.schedule_new_orchestration(names.BACKUP_SITE_CONTENT, input=root)
    while True:
        try:
            state = client.wait_for_orchestration_completion(instance_id, timeout=_POLL_SECONDS)
        except TimeoutError:
            state = client.get_orchestration_state(instance_id)
        if state is None:
            raise BackupLostError(f"The task hub no longer knows the backup {instance_id}.")
        if state.runtime_status in _ENDS:
            return _document(state)
        progress(_document(state))


def _document(state: OrchestrationState) -> Document:
    failure = state.failure_details
    return {
        "name": state.name,
        "instanceId": state.instance_id,
        "runtimeStatus": state.runtime_status.name.title(),
        "input": state.get_input(),
        "customStatus": state.get_custom_status(),
        "output": f"{failure.error_type}: {failure.message}" if failure else state.get_output(),
        "createdTime": _utc(state.created_at),
        "lastUpdatedTime": _utc(state.last_updated_at),
    }


def _utc(time: datetime) -> str:
    return f"{time:%Y-%m-%dT%H:%M:%SZ}"
