"""One backup on two hosts, Azure Functions and the Durable Task SDK: the same container, the same result."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from azure.storage.blob import BlobServiceClient

from durable_sdk.backup import Document
from durable_sdk.connection import SETTING
from tests.e2e.sdk.commands import Worker, back_up
from tests.e2e.support.apps import RunningApp
from tests.e2e.support.containers import assert_container_equals_tree, reader
from tests.e2e.support.trees import Link, Size, Tree, make_tree, regular_files, total_bytes
from tests.support.past import run_of, tree_of

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


type BackUp = Callable[[Path], Document]
"""Runs a backup of a root to its end; returns the final status document."""


@pytest.fixture
def hosts(app: RunningApp, worker: Worker, environ: dict[str, str]) -> list[BackUp]:
    """The two hosts."""

    def on_the_sdk(root: Path) -> Document:
        exit_code, document = back_up(root, {**environ, SETTING: worker.connection_string})
        assert exit_code == (0 if document["runtimeStatus"] == "Completed" else 1)
        return document

    return [app.back_up, on_the_sdk]


@pytest.mark.parametrize("tree", [SMALL, BULK], ids=["small", "bulk"])
def test_a_tree_is_backed_up_alike_and_again_when_it_has_changed(
    hosts: list[BackUp], blobs: BlobServiceClient, tmp_path: Path, tree: Tree
) -> None:
    container = blobs.get_container_client("backups")
    seen: list[Any] = []
    for back_up_on in hosts:
        root = dated(make_tree(tmp_path / "site", tree))
        first_tree = tree_of(root)
        first = back_up_on(root)
        assert_container_equals_tree(container, root)
        assert (first["runtimeStatus"], first["output"]) == ("Completed", total_bytes(root))

        change(root)
        second = back_up_on(root)
        assert_container_equals_tree(container, root)
        assert (second["runtimeStatus"], second["output"]) == ("Completed", total_bytes(root))
        files = second["customStatus"]["files"]
        assert (files["new"], files["changed"], files["gone"]) == (1, 1, 1)
        assert run_of(reader(blobs), first["instanceId"]) == first_tree
        assert run_of(reader(blobs), second["instanceId"]) == tree_of(root)

        seen.append([result(first), result(second), *forget(blobs, root)])
        shutil.rmtree(root)
    assert seen[0] == seen[1]


def test_one_host_goes_on_where_the_other_one_ended(
    hosts: list[BackUp], blobs: BlobServiceClient, tmp_path: Path
) -> None:
    root = make_tree(tmp_path / "site", SMALL)
    documents = [back_up_on(root) for back_up_on in (*hosts, hosts[0])]
    for document in documents[1:]:
        assert document["runtimeStatus"] == "Completed", document
        assert document["customStatus"]["files"]["unchanged"] == 7
        assert document["customStatus"]["bytes"]["uploaded"] == 0
    for document in documents:
        assert run_of(reader(blobs), document["instanceId"]) == tree_of(root)


@pytest.mark.parametrize(
    "tree", [{"deep": TOO_DEEP, "a": b"1", "z": {"b": b"2"}}, {}, None], ids=["lost", "empty", "none"]
)
def test_a_backup_fails_alike(
    hosts: list[BackUp], blobs: BlobServiceClient, tmp_path: Path, tree: Tree | None
) -> None:
    root = tmp_path / "site" if tree is None else make_tree(tmp_path / "site", tree)
    seen: list[Any] = []
    for back_up_on in hosts:
        document = back_up_on(root)
        assert document["runtimeStatus"] == "Failed"
        latest, history = forget(blobs, root)
        assert (len(latest), len(history)) == (2 if tree else 0, 0)
        seen.append([result(document), latest])
    assert seen[0] == seen[1]


def dated(root: Path) -> Path:
    """Give all of a tree the same times, whenever it was made."""
    for path in (*root.rglob("*"), root):
        os.utime(path, (1_000_000_000, 1_000_000_000), follow_symlinks=False)
    return root


def change(root: Path) -> None:
    """Change a file, remove one, and add one."""
    changed, gone, *_ = regular_files(root)
    changed.write_bytes(b"changed")
    gone.unlink()
    (root / "added").write_bytes(b"added")
    dated(root)


def result(document: Document) -> Document:
    """A final status document without what is the run's own: its id, wherever it is named, and its times."""
    text = json.dumps(document).replace(document["instanceId"], "<run>")
    times = ("createdTime", "lastUpdatedTime")
    return {name: value for name, value in json.loads(text).items() if name not in times}


def forget(blobs: BlobServiceClient, root: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Delete what backups of `root` have left, as if there had been none; return its latest content and the
    earlier one, by name."""
    below = f"{root}/".lstrip("/")
    mark = hashlib.sha256(os.fsencode(root)).hexdigest()[:16]
    take(blobs, "backup-catalog", f"runs/{mark}/")
    return take(blobs, "backups", below), take(blobs, "backup-history", below)


def take(blobs: BlobServiceClient, container: str, prefix: str) -> dict[str, Any]:
    """Delete the blobs below `prefix`, and return them by name."""
    client = blobs.get_container_client(container)
    if not client.exists():
        return {}
    found = list(client.list_blobs(name_starts_with=prefix, include=["metadata"]))
    for blob in found:
        client.delete_blob(blob.name)
    return {blob.name: (blob.size, blob.content_settings.content_md5, blob.metadata) for blob in found}
