"""The app's HTTP interface as a caller sees it: start a backup, follow it to its end."""

import json
import time
from collections.abc import Iterator
from typing import Any, Self

import httpx

_TERMINAL = frozenset({"Completed", "Failed", "Terminated", "Canceled"})

type Document = dict[str, Any]
"""A JSON object as the host sent it: a management payload or a status document."""


class RefusedError(Exception):
    """The app did not start the backup. `status` is the HTTP status, the message is the app's."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class BackupClient:
    """A caller of the app at `base_url`; a context manager that closes its connections.

    Every request gets 30 s; httpx.HTTPError says what went wrong with one.
    """

    def __init__(self, base_url: str) -> None:
        # Proxies of the environment are for the world outside; the host is on this machine.
        self._http = httpx.Client(base_url=base_url, timeout=30, trust_env=False)

    def start(self, root: str) -> Document:
        """Start a backup of the directory `root`; returns the management payload of the orchestration.

        Raises RefusedError if the app says what is wrong with the request.
        """
        answer = self._http.post(
            "/orchestrators/E2_BackupSiteContent",
            content=json.dumps(root),  # ASCII, so that a name that is not UTF-8 can be sent too
            headers={"Content-Type": "application/json"},
        )
        if answer.is_client_error:
            raise RefusedError(answer.status_code, _reason(answer))
        answer.raise_for_status()
        return answer.json()

    def status(self, started: Document) -> Document:
        """The present status document of what `start` returned."""
        answer = self._http.get(started["statusQueryGetUri"])
        answer.raise_for_status()
        return answer.json()

    def follow(self, started: Document, interval: float = 0.2, patience: float = 60) -> Iterator[Document]:
        """Status documents, one every `interval` seconds; the last one is that of the end.

        Goes on asking through 5xx answers and through connections that are refused or break: they say nothing
        about the run. Azure's host answers 500 while the storage of its task hub is away. Meanwhile the last
        document comes again, so that the caller can look at other things. Raises httpx.HTTPError when that
        lasts longer than `patience` seconds, and at once for any other answer than a document.
        """
        document: Document | None = None
        answered = time.monotonic()
        while True:
            try:
                document = self.status(started)
                answered = time.monotonic()
            except httpx.HTTPError as error:
                if not _may_pass(error) or time.monotonic() - answered > patience:
                    raise
            if document is not None:
                yield document
                if document["runtimeStatus"] in _TERMINAL:
                    return
            time.sleep(interval)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()


def failure(document: Document) -> str:
    """What a final status document says of a run that did not complete, in words.

    The output of a failed run is `ErrorType: message`, in Azure as on this machine; the type is for programs.
    """
    output = str(document["output"])
    error_type, _, message = output.partition(": ")
    is_type = document["runtimeStatus"] == "Failed" and error_type.replace(".", "").isidentifier()
    return message if is_type and message else output


def _may_pass(error: httpx.HTTPError) -> bool:
    """Whether it is trouble of the host or of the connection, not of the question."""
    if isinstance(error, httpx.HTTPStatusError):
        return error.response.is_server_error
    return isinstance(error, httpx.TransportError)


def _reason(answer: httpx.Response) -> str:
    """The message of an error document, or the bare status where a host sends none."""
    try:
        return str(answer.json()["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return f"The host answered {answer.status_code} {answer.reason_phrase}."
