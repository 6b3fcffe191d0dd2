"""Storage as it is on a bad day: a proxy between app and emulator that makes trouble on purpose.

with storage_proxy(azurite) as proxy, proxy.rule("/site/", sometimes(1, 0.2, Trouble.RESET)):
    ...  # an app whose storage is `proxy.connection_string`

Requests are signed over path and headers, not over the address they are sent to, so the emulator takes what
the proxy hands on. A rule sees every request whose path or query has some words in it, and says what happens
to it; what no rule is for goes through. A rule may also take its time: whoever waits for the answer waits.
"""

import http.client
import random
import re
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

from localstack.azurite import Azurite

_SECONDS = 30
_BROKEN_OFF = struct.pack("ii", 1, 0)  # SO_LINGER that turns a close into a reset


class Trouble(StrEnum):
    """What may happen to a request."""

    RESET = "the connection is reset, the request never arrives"
    REQUEST_CUT = "the request breaks off in its middle"
    DAMAGED = "a bit of the request's content is turned over on its way"
    ANSWER_CUT = "the work is done, the answer ends in its middle"
    ANSWER_RESET = "the work is done, the connection is reset in the middle of the answer"
    SLOW = "the answer comes late and in two pieces"
    BUSY = "503 ServerBusy"
    BUSY_FOR_5_SECONDS = "503 ServerBusy, with Retry-After: 5"
    BUSY_FOR_AN_HOUR = "503 ServerBusy, with Retry-After: 3600"
    TOO_MANY = "429 TooManyRequests"
    BUSY_PAGE = "503 with a page that is not the service's own"
    BUSY_SILENT = "503 without a body"
    INTERNAL = "500 InternalError"
    BEING_DELETED = "409 ContainerBeingDeleted"
    FORBIDDEN = "403 AuthorizationPermissionMismatch"
    FORGOTTEN = "201 Created, though nothing was done"


@dataclass(frozen=True, slots=True)
class Request:
    """A request to storage: `path` is decoded and has no query."""

    method: str
    path: str
    query: str


type Rule = Callable[[Request], Trouble | None]
"""Called in a thread of its own for every request; None lets it through."""


def always(trouble: Trouble) -> Rule:
    """A rule that lets nothing through."""
    return lambda _: trouble


def sometimes(seed: int, rate: float, *troubles: Trouble) -> Rule:
    """A rule that picks one of `troubles` for a share `rate` of the requests, the same on every run."""
    dice = random.Random(seed)  # noqa: S311 - trouble, no secret
    return lambda _: dice.choice(troubles) if dice.random() < rate else None


def at_first(times: int, trouble: Trouble) -> Rule:
    """A rule that makes `trouble` the first `times` times that a path is asked for."""
    asked: Counter[str] = Counter()

    def rule(request: Request) -> Trouble | None:
        asked[request.path] += 1
        return trouble if asked[request.path] <= times else None

    return rule


@contextmanager
def recorded(proxy: "Proxy", *words: str) -> Generator[list[Request]]:
    """The requests with any of `words` in them, as they come while the block runs; all go through."""
    requests: list[Request] = []
    with ExitStack() as rules:
        for each in words:
            rules.enter_context(proxy.rule(each, requests.append))
        yield requests


class Gate:
    """A rule that keeps requests of a `method` waiting until it opens."""

    def __init__(self, method: str) -> None:
        self._method = method
        self._reached = threading.Event()
        self._opened = threading.Event()

    def __call__(self, request: Request) -> None:
        if request.method == self._method:
            self._reached.set()
            self._opened.wait(_SECONDS)

    def wait_until_reached(self) -> None:
        """Return when a request waits at the gate."""
        assert self._reached.wait(_SECONDS)

    def open(self) -> None:
        """Let everything through from now on."""
        self._opened.set()


class Proxy:
    """A running proxy. `connection_string` is the emulator's, by way of the proxy."""

    def __init__(self) -> None:
        self.connection_string = ""
        self._rules: dict[str, Rule] = {}
        self._made: Counter[str] = Counter()

    @contextmanager
    def rule(self, words: str, rule: Rule) -> Generator[None]:
        """Put `rule` in force for requests with `words` in their path or query, while the block runs."""
        self._rules[words] = rule
        try:
            yield
        finally:
            del self._rules[words]

    def made(self, words: str) -> int:
        """How often the rule for `words` has made trouble, in all."""
        return self._made[words]

    def trouble_for(self, request: Request) -> Trouble | None:
        """What happens to `request`."""
        for words, rule in list(self._rules.items()):
            if words in request.path or words in request.query:
                trouble = rule(request)
                self._made[words] += trouble is not None
                return trouble
        return None


