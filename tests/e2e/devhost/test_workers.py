"""Worker processes that die or hang, and what becomes of the work they held."""

import asyncio
import os
import signal
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from devhost import workers
from devhost.invocations import Invocation, WorkerLostError, WorkerRecycledError
from devhost.settings import load_settings

from .hosts import APPS, LocalHost, copy_app, host_process, until


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Generator[LocalHost]:
    """A host with two workers. Tests may kill five of them before the host takes it amiss."""
    log = tmp_path_factory.mktemp("pair") / "log"
    with host_process(APPS / "durable", log, "--workers", "2") as host:
        yield host.ready()


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Generator[LocalHost]:
    """A host whose functions get one second."""
    directory = tmp_path_factory.mktemp("hasty")
    host_json = (
        '{"version": "2.0", "functionTimeout": "00:00:01", "extensions": {"http": {"routePrefix": ""}}}'
    )
    with host_process(copy_app("durable", directory, host_json), directory / "log") as host:
        yield host.ready()


def test_work_is_spread_over_the_workers(pair: LocalHost, tmp_path: Path) -> None:
    instances = [pair.start("Hold", str(tmp_path)) for _ in range(4)]
    assert len(set(_attempts(tmp_path, 4))) == 2
    (tmp_path / "release").touch()
    for instance_id in instances:
        assert pair.end(instance_id)["runtimeStatus"] == "Completed"


def test_an_activity_whose_worker_is_killed_fails_and_is_not_run_again(
    pair: LocalHost, tmp_path: Path
) -> None:
    instance_id = pair.start("Outcome", {"activity": "Hold", "input": str(tmp_path)})
    _kill(pair, _attempts(tmp_path, 1)[0])
    assert pair.end(instance_id)["output"] == [
        "Microsoft.Azure.WebJobs.Host.FunctionInvocationException",
        "Exception while executing function: Functions.hold_until_released",
    ]
    assert len(_attempts(tmp_path, 1)) == 1


def test_a_turn_whose_worker_ends_is_run_again(pair: LocalHost, tmp_path: Path) -> None:
    lives = tmp_path / "lives"
    lives.write_text("1")
    assert pair.run("CrashInTurn", str(lives)) == "survived"


def test_an_entity_whose_worker_ends_answers_with_a_failure_and_keeps_its_state(pair: LocalHost) -> None:
    [message, state] = pair.run("BreakCounter", "crash")
    assert "Invocation of function 'counter' failed with an exception." in message
    assert state == 1


def test_a_killed_worker_loses_no_orchestration(pair: LocalHost) -> None:
    instances = [pair.start("Nap", [0.01] * 200) for _ in range(4)]
    for instance_id in instances:
        pair.until_status(instance_id, "Running")
    _kill(pair, pair.workers[0].pid)
    assert {pair.end(instance_id)["runtimeStatus"] for instance_id in instances} == {"Completed"}


