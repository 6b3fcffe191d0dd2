"""HTTP functions in the local host: routes, methods, what passes between caller and function."""

import gzip
from pathlib import Path
from typing import Any

import httpx
import pytest

from .hosts import APPS, LocalHost, host_process, until


def _mirrored(web: LocalHost, method: str, path: str, **request: Any) -> dict[str, Any]:
    answer = web.http.request(method, f"/api/{path}", **request)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_function_sees_the_request(web: LocalHost) -> None:
    answer = web.http.post(
        "/api/mirror/W%C3%B6rd%2F1?a=1&b=2&a=3&empty=",
        content="béte",
        headers=[("X-One", "1"), ("X-Two", "2"), ("X-Two", "zwei")],
    )
    seen = answer.json()
    assert seen["method"] == "POST"
    assert seen["url"] == f"http://127.0.0.1:{web.port}/api/mirror/W%C3%B6rd%2F1?a=1&b=2&a=3&empty="
    assert seen["query"] == {"a": "1,3", "b": "2"}
    assert seen["route"] == {"word": "Wörd%2F1"}
    assert seen["body"] == "béte"
    assert (seen["headers"]["x-one"], seen["headers"]["x-two"]) == ("1", "2,zwei")


def test_an_optional_parameter_that_is_absent_is_not_passed(web: LocalHost) -> None:
    assert _mirrored(web, "GET", "mirror")["route"] == {}


@pytest.mark.parametrize("path", ["items/12", "ITEMS/12", "items/-3", "items/12/"])
def test_a_constrained_route_matches_in_any_case(web: LocalHost, path: str) -> None:
    assert _mirrored(web, "GET", path)["function"] == "item"


def test_functions_share_a_route_by_method(web: LocalHost) -> None:
    assert _mirrored(web, "DELETE", "items/12")["function"] == "delete_item"


def test_a_literal_beats_a_parameter(web: LocalHost) -> None:
    assert _mirrored(web, "GET", "items/special")["function"] == "special"


def test_a_catch_all_parameter_takes_the_rest(web: LocalHost) -> None:
    assert _mirrored(web, "GET", "files/a/b%20c/d")["route"] == {"path": "a/b c/d"}
    assert _mirrored(web, "GET", "files")["route"] == {}


def test_a_segment_may_hold_literals_and_parameters(web: LocalHost) -> None:
    assert _mirrored(web, "GET", "pages/a-b.html")["route"] == {"page": "a-b"}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/items/twelve"),
        ("GET", "/api/items/99999999999"),
        ("POST", "/api/items/12"),
        ("GET", "/api/items/12/more"),
        ("GET", "/api/nowhere"),
        ("GET", "/mirror"),
        ("GET", "/api/switched-off"),
        ("GET", "/api/runtime/reserved"),
    ],
)
def test_what_no_function_answers_is_404(web: LocalHost, method: str, path: str) -> None:
    answer = web.http.request(method, path)
    assert (answer.status_code, answer.content) == (404, b"")


@pytest.mark.parametrize("name", ["unrouted", "empty_route"])
def test_a_function_without_a_route_answers_under_its_name(web: LocalHost, name: str) -> None:
    answer = web.http.get(f"/api/{name}")
    assert (answer.status_code, answer.text) == (200, "by its name")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"


def test_a_caller_gets_status_headers_cookies_and_bytes(web: LocalHost) -> None:
    answer = web.http.get("/api/answer")
    assert (answer.status_code, answer.content) == (418, b"\x00\xff")
    assert (answer.headers["x-kind"], answer.headers["content-type"]) == ("teapot", "image/tea")
    cookies = [set(cookie.split("; ")) for cookie in answer.headers.get_list("set-cookie")]
    assert cookies == [
        {"a=1", "Path=/", "HttpOnly", "SameSite=Lax"},
        {"b=2", "Path=/", "Max-Age=60", "Secure"},
    ]


def test_an_output_parameter_is_the_response_and_none_is_204(web: LocalHost) -> None:
    assert web.http.get("/api/output/words").text == "words"
    assert web.http.get("/api/output").status_code == 204


def test_an_answer_that_makes_no_sense_is_500(web: LocalHost) -> None:
    assert web.http.get("/api/status/200").status_code == 200
    assert web.http.get("/api/status/fine").status_code == 500


