"""Workers that share one backup, and what becomes of it when one of them goes."""

import json
import shutil
import signal
import sys
from collections.abc import Generator
from pathlib import Path

import pytest
from azure.storage.blob import BlobServiceClient, ContainerClient
from durabletask.client import OrchestrationState, OrchestrationStatus, TaskHubGrpcClient

from durable_sdk.connection import SETTING, connect
from durable_sdk.worker import MAX_ACTIVITIES, MAX_ORCHESTRATIONS
from localstack.settings import PROJECT
from sitebackup import names
from tests.e2e.sdk.commands import Worker, back_up, running_worker
from tests.e2e.support.commands import run
from tests.e2e.support.containers import assert_container_equals_tree, reader
from tests.e2e.support.trees import Size, make_tree, total_bytes
from tests.e2e.support.waiting import wait_until
from tests.support.past import run_of, tree_of


@pytest.fixture
def second(worker: Worker, environ: dict[str, str], tmp_path: Path) -> Generator[Worker]:
    """Another process that works for the task hub of the first."""
    with running_worker({**environ, SETTING: worker.connection_string}, tmp_path / "second.log") as second:
        yield second


@pytest.fixture
def client(worker: Worker) -> Generator[TaskHubGrpcClient]:
    with connect({SETTING: worker.connection_string}) as hub, hub.client() as client:
        yield client


@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGTERM, 0), (signal.SIGKILL, -signal.SIGKILL)])
def test_a_backup_of_two_workers_goes_on_when_one_is_stopped(
    worker: Worker,
    second: Worker,
    client: TaskHubGrpcClient,
    container: ContainerClient,
    blobs: BlobServiceClient,
    tmp_path: Path,
    number: signal.Signals,
    exit_code: int,
) -> None:
    """It is the second one of its tree: all files change, some are gone."""
    root = make_tree(tmp_path / "site", {f"d{n}": {f"f{m}": b"%d" % m for m in range(80)} for n in range(12)})
    tree = tree_of(root)
    first = client.schedule_new_orchestration(names.BACKUP_SITE_CONTENT, input=str(root))
    ended = client.wait_for_orchestration_completion(first, timeout=60)
    assert ended is not None
    assert ended.runtime_status is OrchestrationStatus.COMPLETED, ended
    shutil.rmtree(root)
    make_tree(root, {f"d{n}": {f"f{m}": Size(2_000) for m in range(80)} for n in range(10)})

    copies_before, copies_of_second = worker.copies, second.copies
    run = client.schedule_new_orchestration(names.BACKUP_SITE_CONTENT, input=str(root))
    wait_until(
        lambda: second.copies - copies_of_second >= 30 and worker.copies - copies_before >= 30,
        30,
        lambda: second.output,
    )

    assert _state(client, run).runtime_status is OrchestrationStatus.RUNNING
    second.process.send_signal(number)

    assert second.process.wait(20) == exit_code
    ended = client.wait_for_orchestration_completion(run, timeout=60)
    assert ended is not None
    assert ended.runtime_status is OrchestrationStatus.COMPLETED, ended
    assert ended.get_output() == total_bytes(root)
    files = ended.get_custom_status()["files"]
    assert (files["done"], files["changed"], files["gone"]) == (800, 800, 160)
    assert_container_equals_tree(container, root)
    assert run_of(reader(blobs), first) == tree
    assert run_of(reader(blobs), run) == tree_of(root)


def test_one_command_needs_no_task_hub_and_no_worker(
    environ: dict[str, str], container: ContainerClient, tmp_path: Path
) -> None:
    root = make_tree(tmp_path / "site", {"a": b"1", "b": {"c": b"22"}})
    exit_code, document = back_up(root, {**environ, "BACKUP_ALLOWED_ROOTS": ""})
    assert (exit_code, document["output"]) == (0, 3), document
    assert_container_equals_tree(container, root)


def test_a_failed_backup_has_exit_code_1(environ: dict[str, str], tmp_path: Path) -> None:
    exit_code, document = back_up(tmp_path / "none", environ)
    assert (exit_code, document["runtimeStatus"]) == (1, "Failed")


@pytest.mark.parametrize(
    ("setting", "value", "says"),
    [
        (SETTING, "Endpoint=nowhere", "Endpoint must begin with http:// or https://"),
        ("BACKUP_CONCURRENCY", "many", "BACKUP_CONCURRENCY takes a whole number"),
    ],
)
def test_a_worker_with_a_bad_setting_says_so_and_has_exit_code_2(
    environ: dict[str, str], setting: str, value: str, says: str
) -> None:
    done = run([sys.executable, "-m", "durable_sdk", "worker"], {**environ, setting: value})
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_a_worker_takes_as_much_at_once_as_the_functions_host() -> None:
    limits = json.loads((PROJECT / "host.json").read_text())["extensions"]["durableTask"]
    assert limits["maxConcurrentActivityFunctions"] == MAX_ACTIVITIES
    assert limits["maxConcurrentOrchestratorFunctions"] == MAX_ORCHESTRATIONS


def _state(client: TaskHubGrpcClient, run: str) -> OrchestrationState:
    state = client.get_orchestration_state(run)
    assert state is not None
    return state
