"""Functions that the admin endpoint calls by hand, as the Functions host does for each trigger."""

import json
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from azure.storage.blob import ContainerClient

from localstack.azurite import Azurite

from .hosts import APPS, LocalHost, host_process, until


@pytest.fixture(scope="module")
def notes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("notes")


@pytest.fixture(scope="module")
def host(notes: Path, azurite: Azurite) -> Generator[LocalHost]:
    environment = {"NOTES": str(notes), "AzureWebJobsUploads": azurite.connection_string}
    with host_process(APPS / "events", notes / "log", environment=environment) as host:
        yield host.ready()


@pytest.mark.parametrize(
    ("function", "text", "seen"),
    [
        ("queued", "hé", ["hé"]),
        ("queued", '{"a": 1}', ['{"a": 1}']),
        ("sent", "hé", ["hé"]),
        ("streamed", "hé", ["hé"]),
        ("published", '{"id": "1", "data": {"a": 1}, "dataVersion": "1"}', ["1", {"a": 1}]),
        ("changed", '[{"id": "x"}]', [["x"]]),
        ("fancy", "hé", ["hé"]),
    ],
)
def test_a_function_gets_the_text_as_its_trigger_would_give_it(
    host: LocalHost, notes: Path, function: str, text: str, seen: list[Any]
) -> None:
    (notes / function).unlink(missing_ok=True)
    _call(host, function, text)
    assert _noted(notes / function) == seen


def test_a_function_gets_the_blob_that_the_text_names(host: LocalHost, notes: Path, azurite: Azurite) -> None:
    with ContainerClient.from_connection_string(azurite.connection_string, "by-hand") as container:
        container.create_container()
        container.upload_blob("folder/a b", b"content")
        _call(host, "uploaded", "by-hand/folder/a b")
        assert _noted(notes / "uploaded") == ["by-hand/folder/a b", 7, "content"]
        container.delete_container()


@pytest.mark.parametrize("text", ["by-hand/nobody", "no slash", ""])
def test_a_blob_that_is_not_there_is_said_in_the_log(host: LocalHost, text: str) -> None:
    _call(host, "uploaded", text)
    until(lambda: f"Function 'uploaded' failed. The blob '{text}' cannot be read: " in host.output)


def test_an_event_that_the_function_cannot_read_is_said_in_the_log(host: LocalHost) -> None:
    _call(host, "published", "no JSON")
    until(lambda: "Function 'published' failed. " in host.output)


def test_the_start_says_how_such_functions_are_called(host: LocalHost) -> None:
    sentence = (
        "Function 'queued' is not called by its queueTrigger here; POST /admin/functions/queued calls it."
    )
    assert sentence in host.output


def test_a_call_of_what_is_no_such_function_is_refused(host: LocalHost) -> None:
    assert host.http.post("/admin/functions/hello", json={"input": ""}).status_code == 400


def _call(host: LocalHost, function: str, text: str) -> None:
    answer = host.http.post(f"/admin/functions/{function}", json={"input": text})
    assert (answer.status_code, answer.content) == (202, b"")


def _noted(path: Path) -> Any:
    until(path.exists)
    return json.loads(path.read_text())
