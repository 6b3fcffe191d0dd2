"""The app, running, and how to reach it: in a stack of the tests' own, or behind HOST_URL."""

import json
import os
import socket
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import httpx
import psutil
from azure.storage.blob import BlobServiceClient, ContainerClient

from localstack.azurite import Azurite
from localstack.client import Document
from localstack.host import Host
from localstack.settings import STORAGE_SETTING, StackSettings
from tests.e2e.support.client import WaitingClient

_OWN_SETTINGS = ("PORT", "AZURITE_", STORAGE_SETTING, "BackupStorage", "BACKUP_", "FUNCTIONS_", "MAKE")


@dataclass(frozen=True, slots=True)
class RunningApp:
    """An app at `base_url` with its storage. `host` is None if the tests did not start it (HOST_URL)."""

    base_url: str
    connection_string: str
    client: WaitingClient
    blobs: BlobServiceClient
    host: Host | None

    @property
    def container(self) -> ContainerClient:
        """Where the backups are."""
        return self.blobs.get_container_client("backups")

    def back_up(self, root: object, timeout: float = 60) -> Document:
        """Run a backup of `root` to its end, within `timeout` seconds; returns the final status document."""
        return self.client.wait(self.client.start(str(root)), timeout)

    def workers(self) -> list[psutil.Process]:
        """The processes that run its functions, without those that have just died."""
        assert self.host is not None
        workers: list[psutil.Process] = []
        for child in psutil.Process(self.host.pid).children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                if "devhost.worker_main" in child.cmdline():
                    workers.append(child)
        return workers

    def start(self, function: str, request: object) -> httpx.Response:
        """POST `request`, as JSON, to start the orchestrator `function`; returns whatever the app answers."""
        url = f"{self.base_url}/orchestrators/{function}"
        body = json.dumps(request)  # ASCII, so that a name that is not UTF-8 can be sent too
        headers = {"Content-Type": "application/json"}
        return httpx.post(url, content=body, headers=headers, timeout=30, trust_env=False)

    def run(self, function: str, request: object, timeout: float = 60) -> Document:
        """Run the orchestrator `function` to its end, as `back_up` does."""
        return self.client.wait(self.start(function, request).raise_for_status().json(), timeout)


@contextmanager
def running_app(
    azurite: Azurite, environ: Mapping[str, str], *, crash_limit: bool = True
) -> Generator[RunningApp]:
    """The app on a free port with `azurite` as its storage and `environ` on top of a clean environment."""
    settings = {**clean_environ(), STORAGE_SETTING: azurite.connection_string, **environ}
    with (
        Host(0, settings, quiet=True, crash_limit=crash_limit) as host,
        _reach(host.base_url, azurite.connection_string, host) as app,
    ):
        yield app


@contextmanager
def app_elsewhere(base_url: str) -> Generator[RunningApp]:
    """An app that runs already; its storage is what AzureWebJobsStorage says, else the emulator."""
    default = StackSettings.from_environ(os.environ).emulator.connection_string
    with _reach(base_url, os.environ.get(STORAGE_SETTING, default), None) as app:
        yield app


@contextmanager
def _reach(base_url: str, connection_string: str, host: Host | None) -> Generator[RunningApp]:
    with (
        WaitingClient(base_url) as client,
        BlobServiceClient.from_connection_string(
            connection_string, connection_timeout=5, read_timeout=30
        ) as blobs,
    ):
        yield RunningApp(base_url, connection_string, client, blobs, host)


def clean_environ() -> dict[str, str]:
    """The environment without the settings of a stack that its owner may have made for the command line."""
    return {name: value for name, value in os.environ.items() if not name.startswith(_OWN_SETTINGS)}


def free_port() -> int:
    """A port of 127.0.0.1 that nothing listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
