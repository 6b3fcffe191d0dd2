"""The durable management API, row by row, as the Durable Functions extension answers it."""

import re
from pathlib import Path
from typing import Any

import psutil
import pytest

from .hosts import WEBHOOKS, LocalHost

_STATUS_FIELDS = [
    "name",
    "instanceId",
    "runtimeStatus",
    "input",
    "customStatus",
    "output",
    "createdTime",
    "lastUpdatedTime",
]
_DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


def test_a_start_answers_with_the_urls_to_steer_the_instance(durable: LocalHost) -> None:
    answer = durable.http.post(f"{WEBHOOKS}/orchestrators/FanOut/with%20space", json=2)
    assert answer.status_code == 202
    payload = answer.json()
    assert list(payload) == [
        "id",
        "statusQueryGetUri",
        "sendEventPostUri",
        "terminatePostUri",
        "purgeHistoryDeleteUri",
        "restartPostUri",
        "suspendPostUri",
        "resumePostUri",
    ]
    assert payload["id"] == "with space"
    base = f"http://127.0.0.1:{durable.port}{WEBHOOKS}/instances/with+space"
    assert re.fullmatch(
        re.escape(f"{base}?taskHub=SampleHub&connection=Storage&code=") + ".+", payload["statusQueryGetUri"]
    )
    assert payload["sendEventPostUri"].startswith(f"{base}/raiseEvent/{{eventName}}?taskHub=")
    assert payload["terminatePostUri"].startswith(f"{base}/terminate?reason={{text}}&taskHub=")
    assert (answer.headers["location"], answer.headers["retry-after"]) == (payload["statusQueryGetUri"], "10")
    durable.end("with%20space")
    assert durable.http.get(payload["statusQueryGetUri"]).json()["instanceId"] == "with space"
    assert durable.http.delete(payload["purgeHistoryDeleteUri"]).json() == {"instancesDeleted": 1}


def test_a_path_is_decoded_before_it_is_split_so_no_id_holds_a_slash(durable: LocalHost) -> None:
    assert durable.start("ParentId", None, "plus%2Bsign") == "plus+sign"
    assert durable.end("plus%2bsign")["instanceId"] == "plus+sign"
    assert durable.http.post(f"{WEBHOOKS}/orchestrators/ParentId/a%2Fb").status_code == 404
    assert durable.http.get(f"{WEBHOOKS}/instances%2Fplus%2Bsign").status_code == 200
    assert durable.http.get(f"{WEBHOOKS}/instances//plus%2Bsign").status_code == 404


def test_the_sdks_own_payload_leads_back_to_the_instance(durable: LocalHost) -> None:
    answer = durable.http.post("/start/FanOut/by-client", json=3)
    assert answer.status_code == 202
    payload = answer.json()
    assert (payload["id"], "rewindPostUri" in payload) == ("by-client", True)
    assert durable.end("by-client")["output"] == 3
    assert durable.http.get(payload["statusQueryGetUri"]).json()["output"] == 3
    assert durable.http.delete(payload["purgeHistoryDeleteUri"]).json() == {"instancesDeleted": 1}


def test_a_start_may_wait_for_the_end(durable: LocalHost) -> None:
    path = f"{WEBHOOKS}/orchestrators"
    done = durable.http.post(f"{path}/FanOut?timeout=20&pollingInterval=0.05", json=4)
    assert (done.status_code, done.json()) == (200, 6)
    failed = durable.http.post(f"{path}/Fail?timeout=20&pollingInterval=0.05", json="no luck")
    assert (failed.status_code, failed.json()["runtimeStatus"]) == (200, "Failed")
    waiting = durable.http.post(f"{path}/WaitFor?timeout=0.1&pollingInterval=0.05", json="go")
    assert (waiting.status_code, "statusQueryGetUri" in waiting.json()) == (202, True)
    wrong = durable.http.post(f"{path}/FanOut?timeout=1&pollingInterval=2", json=1)
    assert (wrong.status_code, list(wrong.json())) == (400, ["Message"])


