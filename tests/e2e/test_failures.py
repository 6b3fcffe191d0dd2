"""What goes wrong while a backup runs: files, workers, storage."""

import json
import random
import re
import shutil
import time
from contextlib import suppress
from pathlib import Path

import httpx
import psutil
import pytest

from localstack.azurite import Azurite
from localstack.client import Document
from localstack.settings import EmulatorPorts
from tests.e2e.conftest import NewApp
from tests.e2e.support.apps import RunningApp
from tests.e2e.support.containers import assert_container_equals_tree
from tests.e2e.support.manifests import read_manifest
from tests.e2e.support.proxy import Request, storage_proxy
from tests.e2e.support.trees import Size, Tree, make_tree, total_bytes
from tests.e2e.support.waiting import wait_until


def wait_for_progress(app: RunningApp, started: Document, files: int) -> None:
    """Return when at least `files` files are copied; fail if the backup ends before."""
    document: Document = {}

    def reached() -> bool:
        nonlocal document
        document = app.client.status(started)
        assert document["runtimeStatus"] in ("Pending", "Running"), document
        status = document["customStatus"]
        return bool(status) and status["files"]["done"] >= files

    wait_until(reached, 60, lambda: document)


@pytest.mark.any_host
def test_files_that_cannot_be_saved_do_not_lose_the_others_and_the_run_ends_failed(
    app: RunningApp, tmp_path: Path
) -> None:
    too_deep: Tree = {"f": b"lost"}
    for _ in range(5):
        too_deep = {"x" * 220: too_deep}
    root = make_tree(tmp_path / "site", {"deep": too_deep, "a": b"1", "z": {"b": Size(3_000)}})

    document = app.back_up(root)

    assert document["runtimeStatus"] == "Failed"
    name = "/".join(["deep", *["x" * 220] * 5, "f"])
    assert (
        f"1 of 11 entries were not backed up: {name}: blob name is longer than 1024 characters"
        in document["output"]
    )
    manifest = f"backup-catalog/manifests/{document['instanceId']}/index.json"
    assert document["output"].endswith(f"All outcomes: {manifest}.")
    assert document["customStatus"]["files"] == {
        "total": 3,
        "done": 2,
        "failed": 1,
        "vanished": 0,
        "skipped": 0,
        "new": 2,
        "changed": 0,
        "unchanged": 0,
        "gone": 0,
        "checked": 2,
    }
    _, entries = read_manifest(app.blobs, document)
    assert {path: entry["outcome"] for path, entry in entries.items() if "outcome" in entry} == {
        name: "failed"
    }
    shutil.rmtree(root / "deep")
    assert_container_equals_tree(app.container, root)


def test_a_wrong_storage_key_fails_at_once_and_never_shows(
    new_app: NewApp, azurite: Azurite, tmp_path: Path
) -> None:
    root = make_tree(tmp_path / "site", {"f": b"hello"})
    key = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldC0="
    wrong = re.sub("AccountKey=[^;]+", f"AccountKey={key}", azurite.connection_string)
    app = new_app({"BackupStorage": wrong})

    document = app.back_up(root, timeout=30)

    assert document["runtimeStatus"] == "Failed"
    assert "AuthorizationFailure" in document["output"] or "AuthenticationFailed" in document["output"]
    url = f"{app.base_url}/runtime/webhooks/durabletask/instances/{document['instanceId']}"
    history = httpx.get(url, params={"showHistory": "true", "showHistoryOutput": "true"}, timeout=30)
    assert app.host is not None
    for text in (json.dumps(document), history.text, app.host.output()):
        assert key not in text


def test_storage_that_is_not_configured_is_said(new_app: NewApp, tmp_path: Path) -> None:
    root = make_tree(tmp_path / "site", {"f": b"hello"})
    document = new_app({"AzureWebJobsStorage": ""}).back_up(root, timeout=30)
    assert document["runtimeStatus"] == "Failed"
    assert "AzureWebJobsStorage is not configured." in document["output"]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_worker_killed_in_mid_backup_loses_nothing(new_app: NewApp, tmp_path: Path, workers: int) -> None:
    root = make_tree(tmp_path / "site", {f"f{n}": Size(10_000) for n in range(800)})
    app = new_app(workers=workers)
    started = app.client.start(str(root))
    wait_for_progress(app, started, 100)

    victim = app.workers()[0]
    victim.kill()

    document = app.client.wait(started, 60)
    assert document["runtimeStatus"] == "Completed", document
    assert document["output"] == total_bytes(root)
    assert_container_equals_tree(app.container, root)
    assert victim.pid not in [worker.pid for worker in app.workers()]


@pytest.mark.timeout(180)
def test_workers_killed_twenty_times_in_one_backup_lose_nothing(new_app: NewApp, tmp_path: Path) -> None:
    dice = random.Random(20)  # noqa: S311 - moments, no secret
    root = make_tree(
        tmp_path / "site", {f"d{n}": {f"f{m}": Size(n + m) for m in range(100)} for n in range(50)}
    )
    app = new_app(workers=8)  # a host gives up after three crashes for each of its workers
    started = app.client.start(str(root))
    wait_for_progress(app, started, 1)
    kills = 0
    while kills < 20:
        time.sleep(dice.uniform(0, 0.6))
        if alive := app.workers():
            dice.choice(alive).kill()
            kills += 1
    killed_while_running = app.client.status(started)["runtimeStatus"]

    document = app.client.wait(started, 120)
    assert document["runtimeStatus"] == "Completed", document
    assert killed_while_running == "Running"
    assert document["output"] == total_bytes(root)
    assert document["customStatus"]["files"]["done"] == 5_000
    assert_container_equals_tree(app.container, root)


def test_storage_stopped_in_mid_backup_and_started_again_loses_nothing(
    new_app: NewApp, tmp_path: Path
) -> None:
    root = make_tree(tmp_path / "site", {f"f{n}": Size(10_000) for n in range(800)})
    with Azurite(EmulatorPorts(0, 0, 0), tmp_path / "azurite") as azurite:
        app = new_app(azurite=azurite)
        started = app.client.start(str(root))
        wait_for_progress(app, started, 100)

        azurite.stop()
        time.sleep(2)  # the outage itself
        assert app.client.status(started)["runtimeStatus"] == "Running"
        azurite.start()

        document = app.client.wait(started, 90)
        assert document["runtimeStatus"] == "Completed", document
        assert document["output"] == total_bytes(root)
        assert_container_equals_tree(app.container, root)


@pytest.mark.timeout(180)
def test_a_file_that_ends_its_worker_each_time_fails_by_itself_and_the_others_are_saved(
    new_app: NewApp, azurite: Azurite, tmp_path: Path
) -> None:
    root = make_tree(
        tmp_path / "site", {f"f{n}": Size(1_000) for n in range(300)} | {"poison": Size(9_000_000)}
    )
    with storage_proxy(azurite) as proxy:
        app = new_app({"BackupStorage": proxy.connection_string}, workers=3)

        def end_worker(request: Request) -> None:
            if request.method == "PUT":
                for worker in app.workers():
                    with suppress(psutil.NoSuchProcess):
                        if any(file.path == str(root / "poison") for file in worker.open_files()):
                            worker.kill()

        with proxy.rule("/poison", end_worker):
            document = app.back_up(root, timeout=150)

    assert document["runtimeStatus"] == "Failed"
    assert "1 of 302 entries were not backed up: poison: its worker ended" in document["output"]
    assert document["customStatus"]["files"]["done"] == 300
    (root / "poison").unlink()
    assert_container_equals_tree(app.container, root)
