"""What settings of host.json do to a running host."""

import json
from collections.abc import Generator
from pathlib import Path

import pytest

from .hosts import WEBHOOKS, LocalHost, copy_app, host_process, until


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Generator[LocalHost]:
    """A host of the durable app with settings that are not the defaults."""
    folder = tmp_path_factory.mktemp("host-json")
    durable = {
        "defaultVersion": "2.5",
        "overridableExistingInstanceStates": "AnyState",
        "maxGrpcMessageSizeInBytes": 16_000_000,
    }
    settings = {
        "version": "2.0",
        "extensions": {"durableTask": durable, "http": {"routePrefix": ""}},
    }
    with host_process(copy_app("durable", folder, json.dumps(settings)), folder / "log") as host:
        yield host.ready()


def test_an_orchestration_that_is_started_without_a_version_has_the_default(host: LocalHost) -> None:
    assert host.run("Version") == "2.5"
    answer = host.http.post(f"{WEBHOOKS}/orchestrators/Version?version=1")
    assert host.end(answer.json()["id"])["output"] == "1"
    assert host.http.post("/start/Version/by-client", content="null").status_code == 202
    assert host.end("by-client")["output"] == "2.5"


def test_a_live_instance_is_replaced_if_any_state_may_be_overridden(host: LocalHost) -> None:
    host.until_status(host.start("WaitFor", "go", "again"), "Running")
    host.start("FanOut", 3, "again")
    assert host.end("again")["output"] == 3


def test_a_client_takes_a_message_as_large_as_host_json_says(host: LocalHost, durable: LocalHost) -> None:
    for one, status in ((host, 200), (durable, 500)):
        instance_id = one.start("EchoAll", ["x" * 5_000_000])
        one.end(instance_id)
        assert one.http.get(f"/await/{instance_id}").status_code == status


@pytest.mark.parametrize(
    ("levels", "shown"),
    [
        ({}, ["INFO", "WARNING"]),
        ({"default": "Error", "Function": "Warning"}, ["WARNING"]),
        ({"Function": "Debug"}, ["DEBUG", "INFO", "WARNING"]),
    ],
)
def test_functions_log_from_the_level_of_host_json(
    tmp_path: Path, own_log: Path, levels: dict[str, str], shown: list[str]
) -> None:
    settings = {"version": "2.0", "logging": {"logLevel": levels}}
    with host_process(copy_app("http", tmp_path, json.dumps(settings)), own_log) as host:
        host.ready()
        assert host.http.get("/api/log").text == "logged"
        until(lambda: "logged at WARNING" in host.output)
        wanted = [f"logged at {level}" for level in ("DEBUG", "INFO", "WARNING")]
        assert [line.split()[-1] for line in wanted if line in host.output] == shown
        # This is a warning of the host's own.
        assert ("Function 'from_queue' is not called by its queueTrigger here" in host.output) is (
            "default" not in levels
        )