def test_an_exception_is_500_without_a_word(web: LocalHost) -> None:
    answer = web.http.get("/api/broken")
    assert (answer.status_code, answer.content) == (500, b"")
    until(lambda: "Function 'broken' failed. RuntimeError: not for the caller" in web.output)


def test_a_body_may_be_100_mib_and_no_more(web: LocalHost) -> None:
    limit = 104_857_600
    fits = web.http.post("/api/unrouted", content=bytes(limit))
    assert fits.status_code == 200
    too_large = web.http.post("/api/unrouted", content=bytes(limit + 1))
    assert too_large.status_code == 413


def test_settings_reach_the_functions_and_the_environment_wins(web: LocalHost) -> None:
    assert web.http.get("/api/settings/FROM_SETTINGS").text == "settings"
    assert web.http.get("/api/settings/FROM_BOTH").text == "environment"
    assert web.http.get("/api/settings/ConnectionStrings:Db").text == "Server=here"


def test_a_function_knows_where_its_app_is_reached(web: LocalHost) -> None:
    assert web.http.get("/api/settings/WEBSITE_HOSTNAME").text == f"localhost:{web.port}"


def test_a_compressed_body_reaches_the_function_as_it_came(web: LocalHost) -> None:
    content = gzip.compress(b"text")
    answer = web.http.post("/api/bytes", content=content, headers={"Content-Encoding": "gzip"})
    assert answer.text == f"gzip {content.hex()}"


def test_the_root_says_that_the_host_is_up(web: LocalHost) -> None:
    answer = web.http.get("/")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")


def test_the_start_lists_functions_and_names_triggers_it_lacks(web: LocalHost) -> None:
    assert f"\titem: [GET] http://localhost:{web.port}/api/items/{{id:int}}\n" in web.output
    assert f"\tmirror: http://localhost:{web.port}/api/mirror/{{word?}}\n" in web.output
    assert "\ttick: timerTrigger\n" in web.output
    assert "switched_off" not in web.output
    assert "Function 'reserved' has no route" in web.output
    assert "Function 'from_queue' is not called by its queueTrigger here; " in web.output


def test_a_timer_runs_when_the_admin_endpoint_says_so(web: LocalHost) -> None:
    answer = web.http.post("/admin/functions/tick", json={"input": ""})
    assert answer.status_code == 202
    tick = Path(str(web.log)).parent / "tick"
    assert until(lambda: tick.exists() and tick.read_text()) == "past due: False"


def test_the_admin_endpoint_knows_the_functions(web: LocalHost) -> None:
    assert web.http.get("/admin/host/ping").status_code == 200
    assert web.http.get("/admin/host/status").json()["state"] == "Running"
    assert {"mirror", "tick", "from_queue"} <= {f["name"] for f in web.http.get("/admin/functions").json()}
    assert web.http.get("/admin/functions/TICK").json()["config"]["bindings"][0]["type"] == "timerTrigger"
    assert web.http.post("/admin/functions/nobody", json={"input": ""}).status_code == 404
    assert web.http.post("/admin/functions/tick", json={"other": ""}).status_code == 400
    assert web.http.get("/admin/nowhere").status_code == 404


def test_keys_open_what_their_level_allows(own_log: Path) -> None:
    with host_process(APPS / "http", own_log, "--enable-auth") as host:
        host.ready()
        master, function = (_printed_key(host, name) for name in ("Master key", "Default function key"))
        assert host.http.get("/api/mirror").status_code == 200
        opens = {
            path: [_status(host.http, path, key) for key in ("", "wrong", function, master)]
            for path in (
                "/api/guarded",
                "/api/for-admins",
                "/admin/host/status",
                "/runtime/webhooks/durabletask/instances",
            )
        }
        assert opens == {
            "/api/guarded": [401, 401, 200, 200],
            "/api/for-admins": [401, 401, 401, 200],
            "/admin/host/status": [401, 401, 401, 200],
            "/runtime/webhooks/durabletask/instances": [401, 401, 401, 200],
        }
        assert host.http.get(f"/api/guarded?code={function}").status_code == 200
        beaten = host.http.get(f"/api/guarded?code={function}", headers={"x-functions-key": "wrong"})
        assert (beaten.status_code, beaten.content) == (401, b"")


def _printed_key(host: LocalHost, name: str) -> str:
    return next(line.split(": ")[1] for line in host.output.splitlines() if line.startswith(f"{name}: "))


def _status(http: httpx.Client, path: str, key: str) -> int:
    return http.get(path, headers={"x-functions-key": key} if key else {}).status_code
