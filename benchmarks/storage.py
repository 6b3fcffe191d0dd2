"""Where backups go while they are measured: the emulator, all in memory, or the service that forgets."""

import os
import sys
from collections.abc import Generator
from contextlib import contextmanager

from azure.storage.blob import ContainerClient

from benchmarks.saved_tree import SavedTree
from localstack.azurite import Azurite
from localstack.child import Child
from localstack.settings import PROJECT, EmulatorPorts
from sitebackup.names import BACKUPS_CONTAINER, CATALOG_CONTAINER, HISTORY_CONTAINER, RUNS_CONTAINER

_START_SECONDS = 30


class Emulator:
    """A running emulator. It keeps all that it gets in memory: `forget` it before the next run."""

    def __init__(self, azurite: Azurite) -> None:
        self._azurite = azurite
        self._create_container()

    @property
    def connection_string(self) -> str:
        """How to reach it, for as long as it runs."""
        return self._azurite.connection_string

    def forget(self) -> None:
        """Start it anew: with one container, for the backups, and nothing in it."""
        self._azurite.stop()
        self._azurite.start()
        self._create_container()

    def _create_container(self) -> None:
        with ContainerClient.from_connection_string(self.connection_string, BACKUPS_CONTAINER) as container:
            container.create_container(timeout=_START_SECONDS)


@contextmanager
def emulator() -> Generator[Emulator]:
    """Run an emulator that keeps its blobs in memory."""
    with Azurite(EmulatorPorts(0, 0, 0), None) as azurite:
        yield Emulator(azurite)


class NullService:
    """A running service that forgets content. What it knows of blobs, it knows until it is to `forget` it."""

    def __init__(self, port: int) -> None:
        self.connection_string = EmulatorPorts(port, port, port).connection_string

    def forget(self) -> None:
        """Have no container any more, and nothing in one."""
        for name in (BACKUPS_CONTAINER, HISTORY_CONTAINER, CATALOG_CONTAINER, RUNS_CONTAINER):
            with ContainerClient.from_connection_string(self.connection_string, name) as container:
                container.delete_container()


@contextmanager
def null_service(delay_ms: float = 0, saved: SavedTree | None = None) -> Generator[NullService]:
    """Run a service that forgets, each answer `delay_ms` late.

    The blobs of a `saved` tree are there from the beginning.
    """
    command = [sys.executable, "-m", "benchmarks.null_service", "--delay-ms", str(delay_ms)]
    if saved is not None:
        command += ["--saved", saved.to_argument()]
    service = Child.start("The null blob service", command, cwd=PROJECT, environ=os.environ, quiet=True)
    try:
        service.wait_until(lambda: service.output().endswith("\n"), _START_SECONDS)
        yield NullService(int(service.output()))
    finally:
        service.stop()
