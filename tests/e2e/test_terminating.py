"""Ending a run from outside: what it has begun in other orchestrations and in queues ends too."""

import time
from pathlib import Path

import httpx
import pytest

from localstack.client import Document
from tests.e2e.support.apps import RunningApp
from tests.e2e.support.proxy import Proxy, Request
from tests.e2e.support.trees import Size, make_tree
from tests.e2e.support.waiting import wait_until

UPLOAD_SECONDS = 0.5
"""What an upload takes in these tests: the run would go on for minutes."""


def slowly(_: Request) -> None:
    """A rule that lets everything through late."""
    time.sleep(UPLOAD_SECONDS)


def instances_of(app: RunningApp, run: str) -> list[Document]:
    """The run and its sub-orchestrations, as the management API lists them."""
    url = f"{app.base_url}/runtime/webhooks/durabletask/instances"
    found = httpx.get(url, params={"instanceIdPrefix": run, "top": "1000"}, timeout=30)
    return found.raise_for_status().json()


def saved(app: RunningApp, prefix: str) -> int:
    """How many blobs there are below `prefix`."""
    if not app.container.exists():
        return 0
    return sum(1 for _ in app.container.list_blobs(name_starts_with=prefix))


@pytest.mark.timeout(180)
def test_a_terminated_run_writes_nothing_a_minute_later_and_none_of_its_parts_runs(
    proxied_app: RunningApp, proxy: Proxy, tmp_path: Path
) -> None:
    app = proxied_app
    root = make_tree(tmp_path / "site", {f"d{n}": {f"f{m}": Size(10) for m in range(60)} for n in range(50)})
    prefix = f"{root}/".lstrip("/")
    with proxy.rule(prefix, slowly):
        started = app.client.start(str(root))
        wait_until(lambda: saved(app, prefix) > 0, 60)
        parts = len(instances_of(app, started["id"]))
        assert parts > 1, "the run has no sub-orchestrations: the test shows nothing"

        httpx.post(started["terminatePostUri"].replace("{text}", "test"), timeout=30).raise_for_status()

        def has_stopped() -> bool:
            before = saved(app, prefix)
            time.sleep(5 * UPLOAD_SECONDS)  # what is still written is written meanwhile
            states = {instance["runtimeStatus"] for instance in instances_of(app, started["id"])}
            return saved(app, prefix) == before and not states & {"Pending", "Running"}

        wait_until(has_stopped, 60, lambda: instances_of(app, started["id"]))
        assert saved(app, prefix) < 3_000


def test_a_run_goes_on_while_its_task_hub_says_so(
    proxied_app: RunningApp, proxy: Proxy, tmp_path: Path
) -> None:
    """The question is asked every ten seconds: a run that takes longer must survive the answer."""
    root = make_tree(tmp_path / "site", {f"f{n}": Size(10) for n in range(40)})
    with proxy.rule(f"{root}/".lstrip("/"), lambda _: time.sleep(12)):
        document = proxied_app.back_up(root, timeout=90)
    assert document["runtimeStatus"] == "Completed", document
    assert document["output"] == 400
