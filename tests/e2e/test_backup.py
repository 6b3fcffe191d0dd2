"""A backup over HTTP, from the request to the last byte in the container."""

import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest

from localstack.client import Document
from tests.e2e.support.apps import RunningApp
from tests.e2e.support.containers import assert_container_equals_tree, blob_content
from tests.e2e.support.trees import Link, Size, Tree, make_tree, total_bytes

pytestmark = pytest.mark.any_host

SITE: Tree = {
    "empty": b"",
    "index.html": b"<h1>hello</h1>",
    "no files": {"here": {}},
    "deep": {"er": {"and": {"deeper": {"f": b"1"}}}},
    "names": {
        "a b & $c": b"2",
        "ü 日本 🎉.txt": b"3",
        "100%41": b"4",
        "back\\slash": b"5",
        "dots..": b"6",
        "tab\tnewline\n": b"7",
        "not text \udcff": b"8",
        ".hidden": b"9",
        "?query#fragment": b"10",
    },
    "single.bin": Size(8 * 1024 * 1024),
    "blocks.bin": Size(41 * 1024 * 1024 + 17),
    "link": Link("index.html"),
}
MANAGEMENT_URIS = (
    "statusQueryGetUri",
    "sendEventPostUri",
    "terminatePostUri",
    "purgeHistoryDeleteUri",
    "suspendPostUri",
    "resumePostUri",
)


def post(app: RunningApp, body: Any) -> httpx.Response:
    """POST `body` as JSON to the app's one door."""
    url = f"{app.base_url}/orchestrators/E2_BackupSiteContent"
    return httpx.post(url, content=json.dumps(body), headers={"Content-Type": "application/json"}, timeout=30)


def test_every_file_of_a_tree_arrives_byte_for_byte_and_nothing_else(app: RunningApp, tmp_path: Path) -> None:
    root = make_tree(tmp_path / "site", SITE)
    document = app.back_up(root)
    assert document["runtimeStatus"] == "Completed", document
    size = total_bytes(root)
    assert document["output"] == size
    assert_container_equals_tree(app.container, root)
    assert document["customStatus"] == {
        "phase": "done",
        "files": {
            "total": 14,
            "done": 14,
            "failed": 0,
            "vanished": 0,
            "skipped": 0,
            "new": 14,
            "changed": 0,
            "unchanged": 0,
            "gone": 0,
            "checked": 16,
        },
        "bytes": {"total": size, "done": size, "uploaded": size + len("index.html")},
        "links": 1,
        "directories": 8,
        "manifest": f"backup-catalog/manifests/{document['instanceId']}/index.json",
    }


@pytest.mark.parametrize("files", [1, 256, 257, 1_500])
def test_trees_of_every_packing_arrive_whole(app: RunningApp, tmp_path: Path, files: int) -> None:
    root = make_tree(tmp_path / "site", {f"d{n}": {} for n in range(10)})
    for number in range(files):
        (root / f"d{number % 10}" / f"f{number}").write_bytes(b"x" * (number % 50))
    document = app.back_up(root)
    assert document["output"] == total_bytes(root), document
    assert_container_equals_tree(app.container, root)


def test_an_empty_directory_is_no_backup_unless_that_is_allowed(app: RunningApp, tmp_path: Path) -> None:
    root = make_tree(tmp_path / "site", {})
    document = app.back_up(root)
    assert document["runtimeStatus"] == "Failed"
    assert f"There is nothing to back up: '{root}' is empty" in document["output"]
    allowed = app.run("E2_BackupSiteContent", {"rootDirectory": str(root), "allowEmpty": True})
    assert (allowed["runtimeStatus"], allowed["output"]) == ("Completed", 0)


def test_a_second_backup_takes_the_place_of_the_first(app: RunningApp, tmp_path: Path) -> None:
    root = make_tree(tmp_path / "site", {"grows": b"1", "shrinks": Size(9 * 1024 * 1024), "stays": b"same"})
    app.back_up(root)
    (root / "grows").write_bytes(b"longer than before")
    (root / "shrinks").write_bytes(b"short")
    assert app.back_up(root)["output"] == 27
    assert blob_content(app.container, root / "shrinks") == b"short"
    assert_container_equals_tree(app.container, root)


def test_an_object_names_the_root_too(app: RunningApp, tmp_path: Path) -> None:
    root = make_tree(tmp_path / "site", {"f": b"hello"})
    answer = post(app, {"rootDirectory": str(root)})
    document = app.client.wait(answer.json(), 30)
    assert (document["output"], document["input"]) == (5, {"rootDirectory": str(root)})