@pytest.mark.parametrize(
    ("timeout", "interval"), [("inf", "1e-9"), ("nan", "1"), ("1", "nan"), ("inf", "inf")]
)
def test_a_start_does_not_wait_for_ever(durable: LocalHost, timeout: str, interval: str) -> None:
    query = {"timeout": timeout, "pollingInterval": interval}
    answer = durable.http.post(f"{WEBHOOKS}/orchestrators/WaitFor", params=query, json="go", timeout=5)
    assert (answer.status_code, list(answer.json())) == (400, ["Message"])


def test_a_start_that_polls_without_a_pause_does_not_spin_the_host(durable: LocalHost) -> None:
    process = psutil.Process(durable.process.pid)
    before = process.cpu_times().user
    query = {"timeout": 2, "pollingInterval": 1e-9}
    durable.http.post(f"{WEBHOOKS}/orchestrators/WaitFor", params=query, json="go")
    assert process.cpu_times().user - before < 1


def test_a_start_wants_json_and_an_id_that_is_free(durable: LocalHost) -> None:
    bad = durable.http.post(f"{WEBHOOKS}/orchestrators/FanOut", content="{]")
    assert (bad.status_code, bad.json()["Message"]) == (400, "Invalid JSON content")
    cut = durable.http.post(f"{WEBHOOKS}/orchestrators/FanOut", content='{"a": [1,')
    message = "Something went wrong while processing your request"
    assert (cut.status_code, cut.json()["Message"]) == (500, message)
    assert list(bad.json()) == ["Message", "ExceptionMessage", "ExceptionType", "StackTrace"]
    durable.until_status(durable.start("WaitFor", "go", "taken"), "Running")
    taken = durable.http.post(f"{WEBHOOKS}/orchestrators/FanOut/taken", json=1)
    message = "An Orchestration instance with the ID taken already exists."
    assert (taken.status_code, taken.json()) == (409, {"Message": message})
    durable.post("taken", "terminate")
    durable.end("taken")
    assert durable.start("FanOut", 2, "taken") == "taken"
    assert durable.end("taken")["output"] == 1


def test_the_status_of_a_running_instance(durable: LocalHost) -> None:
    instance_id = durable.start("WaitFor", "go")
    durable.until_status(instance_id, "Running")
    answer = durable.http.get(f"{WEBHOOKS}/instances/{instance_id}?code=x")
    assert answer.status_code == 202
    assert (
        answer.headers["location"]
        == f"http://127.0.0.1:{durable.port}{WEBHOOKS}/instances/{instance_id}?code=x"
    )
    assert answer.headers["retry-after"] == "5"
    document = answer.json()
    assert list(document) == _STATUS_FIELDS
    assert _DATE.fullmatch(document["createdTime"])
    assert _DATE.fullmatch(document["lastUpdatedTime"])
    shown = {name: document[name] for name in _STATUS_FIELDS[:6]}
    assert shown == {
        "name": "WaitFor",
        "instanceId": instance_id,
        "runtimeStatus": "Running",
        "input": "go",
        "customStatus": {"waitingFor": "go"},
        "output": None,
    }
    assert durable.status(instance_id, showInput="FALSE")["input"] is None


def test_the_status_of_a_failed_instance(durable: LocalHost) -> None:
    instance_id = durable.start("Fail", "no luck")
    assert durable.end(instance_id)["output"] == "builtins.ValueError: no luck"
    path = f"{WEBHOOKS}/Instances/{instance_id}"
    plain = durable.http.get(path)
    assert (plain.status_code, "retry-after" in plain.headers) == (200, False)
    flagged = durable.http.get(f"{path}?ReturnInternalServerErrorOnFailure=true")
    assert (flagged.status_code, flagged.json()) == (500, plain.json())


