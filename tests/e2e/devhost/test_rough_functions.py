"""Functions that are rough on their worker: what they fork, start and spawn, and how they end."""

import json
import signal
from collections.abc import Generator
from pathlib import Path

import psutil
import pytest

from .hosts import APPS, LocalHost, copy_app, host_process, until

HASTY = json.dumps(
    {"version": "2.0", "functionTimeout": "00:00:01", "extensions": {"http": {"routePrefix": ""}}}
)


@pytest.fixture
def left_behind() -> Generator[list[int]]:
    """Process IDs of what functions have started; whatever of it still runs at the end is killed."""
    pids: list[int] = []
    yield pids
    for pid in filter(_runs, pids):
        psutil.Process(pid).kill()


@pytest.fixture
def rough(own_log: Path) -> Generator[LocalHost]:
    # Python's default: what is printed waits until there is more.
    with host_process(APPS / "rough", own_log, environment={"PYTHONUNBUFFERED": ""}) as host:
        yield host.ready()


def test_a_dead_worker_is_replaced_while_a_forked_child_holds_its_connection(
    rough: LocalHost, left_behind: list[int]
) -> None:
    first = int(rough.http.get("/pid").text)
    left_behind.append(int(rough.http.post("/fork").text))
    psutil.Process(first).send_signal(signal.SIGKILL)
    until(lambda: not _runs(first))
    rough.http.get("/pid", timeout=10)  # answered, well or badly
    assert int(rough.http.get("/pid", timeout=10).text) != first


def test_a_worker_that_is_stopped_gets_no_more_calls_while_a_forked_child_holds_its_connection(
    own_log: Path, tmp_path: Path, left_behind: list[int]
) -> None:
    with host_process(copy_app("rough", tmp_path, HASTY), own_log) as host:
        host.ready()
        first = int(host.http.get("/pid").text)
        left_behind.append(int(host.http.post("/fork").text))
        assert host.http.post("/sleep", content="30").status_code == 500
        assert int(host.http.get("/pid", timeout=10).text) != first


def test_what_a_function_has_started_does_not_outlive_its_worker(
    rough: LocalHost, left_behind: list[int]
) -> None:
    left_behind.append(int(rough.http.post("/start").text))
    assert _runs(left_behind[0])
    psutil.Process(int(rough.http.get("/pid").text)).send_signal(signal.SIGKILL)
    until(lambda: not _runs(left_behind[0]))


@pytest.mark.parametrize("ends_by", [signal.SIGTERM, signal.SIGKILL])
def test_what_a_function_has_started_does_not_outlive_the_host(
    rough: LocalHost, left_behind: list[int], ends_by: signal.Signals
) -> None:
    left_behind.append(int(rough.http.post("/start").text))
    assert _runs(left_behind[0])
    rough.process.send_signal(ends_by)
    rough.process.wait(10)
    until(lambda: not _runs(left_behind[0]))


def test_what_an_app_does_at_its_end_is_not_cut_short(rough: LocalHost) -> None:
    rough.process.send_signal(signal.SIGTERM)
    assert rough.process.wait(10) == 0
    assert "What the app has registered was called." in rough.output


def test_a_process_can_be_spawned_in_any_app(rough: LocalHost) -> None:
    answer = rough.http.post("/spawn", content="10", timeout=20)
    assert (answer.status_code, answer.text) == (200, "1024")


def test_a_cancelled_function_is_answered(rough: LocalHost) -> None:
    assert rough.http.get("/cancelled", timeout=10).status_code == 500
    assert "CancelledError" in rough.output


def _runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