def test_the_answer_to_a_start_is_the_tutorials(app: RunningApp, tmp_path: Path) -> None:
    root = make_tree(tmp_path / "site", {"f": b"hello"})
    answer = post(app, str(root))
    assert answer.status_code == 202
    payload = answer.json()
    assert answer.headers["Location"] == payload["statusQueryGetUri"]
    assert answer.headers["Retry-After"] == "10"
    assert answer.headers["Content-Type"].startswith("application/json")
    assert re.fullmatch(r"[0-9a-f]{32}", payload["id"])
    for name in MANAGEMENT_URIS:
        path = f"/runtime/webhooks/durabletask/instances/{payload['id']}"
        assert payload[name].startswith(f"{app.base_url}{path}"), name
        assert "code=" in payload[name], name
    app.client.wait(payload, 30)


def test_the_status_documents_are_the_tutorials_field_by_field(app: RunningApp, tmp_path: Path) -> None:
    root = make_tree(tmp_path / "site", {f"f{n}": Size(3_000) for n in range(300)})
    started = post(app, str(root)).json()

    running = httpx.get(started["statusQueryGetUri"], timeout=30)
    assert running.status_code == 202
    assert running.headers["Location"].startswith(started["statusQueryGetUri"].partition("?")[0])
    assert int(running.headers["Retry-After"]) > 0
    check_document(running.json(), started["id"], root)
    assert running.json()["runtimeStatus"] in ("Pending", "Running")
    assert running.json()["output"] is None

    phases = {
        document["customStatus"]["phase"]
        for document in app.client.follow(started, 0.02)
        if document["customStatus"]
    }
    ended = httpx.get(started["statusQueryGetUri"], timeout=30)
    assert ended.status_code == 200
    check_document(ended.json(), started["id"], root)
    assert ended.json()["runtimeStatus"] == "Completed"
    assert ended.json()["output"] == 900_000
    assert {"copying", "done"} <= phases <= {"listing", "copying", "finishing", "done"}


def check_document(document: Document, instance_id: str, root: Path) -> None:
    assert [key for key in document if key != "historyEvents"] == [
        "name",
        "instanceId",
        "runtimeStatus",
        "input",
        "customStatus",
        "output",
        "createdTime",
        "lastUpdatedTime",
    ]
    assert document["name"] == "E2_BackupSiteContent"
    assert document["instanceId"] == instance_id
    assert document["input"] == str(root)
    for time in ("createdTime", "lastUpdatedTime"):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", document[time])


def test_progress_counts_up_to_the_totals(app: RunningApp, tmp_path: Path) -> None:
    root = make_tree(tmp_path / "site", {f"f{n}": Size(20_000) for n in range(600)})
    statuses = [
        document["customStatus"]
        for document in app.client.follow(post(app, str(root)).json(), 0.01)
        if document["customStatus"] and document["customStatus"]["phase"] != "listing"
    ]
    done = [status["files"]["done"] for status in statuses]
    assert done == sorted(done)
    assert len(set(done)) > 3
    assert all(status["files"]["total"] == 600 for status in statuses)
    assert all(status["bytes"]["done"] == 20_000 * status["files"]["done"] for status in statuses)


def test_several_backups_at_once_do_not_mix(app: RunningApp, tmp_path: Path) -> None:
    roots = [make_tree(tmp_path / f"s{n}", {f"f{m}": Size(n * 100 + m) for m in range(40)}) for n in range(4)]
    started = [post(app, str(root)).json() for root in roots]
    for root, payload in zip(roots, started, strict=True):
        assert app.client.wait(payload, 60)["output"] == total_bytes(root)
        assert_container_equals_tree(app.container, root)


def test_no_file_name_is_in_the_history_of_any_instance(app: RunningApp, tmp_path: Path) -> None:
    root = make_tree(tmp_path / "site", {f"secret-name-{n}": b"x" for n in range(120)})
    document = app.back_up(root)
    instances = f"{app.base_url}/runtime/webhooks/durabletask/instances"
    run = document["instanceId"]
    found = httpx.get(instances, params={"instanceIdPrefix": run}, timeout=30).json()
    assert len(found) > 1
    for instance in found:
        url = f"{instances}/{instance['instanceId']}"
        history = httpx.get(url, params={"showHistory": "true", "showHistoryOutput": "true"}, timeout=30)
        assert len(history.json()["historyEvents"]) > 2
        assert "secret-name" not in history.text
