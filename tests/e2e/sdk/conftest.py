"""Fixtures of the SDK's tests: an environment for its commands, and where their backups go."""

from collections.abc import Generator

import pytest
from azure.storage.blob import BlobServiceClient, ContainerClient

from durable_sdk.connection import SETTING
from localstack.azurite import Azurite
from localstack.settings import STORAGE_SETTING
from tests.e2e.sdk.commands import Worker, running_worker
from tests.e2e.support.apps import clean_environ


@pytest.fixture(scope="session")
def environ(azurite: Azurite, allowed_environ: dict[str, str]) -> dict[str, str]:
    """An environment with storage and without a scheduler: the task hub is in memory."""
    own = {name: value for name, value in clean_environ().items() if name != SETTING}
    return {**own, **allowed_environ, STORAGE_SETTING: azurite.connection_string}


@pytest.fixture(scope="session")
def worker(environ: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Generator[Worker]:
    """A worker with a task hub that tests share."""
    with running_worker(environ, tmp_path_factory.mktemp("sdk") / "worker.log") as worker:
        yield worker


@pytest.fixture(scope="session")
def blobs(azurite: Azurite) -> Generator[BlobServiceClient]:
    """The account that the backups are in."""
    with BlobServiceClient.from_connection_string(
        azurite.connection_string, connection_timeout=5, read_timeout=30
    ) as blobs:
        yield blobs


@pytest.fixture(scope="session")
def container(blobs: BlobServiceClient) -> ContainerClient:
    """Where the backups are."""
    return blobs.get_container_client("backups")
