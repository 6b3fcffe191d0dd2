"""Settings -> a connection to a storage account."""

import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from azure.storage.blob.aio import BlobServiceClient

from sitebackup.blobs.azure import AzureContainer
from sitebackup.blobs.requests import BlobRequests
from sitebackup.blobs.retries import Outage, Retries
from sitebackup.blobs.slots import Slots
from sitebackup.errors import FatalError

CONNECT_TIMEOUT = 10
"""Seconds."""

READ_TIMEOUT = 60
"""Seconds without a byte from storage."""

RETRIES = 3
"""Times that the client tries a request again, unless it is told otherwise."""

# The client logs every request and every retry at INFO; a backup of a million files is a million requests.
logging.getLogger("azure").setLevel(logging.WARNING)


type Options = Callable[[], dict[str, Any]]
"""Gives the options of a pipeline of requests."""


class Storage:
    """A connection to one storage account; make one a process and close it."""

    def __init__(self, service: BlobServiceClient, options: Options, credential: Any = None) -> None:
        self._service = service
        self._requests = BlobRequests(service, **options())
        self._credential = credential

    @property
    def url(self) -> str:
        """Where it is; never with a secret in it."""
        return self._service.url.partition("?")[0]

    def container(self, name: str) -> AzureContainer:
        """Return the container `name`, which need not exist yet."""
        return AzureContainer(self._service.get_container_client(name), self._requests)

    async def close(self) -> None:
        """Close the connections of the clients."""
        await self._service.close()
        await self._requests.close()
        if self._credential is not None:
            await self._credential.close()


def connect(environment: Mapping[str, str], retries: int = RETRIES, slots: Slots | None = None) -> Storage:
    """Connect to the account that `BackupStorage` names, or else `AzureWebJobsStorage`.

    Either is a connection string, or the identity form that Azure Functions has for it:
    `<name>__blobServiceUri` or `<name>__accountName`, and `<name>__clientId` for a user-assigned identity
    (https://learn.microsoft.com/azure/azure-functions/functions-reference#configure-an-identity-based-connection).

    `slots` learn of every answer, and while a request waits for its next try, another takes its slot.

    Raises `FatalError` when neither is configured or one cannot be read.
    """
    # Two pipelines, each with a policy of its own, learn of one outage.
    options = partial(_client_options, retries, Outage(), slots or Slots(1))
    for name in ("BackupStorage", "AzureWebJobsStorage"):
        if connection_string := environment.get(name, "").strip():
            return _by_connection_string(name, connection_string, options)
        if uri := _service_uri(environment, name):
            return _by_identity(uri, environment.get(f"{name}__clientId"), options)
    raise FatalError("AzureWebJobsStorage is not configured.")


def _service_uri(environment: Mapping[str, str], name: str) -> str | None:
    account = environment.get(f"{name}__accountName")
    return environment.get(f"{name}__blobServiceUri") or (
        f"https://{account}.blob.core.windows.net" if account else None
    )


def _by_connection_string(name: str, connection_string: str, options: Options) -> Storage:
    try:
        service = BlobServiceClient.from_connection_string(connection_string, **options())
    except ValueError as error:  # its text quotes no part of the string, but a later version's might
        raise FatalError(f"{name} is not a valid connection string.") from error
    return Storage(service, options)


def _by_identity(uri: str, client_id: str | None, options: Options) -> Storage:
    # Imported here: it takes a third of a second, which a connection string never needs.
    from azure.identity.aio import DefaultAzureCredential  # noqa: PLC0415

    credential = DefaultAzureCredential(managed_identity_client_id=client_id)
    service = BlobServiceClient(uri, credential=credential, **options())
    return Storage(service, options, credential)


def _client_options(retries: int, outage: Outage, slots: Slots) -> dict[str, Any]:
    return {
        "connection_timeout": CONNECT_TIMEOUT,
        "read_timeout": READ_TIMEOUT,
        # The transport would look for ~/.netrc, in a thread, at every request, and use what it finds there.
        "use_env_settings": False,
        "retry_policy": Retries(retries, outage, slots),
    }
