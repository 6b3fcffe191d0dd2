"""One backup on two hosts, Azure Functions and the Durable Task SDK: the same container, the same result."""

import json
from pathlib import Path
from typing import Any

import pytest
from azure.storage.blob import ContainerClient

from durable_sdk.backup import Document
from durable_sdk.connection import SETTING
from tests.e2e.sdk.commands import Worker, back_up
from tests.e2e.support.apps import RunningApp
from tests.e2e.support.containers import assert_container_equals_tree
from tests.e2e.support.trees import Link, Size, Tree, make_tree, total_bytes

SMALL: Tree = {
    "index.html": b"<h1>hello</h1>",
    "empty": b"",
    "no files": {"here": {}},
    "names": {"ü 日本 🎉.txt": b"1", "100%41": b"2", "back\\slash": b"3", "not text \udcff": b"4"},
    "blocks.bin": Size(9 * 1024 * 1024 + 17),
    "link": Link("index.html"),
}
BULK: Tree = {f"d{n}": {f"f{m}": Size(n + m) for m in range(40)} for n in range(10)}
TOO_DEEP: Tree = {"x" * 220: {"x" * 220: {"x" * 220: {"x" * 220: {"x" * 220: {"f": b"lost"}}}}}}


@pytest.mark.parametrize("tree", [SMALL, BULK], ids=["small", "bulk"])
def test_a_tree_is_backed_up_alike(
    app: RunningApp,
    worker: Worker,
    environ: dict[str, str],
    container: ContainerClient,
    tmp_path: Path,
    tree: Tree,
) -> None:
    root = make_tree(tmp_path / "site", tree)

    functions = app.back_up(root)
    assert_container_equals_tree(container, root)
    assert (functions["runtimeStatus"], functions["output"]) == ("Completed", total_bytes(root))
    functions_blobs = take_blobs(container, root)

    exit_code, sdk = back_up(root, {**environ, SETTING: worker.connection_string})
    assert_container_equals_tree(container, root)
    assert exit_code == 0
    assert result(sdk) == result(functions)
    assert take_blobs(container, root) == functions_blobs


@pytest.mark.parametrize(
    "tree", [{"deep": TOO_DEEP, "a": b"1", "z": {"b": b"2"}}, {}, None], ids=["lost", "empty", "none"]
)
def test_a_backup_fails_alike(
    app: RunningApp,
    worker: Worker,
    environ: dict[str, str],
    container: ContainerClient,
    tmp_path: Path,
    tree: Tree | None,
) -> None:
    root = tmp_path / "site" if tree is None else make_tree(tmp_path / "site", tree)

    functions = app.back_up(root)
    functions_blobs = take_blobs(container, root)
    assert functions["runtimeStatus"] == "Failed"
    assert len(functions_blobs) == (2 if tree else 0)

    exit_code, sdk = back_up(root, {**environ, SETTING: worker.connection_string})
    assert exit_code == 1
    assert result(sdk) == result(functions)
    assert take_blobs(container, root) == functions_blobs


def result(document: Document) -> Document:
    """A final status document without what is the run's own: its id, wherever it is named, and its times."""
    text = json.dumps(document).replace(document["instanceId"], "<run>")
    times = ("createdTime", "lastUpdatedTime")
    return {name: value for name, value in json.loads(text).items() if name not in times}


def take_blobs(container: ContainerClient, root: Path) -> dict[str, Any]:
    """What a backup of `root` left, by name; the next one finds none of it."""
    found = list(container.list_blobs(name_starts_with=f"{root}/".lstrip("/"), include=["metadata"]))
    for blob in found:
        container.delete_blob(blob.name)
    return {blob.name: (blob.size, blob.content_settings.content_md5, blob.metadata) for blob in found}