def test_the_history_of_an_instance(durable: LocalHost) -> None:
    instance_id = durable.start("CatchFailure", "no luck")
    durable.end(instance_id)
    assert "historyEvents" not in durable.status(instance_id)
    events = durable.status(instance_id, showHistory="true", showHistoryOutput="true")["historyEvents"]
    assert [event["EventType"] for event in events] == [
        "ExecutionStarted",
        "TaskFailed",
        "ExecutionCompleted",
    ]
    assert all(event["Timestamp"] > "2020" for event in events)
    started, failed, completed = events
    assert (started["FunctionName"], started["Input"]) == ("CatchFailure", '"no luck"')
    assert (failed["FunctionName"], failed["ScheduledTime"] > "2020") == ("Fail", True)
    assert (completed["OrchestrationStatus"], completed["Result"][1]) == ("Completed", "ValueError")
    hidden = durable.status(instance_id, showHistory="true", showInput="false")["historyEvents"]
    assert not any({"Input", "Result"} & set(event) for event in hidden)


def test_instances_are_listed_in_pages(durable: LocalHost) -> None:
    ids = [durable.start("FanOut", 1, f"page-{number}") for number in range(3)]
    for instance_id in ids:
        durable.end(instance_id)
    assert [document["instanceId"] for document in _list(durable, instanceIdPrefix="page-")] == ids
    path = f"{WEBHOOKS}/instances"
    query = {"instanceIdPrefix": "page-", "top": "2"}
    first = durable.http.get(path, params=query)
    assert [list(document) for document in first.json()] == [_STATUS_FIELDS] * 2
    token = first.headers["x-ms-continuation-token"]
    second = durable.http.get(path, params=query, headers={"x-ms-continuation-token": token})
    assert [document["instanceId"] for document in second.json()] == ids[2:]
    assert second.headers["x-ms-continuation-token"] == ""


def test_a_list_holds_100_instances_if_nothing_else_is_said(durable: LocalHost) -> None:
    for number in range(101):
        durable.start("ParentId", None, f"many-{number:03}")
    assert len(_list(durable, instanceIdPrefix="many-")) == 100
    assert len(_list(durable, instanceIdPrefix="many-", top="not a number")) == 100


def test_a_list_is_filtered_by_status_and_time(durable: LocalHost) -> None:
    durable.end(durable.start("Fail", "no luck", "filter-1"))
    created = durable.end(durable.start("FanOut", 1, "filter-2"))["createdTime"]
    durable.until_status(durable.start("WaitFor", "go", "filter-3"), "Running")

    def listed(**query: str) -> list[str]:
        return [document["instanceId"] for document in _list(durable, instanceIdPrefix="filter-", **query)]

    assert listed(runtimeStatus="Failed,Running") == ["filter-1", "filter-3"]
    assert listed(runtimeStatus="Nonsense") == ["filter-1", "filter-2", "filter-3"]
    assert listed(createdTimeFrom=created[:4], createdTimeTo="whenever") == [
        "filter-1",
        "filter-2",
        "filter-3",
    ]
    assert listed(createdTimeFrom="2100-01-01T00:00:00Z") == []
    assert listed(createdTimeTo="2020-01-01") == []


def test_purging_one_instance(durable: LocalHost) -> None:
    path = f"{WEBHOOKS}/instances/purge-me"
    assert durable.http.delete(path).status_code == 404
    durable.until_status(durable.start("WaitFor", "go", "purge-me"), "Running")
    running = durable.http.delete(path)
    text = (
        "Only orchestrations in a terminal state can be purged, "
        "but the orchestration with instance ID purge-me has status Running"
    )
    assert (running.status_code, running.json()) == (412, text)
    durable.post("purge-me", "terminate")
    durable.end("purge-me")
    assert durable.http.delete(path).json() == {"instancesDeleted": 1}
    assert durable.http.get(path).status_code == 404


