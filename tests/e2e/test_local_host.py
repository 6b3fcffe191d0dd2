"""The local host as this project's commands, tests and benchmarks start it."""

import httpx
import psutil

from localstack.host import Host
from tests.e2e.devhost.hosts import APPS, until
from tests.e2e.support.apps import clean_environ


def test_a_host_finds_a_port_hosts_another_app_and_goes_on_after_many_crashes() -> None:
    environ = {**clean_environ(), "FUNCTIONS_WORKER_PROCESS_COUNT": "1"}
    with Host(0, environ, quiet=True, app=APPS / "rough", crash_limit=False) as host:
        for _ in range(4):  # by default the third crash ends it
            psutil.Process(_worker(host)).kill()
        assert psutil.pid_exists(_worker(host))
        port = host.port
        host.stop()
        host.start()
        assert host.port == port


def _worker(host: Host) -> int:
    """The process that answers a call; a call to one that has just been killed fails."""

    def answer() -> int | None:
        response = httpx.get(f"{host.base_url}/pid", timeout=30, trust_env=False)
        return int(response.text) if response.is_success else None

    return until(answer)
