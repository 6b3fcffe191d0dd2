"""Junk from the network: whatever comes, the host answers with a client's error and goes on."""

import gzip
import random
import re
import socket
from collections.abc import Generator
from pathlib import Path

import httpx
import pytest

from .hosts import APPS, WEBHOOKS, LocalHost, host_process

# A traceback of the host's own; one of a function is the app's affair.
_HOST_FAILED = re.compile(r'File ".*/((?<!e2e/)devhost|taskhub|aiohttp)/|Exception in callback')
_SEED = 20_261_113
_REQUESTS = 3_000

# A body that ends before its JSON does is 500 where an orchestration is started, in Azure too: none is here.
_BODIES: tuple[bytes, ...] = (
    b"",
    b" ",
    b"null",
    b"NaN",
    b'"\\ud800"',
    b'"\\u0000"',
    b"{]",
    b"truth",
    b"1" * 5_000,
    b"[" * 200_000,
    b'{"a":' * 100_000,
    b"\xff\xfe\x00",
    b'"\xed\xa0\x80"',
    b'"caf\xe9"',
    '"é"'.encode("utf-16"),
    '"é"'.encode(),
    b"\xef\xbb\xbf1",
    gzip.compress(b"1"),
    b'{"input": 1}',
    b'{"input": "\\ud800"}',
    b'{"input": [["x"]]}',
    b'"' + b"x" * 100_000 + b'"',
)
_CONTENT_TYPES: tuple[bytes, ...] = (
    b"application/json",
    b"application/json",
    b"text/plain",
    b"application/json; charset=nonsense",
    b"application/json; charset=utf-16",
    b"application/json; charset=utf-7",
    b"text/plain; charset=rot13",
    b"text/plain; charset=idna",
    b"text/plain; charset=unicode_escape",
    b"text/plain; charset=undefined",
    b"text/plain; charset=\xff",
    b'application/json; charset="',
    b"; ;/",
    b"multipart/form-data",
)
_WORDS = (
    "ended",
    "alive",
    "Counter",
    "Fail",
    "FanOut",
    "$",
    "@",
    "@counter@x",
    "x",
    "%00",
    "%0A",
    "%FF",
    "%ED%A0%80",
    "%2F",
    "%252F",
    "%",
    "a+b",
    "%20",
    "..",
    "%C3%A9",
    "y" * 3_000,
)
_VALUES = (
    "",
    "x",
    "99999999999999999999",
    "-99999999999999999999",
    "2147483648",
    "-1",
    "0",
    "1_0",
    "inf",
    "nan",
    "1e400",
    "-1e400",
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59-14:00",
    "2026-13-41",
    "Running,,Nonsense",
    "%FF",
    "%ED%A0%80",
    "%00",
    "true",
    "FALSE",
    "z" * 3_000,
)
_QUERIES = (
    "timeout=0.01&pollingInterval",
    "pollingInterval=0.01&timeout",
    "version",
    "top",
    "showHistory=true&showHistoryOutput",
    "showInput",
    "createdTimeFrom",
    "createdTimeFrom=2000-01-01&createdTimeTo",
    "runtimeStatus",
    "instanceIdPrefix",
    "lastOperationTimeFrom",
    "lastOperationTimeTo",
    "fetchState=true&top",
    "op",
    "reason",
    "taskHub",
    "code",
)
_PATHS = (
    f"{WEBHOOKS}/orchestrators/{{}}",
    f"{WEBHOOKS}/orchestrators/{{}}/{{}}",
    f"{WEBHOOKS}/instances",
    f"{WEBHOOKS}/instances/{{}}",
    f"{WEBHOOKS}/instances/{{}}/raiseEvent/{{}}",
    f"{WEBHOOKS}/instances/{{}}/terminate",
    f"{WEBHOOKS}/instances/{{}}/rewind",
    f"{WEBHOOKS}/instances/ended/restart",
    f"{WEBHOOKS}/instances/{{}}/{{}}",
    f"{WEBHOOKS}/entities",
    f"{WEBHOOKS}/entities/{{}}",
    f"{WEBHOOKS}/entities/Counter/{{}}",
    f"{WEBHOOKS}/entities/{{}}/{{}}",
    f"{WEBHOOKS}/{{}}",
    "/admin/host/{}",
    "/admin/functions/{}",
    "/admin/functions/echo",
    "/admin/functions/counter",
    "/{}/{}",
    "/",
)


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Generator[LocalHost]:
    """A host that demands keys, so that those are read from the junk too; the right one is in its client."""
    log = tmp_path_factory.mktemp("junk") / "log"
    with host_process(APPS / "durable", log, "--enable-auth") as host:
        host.ready()
        key = re.search(r"^Master key: (.+)$", host.output, re.MULTILINE)
        assert key
        host.http.headers["x-functions-key"] = key[1]
        host.end(host.start("Fail", "no luck", "ended"))
        host.until_status(host.start("WaitFor", "go", "alive"), "Running")
        yield host


