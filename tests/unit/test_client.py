"""The commands' HTTP client against a host that has troubles of its own, and what it makes of a failure."""

import json
import socket
import struct
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest

from localstack.client import Document, failure
from tests.e2e.support.client import WaitingClient

RUNNING: Document = {"runtimeStatus": "Running", "output": None}
COMPLETED: Document = {"runtimeStatus": "Completed", "output": 7}
RESET, HANG_UP = "reset", "hang up"

type Answer = int | str | Document


class FlakyHost(ThreadingHTTPServer):
    """A host that gives one of `answers` to each request; its port refuses connections until `listen`."""

    daemon_threads = True

    def __init__(self, answers: Iterator[Answer]) -> None:
        super().__init__(("127.0.0.1", 0), Handler, bind_and_activate=False)
        self.answers = answers
        self._serving = threading.Thread(target=self.serve_forever, args=(0.01,))
        self.server_bind()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def listen(self) -> None:
        """Take requests from now on."""
        self.server_activate()
        self._serving.start()

    def server_close(self) -> None:
        """Stop taking requests and free the port."""
        if self._serving.is_alive():
            self.shutdown()
        super().server_close()


class Handler(BaseHTTPRequestHandler):
    """Gives the next answer: a document, a bare status, a connection that is reset or that just ends."""

    def do_GET(self) -> None:
        assert isinstance(self.server, FlakyHost)
        match next(self.server.answers):
            case int(status):
                self.send_error(status)
            case dict() as document:
                self.send_response(200 if document["output"] is not None else 202)
                self.end_headers()
                self.wfile.write(json.dumps(document).encode())
            case answer:
                if answer == RESET:
                    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Say nothing."""


@contextmanager
def flaky_host(*answers: Answer) -> Generator[tuple[FlakyHost, WaitingClient, Document]]:
    """A host, its client, and what the client got for a run that it started there."""
    with FlakyHost(iter(answers)) as host, WaitingClient(host.url) as client:
        yield host, client, {"statusQueryGetUri": f"{host.url}/status"}


def test_no_trouble_of_the_host_ends_the_waiting_for_a_run() -> None:
    with flaky_host(RUNNING, 500, RESET, HANG_UP, 503, RUNNING, 502, COMPLETED) as (host, client, started):
        with pytest.raises(httpx.ConnectError):
            client.status(started)
        threading.Timer(0.5, host.listen).start()

        assert client.wait(started, 30) == COMPLETED
        assert list(host.answers) == []


def test_a_host_that_stays_in_trouble_is_waited_for_as_long_as_there_is_time_and_no_longer() -> None:
    with flaky_host(RUNNING, *[500] * 1_000) as (host, client, started):
        host.listen()
        with pytest.raises(TimeoutError, match="within 1 s"):
            client.wait(started, 1)


def test_a_host_that_never_answers_is_waited_for_as_long_as_there_is_time_and_no_longer() -> None:
    with (
        flaky_host() as (_, client, started),
        pytest.raises(TimeoutError, match="has not answered within 1 s"),
    ):
        client.wait(started, 1)


def test_while_a_host_is_in_trouble_the_last_document_comes_again() -> None:
    with flaky_host(RUNNING, 500, RESET, COMPLETED) as (host, client, started):
        host.listen()
        assert list(client.follow(started, 0.01)) == [RUNNING, RUNNING, RUNNING, COMPLETED]


def test_a_run_that_the_host_does_not_know_is_not_waited_for() -> None:
    with flaky_host(RUNNING, 404) as (host, client, started):
        host.listen()
        with pytest.raises(httpx.HTTPStatusError, match="404"):
            client.wait(started, 30)


@pytest.mark.parametrize(
    ("status", "output", "words"),
    [
        ("Failed", "sitebackup.errors.BackupFailedError: /srv: not there", "/srv: not there"),
        ("Failed", "KeyError: 'a: b'", "'a: b'"),
        ("Failed", "TimeoutError: ", "TimeoutError: "),
        ("Failed", "3 of 4 files: lost", "3 of 4 files: lost"),
        ("Terminated", "upgrade: on Monday", "upgrade: on Monday"),
        ("Failed", None, "None"),
    ],
)
def test_a_failure_is_told_without_the_type_that_hosts_put_in_front(
    status: str, output: str | None, words: str
) -> None:
    assert failure({"runtimeStatus": status, "output": output}) == words
