"""The host as a process: how it starts, how it ends, and what it leaves behind: nothing."""

import signal
import socket
import time
from pathlib import Path

import psutil

from .hosts import APPS, LocalHost, copy_app, host_process, until


def test_a_signal_ends_the_host_in_order_also_with_functions_running(own_log: Path, tmp_path: Path) -> None:
    with host_process(APPS / "durable", own_log, "--workers", "2") as host:
        host.ready()
        workers = host.workers
        assert len(workers) == 2
        host.start("Hold", str(tmp_path))
        host.start("HoldLoop", str(tmp_path))
        host.start("Parent", {"name": "Timers", "id": "child", "input": [3600]})
        until((tmp_path / "attempts").exists)
        begun = time.monotonic()
        host.process.send_signal(signal.SIGTERM)
        assert host.process.wait(10) == 0
        assert time.monotonic() - begun < 10
        assert _alive(workers) == []
        with socket.create_server(("127.0.0.1", host.port)):
            pass
        assert "Traceback" not in host.output


def test_an_interrupt_is_a_normal_end(own_log: Path) -> None:
    with host_process(APPS / "durable", own_log) as host:
        host.ready()
        host.process.send_signal(signal.SIGINT)
        assert host.process.wait(20) == 0


def test_a_second_interrupt_ends_the_host_at_once(own_log: Path, tmp_path: Path) -> None:
    with host_process(APPS / "durable", own_log) as host:
        host.ready()
        workers = host.workers
        host.start("Hold", str(tmp_path))
        until((tmp_path / "attempts").exists)
        host.process.send_signal(signal.SIGINT)
        until(lambda: _refuses(host))
        begun = time.monotonic()
        host.process.send_signal(signal.SIGINT)
        # After one signal it would wait for the workers, and end with 0.
        assert host.process.wait(20) == 128 + signal.SIGINT
        assert time.monotonic() - begun < 2
        until(lambda: not _alive(workers), 20)


def test_workers_end_when_the_host_is_killed_whatever_they_are_doing(own_log: Path, tmp_path: Path) -> None:
    with host_process(APPS / "durable", own_log) as host:
        host.ready()
        workers = host.workers
        host.start("HoldLoop", str(tmp_path))
        until((tmp_path / "attempts").exists)
        host.process.kill()
        host.process.wait()
        until(lambda: not _alive(workers), 10)


def test_a_host_may_be_stopped_while_it_starts(own_log: Path) -> None:
    with host_process(APPS / "durable", own_log) as host:
        workers = until(lambda: host.workers)
        host.process.send_signal(signal.SIGTERM)
        assert host.process.wait(10) == 0
        assert _alive(workers) == []


def test_a_busy_port_is_named(own_log: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with host_process(APPS / "durable", own_log, "--port", str(port)) as host:
            assert host.process.wait(10) == 1
            assert f"Port {port} cannot be used: Address already in use." in host.output


def test_an_app_that_does_not_load_is_reported_in_the_workers_words(own_log: Path, tmp_path: Path) -> None:
    app = copy_app("durable", tmp_path, '{"version": "2.0"}')
    (app / "function_app.py").write_text("import no_such_module\n")
    _assert_refused(app, own_log, "ModuleNotFoundError: No module named 'no_such_module'")
    (app / "function_app.py").write_text("import os; os._exit(7)\n")
    _assert_refused(app, own_log, "ended with exit code 7 while it started.")


def test_a_setting_that_is_wrong_is_reported(own_log: Path, tmp_path: Path) -> None:
    _assert_refused(tmp_path, own_log, f"{tmp_path / 'host.json'} is missing.")


def test_an_idle_host_uses_no_processor_time(durable: LocalHost) -> None:
    assert durable.run("FanOut", 3) == 3
    processes = [psutil.Process(durable.process.pid), *durable.workers]
    before = _cpu_seconds(processes)
    time.sleep(1)  # the test is about what does not happen in this second
    assert _cpu_seconds(processes) - before < 0.05


def _assert_refused(app: Path, log: Path, message: str) -> None:
    with host_process(app, log) as host:
        assert host.process.wait(20) == 1
        assert message in host.output


def _alive(processes: list[psutil.Process]) -> list[psutil.Process]:
    return [
        process for process in processes if process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    ]


def _refuses(host: LocalHost) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", host.port)) != 0


def _cpu_seconds(processes: list[psutil.Process]) -> float:
    return sum(sum(process.cpu_times()[:2]) for process in processes)
