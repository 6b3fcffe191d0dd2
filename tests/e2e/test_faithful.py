"""One tree with every kind of entry and of name: what the container and the manifest make of it."""

import os
import stat
from pathlib import Path

import pytest

from localstack.client import Document
from tests.e2e.support.apps import RunningApp
from tests.e2e.support.containers import assert_container_equals_tree, rfc3339
from tests.e2e.support.faithful import CONTENT_TYPES, make_faithful_tree
from tests.e2e.support.manifests import read_manifest
from tests.e2e.support.trees import make_tree, saved_entries, total_bytes

pytestmark = pytest.mark.any_host


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_faithful_tree(tmp_path_factory.mktemp("faithful") / "site")


@pytest.fixture(scope="module")
def document(app: RunningApp, root: Path) -> Document:
    """The final status of a backup of the tree."""
    return app.back_up(root)


def test_every_kind_and_name_arrives_as_it_is_and_nothing_else(
    app: RunningApp, document: Document, root: Path
) -> None:
    assert document["runtimeStatus"] == "Completed", document
    assert document["output"] == total_bytes(root)
    assert_container_equals_tree(app.container, root)


def test_content_types_are_guessed_by_name(app: RunningApp, document: Document, root: Path) -> None:
    assert document["runtimeStatus"] == "Completed", document
    prefix = f"{root}/types/".lstrip("/")
    blobs = app.container.list_blobs(prefix)
    types = {blob.name.removeprefix(prefix): blob.content_settings.content_type for blob in blobs}
    assert types == CONTENT_TYPES


def test_the_manifest_lists_every_entry_with_what_the_container_has_of_it(
    app: RunningApp, document: Document, root: Path
) -> None:
    _, entries = read_manifest(app.blobs, document)
    saved = {os.path.relpath(path, root): path.lstat() for path in saved_entries(root)}
    copied = {path: entry for path, entry in entries.items() if entry["outcome"] == "copied"}
    assert copied.keys() == saved.keys()

    prefix = f"{root}/".lstrip("/")
    blobs = {blob.name: blob for blob in app.container.list_blobs(prefix)}
    assert sorted(entry["blob"] for entry in copied.values()) == sorted(blobs)
    for path, entry in copied.items():
        blob = blobs[entry["blob"]]
        status = saved[path]
        kinds = {stat.S_IFREG: "file", stat.S_IFLNK: "link", stat.S_IFDIR: "directory"}
        assert entry == {
            "path": path,
            "outcome": "copied",
            "kind": kinds[stat.S_IFMT(status.st_mode)],
            "size": 0 if stat.S_ISDIR(status.st_mode) else status.st_size,
            "mtime": rfc3339(status.st_mtime_ns),
            "mode": oct(status.st_mode)[2:],
            "uid": status.st_uid,
            "gid": status.st_gid,
            "blob": blob.name,
            "md5": bytes(blob.content_settings.content_md5 or b"").hex(),
            "etag": f'"{blob.etag.strip('"')}"',  # a listing has it without its quotes
        }


def test_what_has_no_content_is_skipped_and_in_the_manifest_with_its_reason(
    app: RunningApp, document: Document, root: Path
) -> None:
    _, entries = read_manifest(app.blobs, document)
    odd = {path: entry["reason"] for path, entry in entries.items() if entry["outcome"] != "copied"}
    made = {f"special/{path.name}" for path in (root / "special").iterdir()}  # a device only where permitted
    reasons = {"special/fifo": "fifo", "special/socket": "socket", "special/device": "character device"}
    assert odd == {path: reasons[path] for path in made}


def test_the_totals_of_manifest_status_and_tree_agree(
    app: RunningApp, document: Document, root: Path
) -> None:
    head, entries = read_manifest(app.blobs, document)
    saved = [path.lstat() for path in saved_entries(root)]
    files = [status.st_size for status in saved if stat.S_ISREG(status.st_mode)]
    links = sum(stat.S_ISLNK(status.st_mode) for status in saved)
    skipped = len(list((root / "special").iterdir()))
    assert head["root"] == str(root)
    assert head["totals"] == {
        "files": len(files),
        "bytes": sum(files),
        "links": links,
        "directories": len(saved) - len(files) - links,
        "skipped": skipped,
    }
    assert document["customStatus"] == {
        "phase": "done",
        "files": {
            "total": len(files),
            "done": len(files),
            "failed": 0,
            "vanished": 0,
            "skipped": skipped,
        },
        "bytes": {"total": sum(files), "done": sum(files)},
        "links": links,
        "emptyDirectories": head["totals"]["directories"],
        "manifest": f"backup-runs/{document['instanceId']}/manifest.ndjson",
    }
    assert len(entries) == len(saved) + skipped


def test_a_root_whose_own_name_needs_escapes_arrives_too(app: RunningApp, tmp_path: Path) -> None:
    root = make_tree(tmp_path / "root %41 ü\n\\ends in dots..", {"f": b"1", "empty": {}})
    document = app.back_up(root)
    assert document["runtimeStatus"] == "Completed", document
    assert_container_equals_tree(app.container, root)
    head, entries = read_manifest(app.blobs, document)
    assert head["root"] == str(root)
    assert entries.keys() == {"f", "empty"}
