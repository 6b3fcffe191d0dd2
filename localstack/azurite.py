"""Azurite, the storage emulator that npm installs, as a context manager."""

import fcntl
import os
import re
import shutil
import socket
import sys
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Self

import httpx

from localstack.child import Child, ensure_port_is_free
from localstack.errors import StackError, UsageError
from localstack.settings import PROJECT, EmulatorPorts, StackSettings

_PROGRAM = PROJECT / "node_modules/.bin/azurite"
_INDEXES = PROJECT / "localstack/azurite_indexes.js"  # loaded ahead of the program
_START_SECONDS = 60.0  # reading a large data folder takes its time

# One line per service, written once the socket listens: that is how the choice for port 0 becomes known.
_LISTENING = re.compile(
    r"Azurite (Blob|Queue|Table) service is successfully listening at http://127\.0\.0\.1:(\d+)"
)


class Azurite:
    """An emulator on loopback with its blobs in `data`, or in memory if that is None.

    It may be started again after a stop, on the ports that it had and with the blobs that it kept.
    """

    def __init__(self, ports: EmulatorPorts, data: Path | None) -> None:
        self.ports = ports
        self._data = data
        self._resources = ExitStack()
        self._child: Child | None = None

    @property
    def connection_string(self) -> str:
        """How to reach it; its ports are final once it has started."""
        return self.ports.connection_string

    def start(self) -> None:
        """Start it and return when its three services answer.

        Raises UsageError for a busy port or a data folder in use, StackError if it does not come up.
        """
        node = shutil.which("node")
        if node is None or not _PROGRAM.exists():
            raise StackError(
                "Node or the emulator is missing: 'make setup' installs it, or says what it needs."
            )
        for service, port in _by_service(self.ports).items():
            ensure_port_is_free(port, f"AZURITE_{service.upper()}_PORT")
        with ExitStack() as resources:
            self._hold_data_folder(resources)
            child = Child.start("Azurite", self._command(node), cwd=PROJECT, environ=os.environ, quiet=True)
            resources.callback(child.stop)
            child.wait_until(lambda: self._answers(child), _START_SECONDS)
            _repeat_warning(child)
            self._child = child
            self._resources = resources.pop_all()

    def stop(self) -> None:
        """Stop it, if it runs. What `data` held stays there."""
        self._child = None
        self._resources.close()

    def ensure_alive(self) -> None:
        """Raise StackError with its last output if it has ended by itself."""
        if self._child is None:
            raise RuntimeError("The emulator has not been started.")
        self._child.ensure_alive()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _command(self, node: str) -> list[str]:
        ports = [f"--{service.lower()}Port={port}" for service, port in _by_service(self.ports).items()]
        storage = ["--inMemoryPersistence"] if self._data is None else ["--location", str(self._data)]
        # The SDK may be ahead of the emulator's list of API versions.
        return [
            node,
            "--require",
            str(_INDEXES),
            str(_PROGRAM),
            "--skipApiVersionCheck",
            "--disableTelemetry",
            "--silent",
            *ports,
            *storage,
        ]

    def _hold_data_folder(self, resources: ExitStack) -> None:
        """Keep other emulators out until the stop: two on one folder overwrite each other's database."""
        if self._data is None:
            return
        self._data.mkdir(parents=True, exist_ok=True)
        lock = resources.enter_context((self._data / "lock").open("w"))
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(
                f"{self._data} is in use by another stack. "
                "Stop it, or choose another folder with AZURITE_DATA=PATH."
            ) from None

    def _answers(self, child: Child) -> bool:
        listening = dict(_LISTENING.findall(child.output()))
        if len(listening) < 3:
            return False
        self.ports = EmulatorPorts(*(int(listening[service]) for service in ("Blob", "Queue", "Table")))
        return all(_answers_http(port) for port in _by_service(self.ports).values())


@contextmanager
def reachable_emulator(settings: StackSettings) -> Generator[str]:
    """The connection string of an emulator: of the stack that runs at its port, or of one for this alone."""
    emulator = Azurite(settings.emulator, settings.data)
    try:
        if not _listens(settings.emulator.blob):
            emulator.start()
        yield emulator.connection_string
    finally:
        emulator.stop()


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except OSError:
        return False
    return True


def _repeat_warning(child: Child) -> None:
    """Pass on what `_INDEXES` says of a version that it does not know: a quiet child is not heard."""
    for line in child.output().splitlines():
        if _INDEXES.name in line:
            sys.stderr.write(f"{line}\n")


def _by_service(ports: EmulatorPorts) -> dict[str, int]:
    return {"Blob": ports.blob, "Queue": ports.queue, "Table": ports.table}


def _answers_http(port: int) -> bool:
    """Any answer will do: the root of an emulator is an error document."""
    try:
        httpx.get(f"http://127.0.0.1:{port}/", timeout=5, trust_env=False)
    except httpx.TransportError:
        return False
    return True
