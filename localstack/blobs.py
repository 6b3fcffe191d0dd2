"""A look at what backups left in the emulator: `python -m localstack list` and `get BLOB`."""

import socket
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager

from azure.core.exceptions import AzureError, ResourceNotFoundError
from azure.storage.blob import ContainerClient

from localstack.azurite import Azurite
from localstack.errors import StackError, UsageError
from localstack.settings import STORAGE_SETTING, StackSettings, names_other_storage

_CONTAINER = "backups"


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
    """The container in the emulator, which is started for this alone if no stack runs at its port.

    Raises UsageError if the blobs are not in the emulator, or what was asked for is not among them.
    """
    if names_other_storage(environ):
        raise UsageError(f"{STORAGE_SETTING} names another storage: these commands read the emulator only.")
    emulator = Azurite(settings.emulator, settings.data)
    try:
        if not _listens(settings.emulator.blob):
            emulator.start()
        with ContainerClient.from_connection_string(
            emulator.connection_string, _CONTAINER, connection_timeout=5, read_timeout=30
        ) as container:
            yield container
    except ResourceNotFoundError as error:
        raise UsageError(f"Nothing there: {error.reason}") from error
    except AzureError as error:
        raise StackError(f"The emulator did not answer as it should: {error.message}") from error
    finally:
        emulator.stop()


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except OSError:
        return False
    return True
