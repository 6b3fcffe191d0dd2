"""A share whose server is silent: whoever asks for it is told so, and nobody else waits."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.e2e.conftest import NewApp
from tests.e2e.support.containers import assert_container_equals_tree
from tests.e2e.support.trees import Size, make_tree
from tests.e2e.support.waiting import wait_until
from tests.support.fuse import mounted

SHARED_THREADS = min(32, (os.process_cpu_count() or 1) + 4)
"""Threads that Python shares among all that waits (https://docs.python.org/3/library/asyncio-task.html)."""


def test_starts_on_a_silent_share_are_refused_and_other_backups_go_on(
    new_app: NewApp, tmp_path: Path
) -> None:
    app = new_app()
    root = make_tree(tmp_path / "site", {"blocks.bin": Size(9 * 2**20), "file": b"1"})
    (tmp_path / "source").mkdir()
    asked: list[str] = []

    def silent(operation: str, path: str) -> int:
        asked.append(path)
        return 0

    with mounted(tmp_path / "source", tmp_path / "share") as share, ThreadPoolExecutor(64) as pool:
        share.trouble = silent
        roots = [str(share.point / str(number)) for number in range(SHARED_THREADS + 2)]
        starts = [pool.submit(app.start, "E2_BackupSiteContent", root) for root in roots]
        wait_until(lambda: len(asked) >= SHARED_THREADS, 20)
        assert app.back_up(root)["runtimeStatus"] == "Completed"
        for start in starts:
            answer = start.result()
            assert (answer.status_code, answer.json()["error"]["code"]) == (503, "RootUnavailable")
    assert_container_equals_tree(app.container, root)
