"""The local Functions host with this app, as a context manager."""

import re
import sys
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Self

import httpx

from localstack.child import Child, ensure_port_is_free
from localstack.errors import StackError
from localstack.settings import PROJECT

_START_SECONDS = 60.0


_URL = re.compile(r"http://localhost:(\d+)/")


class Host:
    """An app behind `base_url`, in an environment that is handed to it whole."""

    def __init__(
        self,
        port: int,
        environ: Mapping[str, str],
        *,
        quiet: bool,
        app: Path = PROJECT,
        crash_limit: bool = True,
    ) -> None:
        """`port` 0 is for a quiet host: it takes a free one, and keeps it. `app` has an HTTP function.

        Without `crash_limit` the host goes on however often its workers crash.
        """
        self._port = port
        self._environ = environ
        self._quiet = quiet
        self._app = app
        self._crash_limit = crash_limit
        self._child: Child | None = None

    @property
    def port(self) -> int:
        """Where it serves, on loopback. 0 while that is not known."""
        if self._port == 0 and (address := _URL.search(self.output())):
            self._port = int(address[1])
        return self._port

    @property
    def base_url(self) -> str:
        """The URL of `port`."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """Its process id; the workers are its descendants."""
        return self._running.pid

    def start(self) -> None:
        """Start it and return when it serves the app.

        Raises UsageError for a busy port, StackError with the host's own words if it does not come up.
        """
        ensure_port_is_free(self._port, "PORT")
        command = [
            sys.executable,
            "-m",
            "devhost",
            "start",
            "--app",
            str(self._app),
            "--port",
            str(self._port),
        ]
        if not self._crash_limit:
            command.append("--no-crash-limit")
        self._child = Child.start(
            "The Functions host", command, cwd=PROJECT, environ=self._environ, quiet=self._quiet
        )
        try:
            self._child.wait_until(self._serves, _START_SECONDS)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop it, if it runs."""
        if self._child is not None:
            self._child.stop()
            self._child = None

    def ensure_alive(self) -> None:
        """Raise StackError if it has ended by itself; a quiet one's last output is in the message."""
        self._running.ensure_alive()

    def output(self) -> str:
        """What a quiet host and its workers have written so far; empty for any other."""
        return self._running.output()

    def failure(self, what: str) -> StackError:
        """An error that says `what` is wrong with it and what it said last."""
        return self._running.failure(what)

    @property
    def _running(self) -> Child:
        if self._child is None:
            raise RuntimeError("The host has not been started.")
        return self._child

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _serves(self) -> bool:
        try:
            answer = httpx.get(f"{self.base_url}/admin/host/status", timeout=5, trust_env=False)
        except httpx.TransportError:
            return False
        return answer.status_code == HTTPStatus.OK and answer.json().get("state") == "Running"
