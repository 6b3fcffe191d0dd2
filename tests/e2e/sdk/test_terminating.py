"""Ending a run from outside, where its host is the Durable Task SDK."""

import logging
import time
from pathlib import Path

import pytest
from azure.storage.blob import ContainerClient
from durabletask.client import TaskHubGrpcClient

from durable_sdk.connection import SchedulerAddress
from tests.e2e.sdk.commands import running_worker
from tests.e2e.support.proxy import Proxy, Request
from tests.e2e.support.trees import Size, make_tree
from tests.e2e.support.waiting import wait_until

UPLOAD_SECONDS = 0.5
"""What an upload takes in this test: the run would go on for minutes."""


def slowly(_: Request) -> None:
    """A rule that lets everything through late."""
    time.sleep(UPLOAD_SECONDS)


@pytest.mark.timeout(180)
def test_a_terminated_run_copies_nothing_a_minute_later(
    environ: dict[str, str], proxy: Proxy, container: ContainerClient, tmp_path: Path
) -> None:
    root = make_tree(tmp_path / "site", {f"d{n}": {f"f{m}": Size(10) for m in range(60)} for n in range(50)})
    prefix = f"{root}/".lstrip("/")
    settings = {**environ, "BackupStorage": proxy.connection_string}
    with running_worker(settings, tmp_path / "worker.log") as worker, proxy.rule(prefix, slowly):
        address = SchedulerAddress.parse(worker.connection_string).endpoint
        with TaskHubGrpcClient(host_address=address, logger=logging.getLogger(__name__)) as client:
            run = client.schedule_new_orchestration("E2_BackupSiteContent", input=str(root))
            wait_until(lambda: worker.copies > 100, 60, lambda: worker.output[-2_000:])

            client.terminate_orchestration(run)

            def has_stopped() -> bool:
                before = worker.copies
                time.sleep(5 * UPLOAD_SECONDS)  # what is still begun is begun meanwhile
                return worker.copies == before

            wait_until(has_stopped, 60)
    assert 0 < sum(1 for _ in container.list_blobs(name_starts_with=prefix)) < 3_000
