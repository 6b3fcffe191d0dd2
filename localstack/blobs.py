"""A look at what backups left in the emulator: `python -m localstack list` and `get BLOB`."""

import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager

from azure.core.exceptions import AzureError, ResourceNotFoundError
from azure.storage.blob import ContainerClient

from localstack.azurite import reachable_emulator
from localstack.errors import StackError, UsageError
from localstack.settings import (
    BACKUP_STORAGE_SETTING,
    STORAGE_SETTING,
    StackSettings,
    names_other_backup_storage,
)
from sitebackup.names import BACKUPS_CONTAINER


def list_blobs(settings: StackSettings, environ: Mapping[str, str]) -> int:
    """Write one line per blob, its size in bytes and its name; returns the exit code 0."""
    with _backups(settings, environ) as container:
        for blob in container.list_blobs():
            sys.stdout.write(f"{blob.size:>15,}  {blob.name}\n")
    return 0


def get_blob(name: str, settings: StackSettings, environ: Mapping[str, str]) -> int:
    """Write the content of the blob `name` to standard output; returns the exit code 0."""
    with _backups(settings, environ) as container:
        container.download_blob(name).readinto(sys.stdout.buffer)
    return 0


@contextmanager
def _backups(settings: StackSettings, environ: Mapping[str, str]) -> Generator[ContainerClient]:
    """The container in the emulator.

    Raises UsageError if the blobs are not in the emulator, or what was asked for is not among them.
    """
    if names_other_backup_storage(environ):
        raise UsageError(
            f"{STORAGE_SETTING} or {BACKUP_STORAGE_SETTING} names another storage: "
            "these commands read the emulator only."
        )
    try:
        with (
            reachable_emulator(settings) as connection_string,
            ContainerClient.from_connection_string(
                connection_string, BACKUPS_CONTAINER, connection_timeout=5, read_timeout=30
            ) as container,
        ):
            yield container
    except ResourceNotFoundError as error:
        raise UsageError(f"Nothing there: {error.reason}") from error
    except AzureError as error:
        raise StackError(f"The emulator did not answer as it should: {error.message}") from error
