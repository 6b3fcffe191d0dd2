"""From the environment to workers and clients of one task hub.

Every call to a task hub has a time limit, and is repeated when the hub cannot be reached: both by the gRPC
channel, because the SDK sets no deadlines of its own.
"""

import json
import logging
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from durabletask.client import TaskHubGrpcClient
from durabletask.grpc_options import GrpcChannelOptions
from durabletask.worker import TaskHubGrpcWorker

SETTING = "DURABLE_TASK_SCHEDULER_CONNECTION_STRING"

_CALL_SECONDS = 30
_WAITING_CALLS = ("GetWorkItems", "WaitForInstanceStart", "WaitForInstanceCompletion")
"""They take as long as there is nothing to tell; who waits for completion says how long."""


class ConnectionStringError(ValueError):
    """The connection string cannot be used. The message quotes none of its values."""


@dataclass(frozen=True, slots=True)
class SchedulerAddress:
    """A task hub of a Durable Task Scheduler. The defaults are those of the scheduler's emulator.

    `authentication`: `None` (none at all), `DefaultAzure` or `ManagedIdentity`; `client_id` is that of a
    user-assigned identity.
    """

    endpoint: str = "http://localhost:8080"
    authentication: str = "None"
    task_hub: str = "default"
    client_id: str | None = None

    @classmethod
    def parse(cls, connection_string: str) -> "SchedulerAddress":
        """Read `Endpoint=...;Authentication=...;TaskHub=...;ClientID=...`, in any order and case of names.

        Raises `ConnectionStringError`.
        """
        fields = {name.lower(): field for name, field in _PARTS.items()}
        values: dict[str, str] = {}
        for part in filter(None, map(str.strip, connection_string.split(";"))):
            name, equals, value = part.partition("=")
            field = fields.get(name.strip().lower())
            if not equals or field is None:
                raise ConnectionStringError(f"{SETTING} has a part that is none of {', '.join(_PARTS)}.")
            values[field] = value.strip()
        address = cls(**values)
        if not address.endpoint.startswith(("http://", "https://")):
            raise ConnectionStringError(f"{SETTING}: Endpoint must begin with http:// or https://.")
        if address.authentication.lower() not in _CREDENTIALS:
            raise ConnectionStringError(
                f"{SETTING}: Authentication must be None, DefaultAzure or ManagedIdentity."
            )
        if not address.task_hub:
            raise ConnectionStringError(f"{SETTING}: TaskHub is empty.")
        return address

    def credential(self) -> Any:
        """Return the `TokenCredential` to show to the scheduler, or None."""
        return _CREDENTIALS[self.authentication.lower()](self.client_id)


@dataclass(frozen=True, slots=True)
class TaskHub:
    """Makes workers and clients; both take further keyword arguments of the SDK's and must be closed.

    `connection_string` is how other processes reach it. `in_memory`: it ends with this process.
    """

    connection_string: str
    in_memory: bool
    worker: Callable[..., TaskHubGrpcWorker]
    client: Callable[..., TaskHubGrpcClient]


@contextmanager
def connect(environment: Mapping[str, str]) -> Generator[TaskHub]:
    """Give the task hub that the environment names, or else one in the memory of this process.

    Nothing is sent before a worker or a client is used. Raises `ConnectionStringError` for a connection
    string that cannot be used, and when the package that reaches a scheduler is not installed.
    """
    connection_string = environment.get(SETTING, "").strip()
    if connection_string:
        yield _scheduler(connection_string)
        return

    # Imported here: the hub is for development, and a deployed worker need not have it.
    from durable_sdk.hub import local_hub  # noqa: PLC0415

    with local_hub() as endpoint:
        options = {"host_address": endpoint, **_common_options()}
        yield TaskHub(
            connection_string=f"Endpoint={endpoint};Authentication=None",
            in_memory=True,
            worker=partial(TaskHubGrpcWorker, **options, logger=_logger("worker")),
            client=partial(TaskHubGrpcClient, **options, logger=_logger("client")),
        )


def _scheduler(connection_string: str) -> TaskHub:
    address = SchedulerAddress.parse(connection_string)
    try:
        from durabletask.azuremanaged.client import DurableTaskSchedulerClient  # noqa: PLC0415 - optional
        from durabletask.azuremanaged.worker import DurableTaskSchedulerWorker  # noqa: PLC0415 - optional
    except ImportError as error:
        raise ConnectionStringError(
            f"{SETTING} is set, but the package that it needs is not there: "
            "pip install -r requirements-sdk.txt"
        ) from error
    options = {
        "host_address": address.endpoint.rstrip("/"),
        "taskhub": address.task_hub,
        "token_credential": address.credential(),
        "secure_channel": address.endpoint.startswith("https://"),
        **_common_options(),
    }
    return TaskHub(
        connection_string=connection_string,
        in_memory=False,
        worker=partial(DurableTaskSchedulerWorker, **options, logger=_logger("worker")),
        client=partial(DurableTaskSchedulerClient, **options, logger=_logger("client")),
    )


def _common_options() -> dict[str, Any]:
    retry = {
        "maxAttempts": 5,
        "initialBackoff": "1s",
        "maxBackoff": "10s",
        "backoffMultiplier": 2,
        "retryableStatusCodes": ["UNAVAILABLE"],
    }
    waiting = [{"service": "TaskHubSidecarService", "method": method} for method in _WAITING_CALLS]
    # https://github.com/grpc/grpc/blob/master/doc/service_config.md: the most specific name applies.
    service_config: dict[str, Any] = {
        "methodConfig": [
            {"name": [{}], "timeout": f"{_CALL_SECONDS}s", "retryPolicy": retry},
            {"name": waiting, "retryPolicy": retry},
        ]
    }
    raw_options = [("grpc.service_config", json.dumps(service_config))]
    return {"channel_options": GrpcChannelOptions(raw_options=raw_options)}


def _logger(role: str) -> logging.Logger:
    logger = logging.getLogger(f"durabletask.{role}")
    logger.addFilter(_is_news)
    return logger


def _is_news(record: logging.LogRecord) -> bool:
    """Drop the warning that the SDK's worker writes about its own end, whenever it is stopped."""
    return "Locally cancelled by application" not in record.getMessage()


def _default_azure(client_id: str | None) -> Any:
    from azure.identity import DefaultAzureCredential  # noqa: PLC0415 - takes a third of a second

    return DefaultAzureCredential(managed_identity_client_id=client_id)


def _managed_identity(client_id: str | None) -> Any:
    from azure.identity import ManagedIdentityCredential  # noqa: PLC0415 - takes a third of a second

    return ManagedIdentityCredential(client_id=client_id)


def _none(_: str | None) -> None:
    """Return no credential: the emulator, and the hub in memory, ask for none."""


_PARTS = {
    "Endpoint": "endpoint",
    "Authentication": "authentication",
    "TaskHub": "task_hub",
    "ClientID": "client_id",
}
_CREDENTIALS: Mapping[str, Callable[[str | None], Any]] = {
    "none": _none,
    "defaultazure": _default_azure,
    "managedidentity": _managed_identity,
}
