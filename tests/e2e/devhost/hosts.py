"""Local hosts for the tests: real processes, on ports of their own, gone at the end."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import httpx
import psutil

APPS = Path(__file__).parent / "apps"
PROJECT = Path(__file__).resolve().parents[3]
WEBHOOKS = "/runtime/webhooks/durabletask"
TERMINAL = {"Completed", "Failed", "Terminated"}


def until[T](probe: Callable[[], T | None], seconds: float = 20.0) -> T:
    """Polls until `probe` gives something true; what it then gives."""
    deadline = time.monotonic() + seconds
    while True:
        result = probe()
        if result:
            return result
        assert time.monotonic() < deadline, f"not within {seconds} s: {probe}"
        time.sleep(0.02)


class LocalHost:
    """A host process. `http` talks to it once it is ready."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self.log = log
        self.http = httpx.Client(trust_env=False)

    @property
    def output(self) -> str:
        """All that host and workers wrote, to standard output and error alike."""
        return self.log.read_text()

    @property
    def workers(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def ready(self) -> Self:
        """Waits until the host serves."""

        def probe() -> re.Match[str] | None:
            assert self.process.poll() is None, self.output
            return re.search(r"Functions:[\s\S]*http://localhost:(\d+)", self.output)

        self.http = httpx.Client(base_url=f"http://127.0.0.1:{until(probe)[1]}", timeout=30, trust_env=False)
        return self

    @property
    def port(self) -> int:
        port = self.http.base_url.port
        assert port is not None
        return port

    # Orchestrations, by the management API

    def start(self, name: str, argument: Any = None, instance_id: str = "") -> str:
        """Starts an orchestration; gives its instance ID."""
        path = f"{WEBHOOKS}/orchestrators/{name}/{instance_id}".rstrip("/")
        # ASCII: a lone surrogate can be sent too.
        headers = {"Content-Type": "application/json"}
        answer = self.http.post(path, content=json.dumps(argument), headers=headers)
        assert answer.status_code == 202, answer.text
        return answer.json()["id"]

    def status(self, instance_id: str, **query: str) -> dict[str, Any]:
        answer = self.http.get(f"{WEBHOOKS}/instances/{instance_id}", params=query)
        assert answer.status_code in {200, 202}, answer.text
        return answer.json()

    def post(self, instance_id: str, operation: str, **query: str) -> int:
        """Steers an instance; gives the HTTP status."""
        return self.http.post(f"{WEBHOOKS}/instances/{instance_id}/{operation}", params=query).status_code

    def raise_event(self, instance_id: str, event: str, data: Any) -> None:
        path = f"{WEBHOOKS}/instances/{instance_id}/raiseEvent/{event}"
        answer = self.http.post(path, content=json.dumps(data), headers={"Content-Type": "application/json"})
        assert answer.status_code == 202, answer.text

    def until_status(self, instance_id: str, *wanted: str) -> dict[str, Any]:
        """Waits for one of these statuses; gives the status document."""

        def probe() -> dict[str, Any] | None:
            answer = self.http.get(f"{WEBHOOKS}/instances/{instance_id}")
            if answer.status_code == 404:
                return None  # not started yet
            document = answer.json()
            return document if document["runtimeStatus"] in wanted else None

        return until(probe)

    def end(self, instance_id: str) -> dict[str, Any]:
        """Waits for the end; gives the status document."""
        return self.until_status(instance_id, *TERMINAL)

    def run(self, name: str, argument: Any = None) -> Any:
        """Runs an orchestration to its end; gives its output."""
        document = self.end(self.start(name, argument))
        assert document["runtimeStatus"] == "Completed", document
        return document["output"]


@contextmanager
def host_process(
    app: Path, log: Path, *arguments: str, environment: Mapping[str, str] | None = None
) -> Generator[LocalHost]:
    """Starts a host for an app on a free port; it need not get ready. Whatever is left of it is killed."""
    command = [sys.executable, "-m", "devhost", "start", "--app", str(app), "--port", "0", *arguments]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("FUNCTIONS_")}
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 (this project's own command)
            command, cwd=PROJECT, stdout=output, stderr=output, env={**clean, **(environment or {})}
        )
    host = LocalHost(process, log)
    try:
        yield host
    finally:
        host.http.close()
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(12)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise


def copy_app(name: str, directory: Path, host_json: str) -> Path:
    """A sample app with another host.json."""
    app = directory / "app"
    shutil.copytree(APPS / name, app, ignore=shutil.ignore_patterns("__pycache__"))
    (app / "host.json").write_text(host_json)
    return app
