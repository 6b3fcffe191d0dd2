"""One backup on two hosts, Azure Functions and the Durable Task SDK: the same container, the same result."""

from collections.abc import Callable
from pathlib import Path

import pytest
from azure.storage.blob import ContainerClient

from durable_sdk.connection import SETTING
from tests.e2e.sdk.commands import back_up
from tests.e2e.support.apps import RunningApp
from tests.e2e.support.containers import assert_container_equals_tree
from tests.e2e.support.trees import Link, Size, Tree, make_tree, total_bytes

type Result = dict[str, object]
"""A final status document without what is each run's own: its id, also inside of texts, and its times."""

SITE: Tree = {
    "index.html": b"<h1>hello</h1>",
    "empty": b"",
    "no files": {"here": {}},
    "names": {"ü 日本 🎉.txt": b"1", "100%41": b"2", "back\\slash": b"3", "not text \udcff": b"4"},
    "blocks.bin": Size(9 * 1024 * 1024 + 17),
    "link": Link("index.html"),
}


@pytest.fixture(params=["functions", "sdk"])
def backup(request: pytest.FixtureRequest, environ: dict[str, str]) -> Callable[[Path], Result]:
    """Runs a backup on one of the hosts."""
    if request.param == "functions":
        app: RunningApp = request.getfixturevalue("app")
        return lambda root: _result(app.back_up(root))
    hub: str = request.getfixturevalue("worker").connection_string
    return lambda root: _result(back_up(root, {**environ, SETTING: hub})[1])


def _result(document: dict[str, object]) -> Result:
    run = str(document["instanceId"])
    output = document["output"]
    own = ("instanceId", "createdTime", "lastUpdatedTime")
    return {name: value for name, value in document.items() if name not in own} | {
        "output": output.replace(run, "<run>") if isinstance(output, str) else output
    }


def _completed(root: Path, files: int, skipped: int = 0) -> Result:
    size = total_bytes(root)
    return {
        "name": "E2_BackupSiteContent",
        "runtimeStatus": "Completed",
        "input": str(root),
        "customStatus": {
            "phase": "done",
            "files": {"total": files, "done": files, "failed": 0, "vanished": 0, "skipped": skipped},
            "bytes": {"total": size, "done": size},
        },
        "output": size,
    }


def test_a_small_tree(backup: Callable[[Path], Result], container: ContainerClient, tmp_path: Path) -> None:
    root = make_tree(tmp_path / "site", SITE)
    assert backup(root) == _completed(root, files=7, skipped=1)
    assert_container_equals_tree(container, root)


def test_a_bulk_tree(backup: Callable[[Path], Result], container: ContainerClient, tmp_path: Path) -> None:
    root = make_tree(
        tmp_path / "site", {f"d{n}": {f"f{m}": Size(n + m) for m in range(40)} for n in range(10)}
    )
    assert backup(root) == _completed(root, files=400)
    assert_container_equals_tree(container, root)


def test_a_file_that_cannot_be_saved(
    backup: Callable[[Path], Result], container: ContainerClient, tmp_path: Path
) -> None:
    too_deep: Tree = {"f": b"lost"}
    for _ in range(5):
        too_deep = {"x" * 220: too_deep}
    root = make_tree(tmp_path / "site", {"deep": too_deep, "a": b"1", "z": {"b": Size(3_000)}})
    lost = "/".join(["deep", *["x" * 220] * 5, "f"])

    result = backup(root)

    assert result["runtimeStatus"] == "Failed"
    assert result["output"] == (
        "sitebackup.errors.BackupFailedError: 1 of 3 files were not backed up: "
        f"{lost}: blob name is longer than 1024 characters. "
        "All outcomes: container backup-runs, <run>/outcomes/."
    )
    (root / lost).unlink()
    assert_container_equals_tree(container, root)


def test_a_directory_that_is_not_there(backup: Callable[[Path], Result], tmp_path: Path) -> None:
    result = backup(tmp_path / "none")
    assert result["runtimeStatus"] == "Failed"
    assert result["output"] == f"sitebackup.errors.BackupFailedError: '{tmp_path / 'none'}' does not exist."
