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
    saved = {key_of(path, root): path.lstat() for path in all_of(root)}
    vouched = {path: entry for path, entry in entries.items() if "outcome" not in entry}
    assert vouched.keys() == saved.keys()

    prefix = f"{root}/".lstrip("/")
    blobs = {blob.name: blob for blob in app.container.list_blobs(prefix)}
    with_blob = {path: blobs[entry["blob"]] for path, entry in vouched.items() if "blob" in entry}
    assert with_blob.keys() == {key_of(path, root) for path in saved_entries(root)}
    assert len({blob.name for blob in with_blob.values()}) == len(blobs) == len(with_blob)
    kinds = {stat.S_IFREG: "file", stat.S_IFLNK: "link", stat.S_IFDIR: "directory"}
    for path, entry in vouched.items():
        status = saved[path]
        expected: Document = {
            "path": path,
            "kind": kinds[stat.S_IFMT(status.st_mode)],
            "mtime": rfc3339(status.st_mtime_ns),
            "ctime": rfc3339(status.st_ctime_ns),
            "inode": status.st_ino,
            "mode": oct(status.st_mode)[2:],
            "uid": status.st_uid,
            "gid": status.st_gid,
        }
        if path in with_blob:
            blob = with_blob[path]
            expected |= {
                "blob": blob.name,
                "md5": bytes(blob.content_settings.content_md5 or b"").hex(),
                "etag": f'"{blob.etag.strip('"')}"',  # a listing has it without its quotes
                "since": document["instanceId"],
            }
            if status.st_size and not stat.S_ISDIR(status.st_mode):
                expected["size"] = status.st_size
        # Whether the run was so quick that the next one reads it again is up to the machine.
        assert {name: value for name, value in entry.items() if name != "recheck"} == expected


def test_what_has_no_content_is_skipped_and_in_the_manifest_with_its_reason(
    app: RunningApp, document: Document, root: Path
) -> None:
    _, entries = read_manifest(app.blobs, document)
    odd = {path: entry["reason"] for path, entry in entries.items() if "outcome" in entry}
    assert {entry.get("outcome", "skipped") for entry in entries.values()} == {"skipped"}
    made = {f"special/{path.name}" for path in (root / "special").iterdir()}  # a device only where permitted
    reasons = {"special/fifo": "fifo", "special/socket": "socket", "special/device": "character device"}
    assert odd == {path: reasons[path] for path in made}


def test_the_totals_of_manifest_status_and_tree_agree(
    app: RunningApp, document: Document, root: Path
) -> None:
    index, entries = read_manifest(app.blobs, document)
    found = [path.lstat() for path in all_of(root)]
    files = [status.st_size for status in found if stat.S_ISREG(status.st_mode)]
    targets = [status.st_size for status in found if stat.S_ISLNK(status.st_mode)]
    skipped = len(list((root / "special").iterdir()))
    directories = len(found) - len(files) - len(targets)
    uploaded = sum(files) + sum(targets)
    assert index["root"] == str(root)
    assert index["totals"] == {
        "files": len(files),
        "bytes": sum(files),
        "links": len(targets),
        "directories": directories,
        "skipped": skipped,
        "new": len(files),
        "uploaded": uploaded,
    }
    assert document["customStatus"] == {
        "phase": "done",
        "files": {
            "total": len(files),
            "done": len(files),
            "failed": 0,
            "vanished": 0,
            "skipped": skipped,
            "new": len(files),
            "changed": 0,
            "unchanged": 0,
            "gone": 0,
            "checked": sum("blob" in entry for entry in entries.values()),
        },
        "bytes": {"total": sum(files), "done": sum(files), "uploaded": uploaded},
        "links": len(targets),
        "directories": directories,
        "manifest": f"backup-catalog/manifests/{document['instanceId']}/index.json",
    }
    assert len(entries) == len(found) + skipped


def test_a_root_whose_own_name_needs_escapes_arrives_too(app: RunningApp, tmp_path: Path) -> None:
    root = make_tree(tmp_path / "root %41 ü\n\\ends in dots..", {"f": b"1", "empty": {}})
    document = app.back_up(root)
    assert document["runtimeStatus"] == "Completed", document
    assert_container_equals_tree(app.container, root)
    index, entries = read_manifest(app.blobs, document)
    assert index["root"] == str(root)
    assert entries.keys() == {"", "f", "empty/"}


def all_of(root: Path) -> list[Path]:
    """Every file, link and directory of a tree, the root included."""
    found = [root / directory / name for directory, names, more in root.walk() for name in (*names, *more)]
    kinds = (stat.S_ISREG, stat.S_ISLNK, stat.S_ISDIR)
    return [path for path in (root, *found) if any(is_kind(path.lstat().st_mode) for is_kind in kinds)]


def key_of(path: Path, root: Path) -> str:
    """An entry's path in a manifest."""
    relative = "" if path == root else os.path.relpath(path, root)
    return f"{relative}/" if relative and stat.S_ISDIR(path.lstat().st_mode) else relative
