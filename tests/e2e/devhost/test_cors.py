"""Cross-origin requests: what a browser needs to hear before it lets a page of another site call the app."""

import pytest

from devhost.cors import headers
from devhost.settings import Cors

from .hosts import WEBHOOKS, LocalHost

_PREFLIGHT = {"Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "x-one, x-two"}


@pytest.mark.parametrize("path", ["/api/items/12", "/api/nowhere", f"{WEBHOOKS}/instances", "/"])
def test_a_preflight_is_answered_by_the_host(web: LocalHost, path: str) -> None:
    answer = web.http.options(path, headers={"Origin": "https://one.example", **_PREFLIGHT})
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["access-control-allow-origin"] == "https://one.example"
    assert answer.headers["access-control-allow-methods"] == "PUT"
    assert answer.headers["access-control-allow-headers"] == "x-one, x-two"
    assert answer.headers["access-control-allow-credentials"] == "true"


@pytest.mark.parametrize("path", ["/api/items/12", "/api/broken", "/api/nowhere", "/admin/host/ping"])
def test_every_answer_names_the_origin_that_may_read_it(web: LocalHost, path: str) -> None:
    answer = web.http.get(path, headers={"Origin": "https://two.example"})
    assert answer.headers["access-control-allow-origin"] == "https://two.example"
    assert answer.headers["vary"] == "Origin"


def test_another_origin_learns_nothing(web: LocalHost) -> None:
    origin = {"Origin": "https://three.example"}
    preflight = web.http.options("/api/items/12", headers={**origin, **_PREFLIGHT})
    assert preflight.status_code == 204
    for answer in (preflight, web.http.get("/api/items/12", headers=origin), web.http.get("/api/items/12")):
        assert not [name for name in answer.headers if name.startswith("access-control")]


def test_an_options_request_that_is_no_preflight_reaches_the_function(web: LocalHost) -> None:
    assert web.http.options("/api/mirror").json()["method"] == "OPTIONS"
    assert web.http.options("/api/items/12").status_code == 404


def test_a_preflight_of_odd_bytes_is_a_bad_request(web: LocalHost) -> None:
    odd = {b"Origin": b"https://one.example", b"Access-Control-Request-Method": b"\xff"}
    assert web.http.options("/api/items/12", headers=list(odd.items())).status_code == 400


def test_any_origin_may_be_allowed() -> None:
    anyone = Cors(frozenset({"*"}), credentials=False)
    assert headers(anyone, "https://x") == {"Access-Control-Allow-Origin": "*"}


def test_without_cors_a_preflight_is_404(durable: LocalHost) -> None:
    answer = durable.http.options("/hold", headers={"Origin": "https://one.example", **_PREFLIGHT})
    assert (answer.status_code, answer.content) == (404, b"")