def test_purging_many_instances(durable: LocalHost) -> None:
    path = f"{WEBHOOKS}/instances"
    durable.end(durable.start("Fail", "no luck"))
    missing = durable.http.delete(path)
    text = "Please provide value for 'createdTimeFrom' parameter."
    assert (missing.status_code, missing.json()) == (400, text)
    query = {"createdTimeFrom": "2020-01-01", "runtimeStatus": "Failed"}
    assert durable.http.delete(path, params={**query, "createdTimeTo": "2020-01-02"}).status_code == 404
    failed = len(_list(durable, runtimeStatus="Failed", top="1000"))
    assert durable.http.delete(path, params=query).json() == {"instancesDeleted": failed}
    assert _list(durable, runtimeStatus="Failed") == []


def test_raising_an_event_checks_in_order(durable: LocalHost) -> None:
    path = f"{WEBHOOKS}/instances/eventful/raiseEvent/go"
    text = {"Content-Type": "text/plain"}
    json = {"Content-Type": "application/json"}
    assert durable.http.post(path, content="{", headers=text).status_code == 404
    durable.start("WaitFor", "go", "eventful")
    kind = durable.http.post(path, content="{", headers=text)
    assert (kind.status_code, list(kind.json())) == (400, ["Message"])
    for broken in ("{", "", " "):
        answer = durable.http.post(path, content=broken, headers=json)
        assert (answer.status_code, answer.json()["Message"]) == (400, "Invalid JSON content")
    raised = durable.http.post(path, content='{"a": 1}', headers=json)
    assert (raised.status_code, raised.content) == (202, b"")
    assert durable.end("eventful")["output"] == {"a": 1}
    assert durable.http.post(path, content="{", headers=text).status_code == 410


@pytest.mark.parametrize("operation", ["terminate", "Suspend", "RESUME"])
def test_steering_what_is_not_there_or_over(durable: LocalHost, operation: str) -> None:
    assert durable.post("nobody", operation) == 404
    instance_id = durable.start("FanOut", 1)
    durable.end(instance_id)
    assert durable.post(instance_id, operation) == 410


def test_rewinding_wants_a_failed_instance(durable: LocalHost) -> None:
    assert durable.post("nobody", "rewind") == 404
    instance_id = durable.start("FanOut", 1)
    durable.end(instance_id)
    assert durable.post(instance_id, "rewind") == 412


def test_restarting_an_instance(durable: LocalHost, tmp_path: Path) -> None:
    path = f"{WEBHOOKS}/instances"
    nobody = durable.http.post(f"{path}/nobody/restart")
    message = "InstanceId does not match a valid orchestration instance."
    assert (nobody.status_code, nobody.json()["Message"]) == (400, message)
    original = durable.start("FanOut", 3, "restart-me")
    durable.end(original)
    again = durable.http.post(f"{path}/{original}/restart")
    assert (again.status_code, again.headers["retry-after"]) == (202, "10")
    assert again.json()["id"] != original
    assert durable.end(again.json()["id"])["output"] == 3
    same = durable.http.post(f"{path}/{original}/restart?restartWithNewInstanceId=false")
    assert (same.status_code, same.json()["id"]) == (202, original)
    assert durable.end(original)["input"] == 3
    durable.until_status(durable.start("WaitFor", "go", "restart-live"), "Running")
    live = durable.http.post(f"{path}/restart-live/restart?restartWithNewInstanceId=false")
    assert live.status_code == 409
    assert durable.http.post(f"{path}/restart-live/restart").status_code == 202


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "orchestrators/FanOut"),
        ("PUT", "instances"),
        ("POST", "instances/x"),
        ("POST", "instances/x/dance"),
        ("GET", "instances/x/terminate"),
        ("GET", "instances/x/raiseEvent/go"),
        ("GET", ""),
        ("GET", "elsewhere"),
        ("PUT", "entities/Counter/x"),
    ],
)
def test_what_no_rule_answers_is_404_without_a_body(durable: LocalHost, method: str, path: str) -> None:
    answer = durable.http.request(method, f"{WEBHOOKS}/{path}")
    assert (answer.status_code, answer.content) == (404, b"")


def _list(durable: LocalHost, **query: str) -> list[dict[str, Any]]:
    answer = durable.http.get(f"{WEBHOOKS}/instances", params=query)
    assert answer.status_code == 200
    return answer.json()