@contextmanager
def storage_proxy(azurite: Azurite) -> Generator[Proxy]:
    """A proxy in front of `azurite`'s blob service, on a free port of loopback."""
    proxy = Proxy()
    with _Server(("127.0.0.1", 0), partial(_Connection, proxy, azurite.ports.blob)) as server:
        endpoint, mine = (
            f"BlobEndpoint=http://127.0.0.1:{port}/" for port in (azurite.ports.blob, server.server_port)
        )
        proxy.connection_string = azurite.connection_string.replace(endpoint, mine)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield proxy
        finally:
            server.shutdown()
            thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # closing waits for every connection's end, so nothing is left behind
    request_queue_size = 128

    def shutdown_request(self, request: Any) -> None:
        self.close_request(request)  # without saying goodbye, which would spoil a reset

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that has gone away is no news here."""


class _Connection(BaseHTTPRequestHandler):
    """One connection of the app's; each of its requests gets one of its own to the emulator."""

    protocol_version = "HTTP/1.1"
    timeout = 90  # between two requests too: an app that has died must not keep the proxy up

    def __init__(self, proxy: Proxy, upstream_port: int, *arguments: Any) -> None:
        self._proxy = proxy
        self._upstream = http.client.HTTPConnection("127.0.0.1", upstream_port, timeout=_SECONDS)
        super().__init__(*arguments)  # which serves the connection to its end

    def setup(self) -> None:
        super().setup()
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def finish(self) -> None:
        self._upstream.close()
        super().finish()

    def do_PUT(self) -> None:
        self._serve()

    do_GET = do_HEAD = do_DELETE = do_POST = do_PUT  # noqa: N815 - the same

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name for it
        """Keep the tests' output to the tests."""

    def _serve(self) -> None:
        url = urlsplit(self.path)
        request = Request(self.command, unquote(url.path), unquote(url.query))
        content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        trouble = self._proxy.trouble_for(request)
        match trouble:
            case Trouble.RESET:
                self._reset()
            case Trouble.REQUEST_CUT:
                self._send_upstream(content[: len(content) // 2])
                self._upstream.close()
                self._reset()
            case Trouble.DAMAGED if content:
                self._damaged(content)
            case Trouble.ANSWER_CUT | Trouble.ANSWER_RESET:
                head, body = self._forward(content)
                self._write((head + body)[: -max(len(body) // 2, 1)])
                self.close_connection = True
                if trouble is Trouble.ANSWER_RESET:
                    self._reset()
            case Trouble.SLOW:
                head, body = self._forward(content)
                time.sleep(0.5)  # the trouble itself
                self._write((head + body)[:100])
                time.sleep(0.5)
                self._write((head + body)[100:])
            case Trouble() if trouble in _CANNED:
                self._write(*_answer(*_CANNED[trouble], head_only=self.command == "HEAD"))
            case _:
                self._write(*self._forward(content))

    def _damaged(self, content: bytes) -> None:
        """Hand on `content` with a bit turned over.

        What the emulator says to a wrong MD5 is its own invention; the service's code is Md5Mismatch.
        """
        middle = len(content) // 2
        damaged = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
        answer = self._forward(damaged)
        if b"InvalidOperation" in answer[1]:
            answer = _answer(*_refusal(400, "Md5Mismatch"))
        self._write(*answer)

    def _reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _BROKEN_OFF)
        self.close_connection = True

    def _write(self, *parts: bytes) -> None:
        self.wfile.write(b"".join(parts))

    def _send_upstream(self, content: bytes) -> None:
        self._upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            self._upstream.putheader(name, value)
        self._upstream.endheaders(content or None)

    def _forward(self, content: bytes) -> tuple[bytes, bytes]:
        """Let the emulator do the work; returns the head and the body of its answer."""
        self._send_upstream(content)
        answer = self._upstream.getresponse()
        body = answer.read()
        self._upstream.close()  # the next request opens it again; an idle one the emulator would close
        headers = {
            name: value
            for name, value in answer.getheaders()
            if not re.fullmatch("(?i)connection|keep-alive|transfer-encoding|content-length", name)
        }
        if self.command == "HEAD":
            headers["Content-Length"] = answer.getheader("Content-Length", "0")
            return _answer(answer.status, headers, b"", head_only=True)
        return _answer(answer.status, headers, body)


def _answer(
    status: int, headers: dict[str, str], body: bytes, head_only: bool = False
) -> tuple[bytes, bytes]:
    """The bytes of an answer, head and body; with `head_only` the length is whatever `headers` say."""
    length = {} if head_only and "Content-Length" in headers else {"Content-Length": str(len(body))}
    lines = [f"HTTP/1.1 {status} {http.client.responses[status]}"]
    lines += [f"{name}: {value}" for name, value in {**headers, **length}.items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1"), b"" if head_only else body


def _refusal(status: int, code: str, **more: str) -> tuple[int, dict[str, str], bytes]:
    """The service's error document, with `more` headers; an underscore stands for a hyphen."""
    text = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>Not now.</Message></Error>"
    headers = {"Content-Type": "application/xml", "x-ms-error-code": code}
    return status, headers | {name.replace("_", "-"): value for name, value in more.items()}, text.encode()


_CANNED: Mapping[Trouble, tuple[int, dict[str, str], bytes]] = {
    Trouble.BUSY: _refusal(503, "ServerBusy"),
    Trouble.BUSY_FOR_5_SECONDS: _refusal(503, "ServerBusy", Retry_After="5"),
    Trouble.BUSY_FOR_AN_HOUR: _refusal(503, "ServerBusy", Retry_After="3600"),
    Trouble.TOO_MANY: _refusal(429, "TooManyRequests"),
    Trouble.BUSY_PAGE: (503, {"Content-Type": "text/html"}, b"<html>Try again later</html>"),
    Trouble.BUSY_SILENT: (503, {}, b""),
    Trouble.INTERNAL: _refusal(500, "InternalError"),
    Trouble.BEING_DELETED: _refusal(409, "ContainerBeingDeleted"),
    Trouble.FORBIDDEN: _refusal(403, "AuthorizationPermissionMismatch"),
    Trouble.FORGOTTEN: (201, {"ETag": '"0x1"'}, b""),
}
"""Answers that the emulator has no part in."""