def test_no_junk_is_answered_500_or_leaves_a_traceback(host: LocalHost) -> None:
    dice = random.Random(_SEED)  # noqa: S311 (the same junk each time)
    answers: dict[int, int] = {}
    quiet = len(host.output)
    for _ in range(_REQUESTS):
        request = _request(dice, host.http)
        answer = host.http.send(request)
        assert answer.status_code < 500, (request, request.headers, request.content[:99], answer.text)
        answers[answer.status_code] = answers.get(answer.status_code, 0) + 1
    got_through = min(answers.get(status, 0) for status in (200, 202, 400, 401, 404))
    assert got_through > 10, answers
    assert not _HOST_FAILED.search(host.output[quiet:])
    assert host.run("FanOut", 3) == 3


def _request(dice: random.Random, http: httpx.Client) -> httpx.Request:
    path = dice.choice(_PATHS)
    while "{}" in path:
        path = path.replace("{}", dice.choice(_WORDS), 1)
    query = "&".join(f"{dice.choice(_QUERIES)}={dice.choice(_VALUES)}" for _ in range(dice.randrange(3)))
    headers: list[tuple[bytes, bytes]] = [(b"Content-Type", dice.choice(_CONTENT_TYPES))]
    if dice.random() < 0.1:
        headers.append((b"x-ms-continuation-token", dice.choice((b"\xff", b"-1", b"9" * 30, b"x"))))
    if dice.random() < 0.1:
        headers.append((b"Content-Encoding", dice.choice((b"gzip", b"deflate", b"br", b"nonsense"))))
    if dice.random() < 0.05:
        headers.append((b"x-functions-key", dice.choice((b"\xff", b"wrong", b""))))
    method = dice.choice(("GET", "POST", "POST", "POST", "DELETE", "PUT", "OPTIONS", "HEAD", "PATCH"))
    return http.build_request(method, f"{path}?{query}", headers=headers, content=dice.choice(_BODIES))


@pytest.mark.parametrize(
    "text",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\nX-Large: " + b"x" * 9_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX-Large: " + b"x" * 70_000 + b"\r\n\r\n",
        b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n" + b"".join(b"X-%d: x\r\n" % n for n in range(2_000)) + b"\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX-Null: a\x00b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n",
        b"GET / HTTP/9.9\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET http://[::1 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET http://x:abc/ HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /admin/host/status\xff HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET " + WEBHOOKS.encode() + b"/instances/alive?x=\xff HTTP/1.1\r\nHost: \xff\r\n\r\n",
        b"BREW / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
        b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST /start/Fail HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST "
        + WEBHOOKS.encode()
        + b"/orchestrators/Fail HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nExpect: miracles\r\n\r\n",
    ],
)
def test_what_is_not_http_is_no_error_of_the_host(host: LocalHost, text: bytes) -> None:
    key = host.http.headers["x-functions-key"].encode()
    quiet = len(host.output)
    with socket.create_connection(("127.0.0.1", host.port), timeout=20) as connection:
        connection.sendall(text.replace(b"Host:", b"x-functions-key: " + key + b"\r\nHost:", 1))
        connection.settimeout(20)
        status = re.match(rb"HTTP/1\.\d (\d\d\d) ", connection.recv(65_536))
    assert status
    assert int(status[1]) < 500
    assert not _HOST_FAILED.search(host.output[quiet:])


def test_a_large_header_passes_as_in_azure(host: LocalHost) -> None:
    assert host.http.get("/admin/host/ping", headers={"X-Large": "x" * 20_000}).status_code == 200


def test_a_body_that_breaks_off_does_not_reach_a_function(host: LocalHost, tmp_path: Path) -> None:
    with socket.create_connection(("127.0.0.1", host.port), timeout=20) as connection:
        connection.sendall(b"POST /hold HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n" + bytes(tmp_path))
    assert httpx.get(host.http.base_url, trust_env=False).status_code == 200
    assert not any(tmp_path.iterdir())