def test_a_caller_whose_worker_is_killed_gets_500(pair: LocalHost, tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as caller:
        call = caller.submit(pair.http.post, "/hold", content=str(tmp_path))
        _kill(pair, _attempts(tmp_path, 1)[0])
        answer = call.result()
    assert (answer.status_code, answer.content) == (500, b"")


def test_an_activity_that_runs_too_long_fails_and_is_not_run_again(hasty: LocalHost, tmp_path: Path) -> None:
    call = {"activity": "Hold", "input": str(tmp_path)}
    assert hasty.run("Outcome", call) == [
        "Microsoft.Azure.WebJobs.Host.FunctionTimeoutException",
        "Timeout value of 00:00:01 was exceeded by function: Functions.hold_until_released",
    ]
    assert len(_attempts(tmp_path, 1)) == 1


def test_what_ran_beside_a_function_that_takes_too_long_is_run_again(
    hasty: LocalHost, tmp_path: Path
) -> None:
    slow, beside = tmp_path / "slow", tmp_path / "beside"
    slow.mkdir()
    beside.mkdir()
    hasty.start("Hold", str(slow))
    first = _attempts(slow, 1)[0]
    instance_id = hasty.start("Hold", str(beside))
    assert _attempts(beside, 1) == [first]
    assert _attempts(beside, 2)[1] != first
    (beside / "release").touch()
    assert hasty.end(instance_id)["output"] == 2
    assert len(_attempts(slow, 1)) == 1


def test_a_caller_of_a_function_that_runs_too_long_gets_500(hasty: LocalHost, tmp_path: Path) -> None:
    answer = hasty.http.post("/hold", content=str(tmp_path))
    assert (answer.status_code, answer.content) == (500, b"")
    assert hasty.run("FanOut", 3) == 3


def test_an_event_loop_that_is_blocked_is_a_timeout_too(hasty: LocalHost, tmp_path: Path) -> None:
    [_, message] = hasty.run("Outcome", {"activity": "HoldLoop", "input": str(tmp_path)})
    assert message == "Timeout value of 00:00:01 was exceeded by function: Functions.hold_loop"


def test_three_crashes_of_a_worker_stop_the_host(own_log: Path, tmp_path: Path) -> None:
    lives = tmp_path / "lives"
    with host_process(APPS / "durable", own_log) as host:
        host.ready()
        lives.write_text("2")
        assert host.run("Crash", str(lives)) == "survived"
        lives.write_text("1")
        host.start("Crash", str(lives))
        assert host.process.wait(10) == 1
        assert "The workers crashed 3 times within 30 minutes; the host stops." in host.output


def test_a_host_without_a_crash_limit_goes_on(own_log: Path, tmp_path: Path) -> None:
    lives = tmp_path / "lives"
    with host_process(APPS / "durable", own_log, "--no-crash-limit") as host:
        host.ready()
        for _ in range(2):
            lives.write_text("2")
            assert host.run("Crash", str(lives)) == "survived"


def test_a_worker_that_cannot_be_started_is_tried_again_until_it_can(own_log: Path) -> None:
    with host_process(APPS / "rough", own_log, "--no-crash-limit") as host:
        host.ready()
        first = int(host.http.get("/pid").text)
        process = psutil.Process(host.process.pid)
        limits = process.rlimit(psutil.RLIMIT_NOFILE)
        process.rlimit(psutil.RLIMIT_NOFILE, (3, limits[1]))  # no file more than it has
        _kill(host, first)
        until(lambda: "A new worker did not start: The worker could not be started: Too many" in host.output)
        process.rlimit(psutil.RLIMIT_NOFILE, limits)
        assert int(host.http.get("/pid").text) != first


async def test_a_worker_that_does_not_load_its_app_in_time_is_given_up_and_gone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    app = copy_app("rough", tmp_path, '{"version": "2.0"}')
    (app / "function_app.py").write_text("import time; time.sleep(60)")
    monkeypatch.setattr(workers, "START_SECONDS", 1.0)
    with pytest.raises(WorkerLostError, match=r"The worker did not load the app within 1 s\."):
        await workers.Worker.start(load_settings(app, None))
    assert [child for child in psutil.Process().children() if str(app) in child.cmdline()] == []


async def test_a_worker_that_takes_no_signal_is_given_up_with_all_that_it_holds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def reach_nobody(_group: int, _signal: int) -> None: ...

    worker = await workers.Worker.start(load_settings(APPS / "rough", None))
    process = psutil.Process(worker.pid)
    try:
        # As while the kernel waits for a disk: it does not run, and no signal reaches it.
        process.suspend()
        monkeypatch.setattr(os, "killpg", reach_nobody)
        monkeypatch.setattr(workers, "_STOP_SECONDS", 0.2)
        call = asyncio.create_task(worker.invoke(Invocation(worker.functions[0], b""), {}, None))
        await asyncio.sleep(0)
        worker.kill()
        with pytest.raises(WorkerRecycledError):
            await asyncio.wait_for(call, 1)
        await asyncio.wait_for(worker.stop(), 5)
        assert process.is_running()
    finally:
        process.kill()
        process.wait(5)


def _attempts(directory: Path, count: int) -> list[int]:
    """The processes in which `Hold` has run, once there are `count` of them."""

    def probe() -> list[int] | None:
        attempts = directory / "attempts"
        lines = attempts.read_text().splitlines() if attempts.exists() else []
        return [int(line) for line in lines] if len(lines) >= count else None

    return until(probe)


def _kill(host: LocalHost, pid: int) -> None:
    assert pid in [worker.pid for worker in host.workers]
    psutil.Process(pid).send_signal(signal.SIGKILL)
