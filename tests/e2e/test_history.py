"""A second backup, and all that is still there of the first one: over HTTP, as a user would see it."""

import hashlib
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from localstack.client import Document
from tests.e2e.support.apps import RunningApp
from tests.e2e.support.containers import assert_container_equals_tree, blob_content, reader
from tests.e2e.support.manifests import read_manifest
from tests.e2e.support.proxy import Proxy, recorded
from tests.e2e.support.trees import Size, Tree, make_tree, total_bytes, wait_until_settled
from tests.support.past import run_of, tree_of

SITE: Tree = {
    **{f"page-{number}.html": f"<p>{number}</p>".encode() for number in range(20)},
    "img": {f"{number}.jpg": Size(20_000 + number) for number in range(30)},
    "film.mp4": Size(9 * 1024 * 1024),
    "empty": {},
}


def back_up(app: RunningApp, root: Path, **options: Any) -> Document:
    return app.run("E2_BackupSiteContent", {"rootDirectory": str(root), **options})


def bytes_read(app: RunningApp) -> int:
    """What the app's workers have read from files in all, as the kernel counts it."""
    return sum(worker.io_counters().read_chars for worker in app.workers())


def ended(document: Document) -> dict[str, int]:
    """The counts of files of a run that completed."""
    assert document["runtimeStatus"] == "Completed", document
    return document["customStatus"]["files"]


@pytest.mark.any_host
def test_a_second_backup_uploads_what_changed_mirrors_the_tree_and_keeps_the_first_state(
    app: RunningApp, tmp_path: Path
) -> None:
    root = make_tree(tmp_path / "site", SITE)
    first_tree = tree_of(root)
    first = app.back_up(root)
    assert ended(first)["new"] == 51

    for number in range(10):
        (root / f"page-{number}.html").write_bytes(b"<h1>changed</h1>")
    (root / "page-11.html").unlink()
    (root / "img/7.jpg").unlink()
    (root / "film.mp4").rename(root / "movie.mp4")
    second_tree = tree_of(root)
    second = app.back_up(root)

    files = ended(second)
    assert (files["new"], files["changed"], files["gone"], files["unchanged"]) == (1, 10, 3, 38)
    assert files["total"] == files["done"] == 49
    assert second["output"] == total_bytes(root)
    assert second["customStatus"]["bytes"]["uploaded"] == 10 * 16 + 9 * 1024 * 1024
    assert_container_equals_tree(app.container, root)
    assert run_of(reader(app.blobs), first["instanceId"]) == first_tree
    assert run_of(reader(app.blobs), second["instanceId"]) == second_tree


def test_where_nothing_changed_nothing_is_written_and_no_file_is_read(
    proxied_app: RunningApp, proxy: Proxy, tmp_path: Path
) -> None:
    root = make_tree(tmp_path / "site", {**SITE, "large.bin": Size(40 * 1024 * 1024)})
    wait_until_settled(root)
    ended(proxied_app.back_up(root))
    before = bytes_read(proxied_app)
    with recorded(proxy, "/backups", "/backup-history") as requests:
        document = proxied_app.back_up(root)
    of_files = bytes_read(proxied_app) - before

    files = ended(document)
    assert (files["total"], files["done"], files["unchanged"], files["gone"]) == (52, 52, 52, 0)
    assert document["customStatus"]["bytes"]["uploaded"] == 0
    assert {request.method for request in requests} == {"GET"}
    assert not [request for request in requests if f"{root}/" in request.path]  # they list
    assert of_files < 10 * 1024 * 1024
    assert run_of(reader(proxied_app.blobs), document["instanceId"]) == tree_of(root)

    before = bytes_read(proxied_app)
    with recorded(proxy, "/backups", "/backup-history") as requests:
        hashed = back_up(proxied_app, root, changeDetection="hash")
    assert bytes_read(proxied_app) - before >= total_bytes(root)
    assert ended(hashed)["unchanged"] == 52
    assert {request.method for request in requests} == {"GET"}


@pytest.mark.any_host
def test_what_storage_has_lost_or_got_from_others_is_put_right_by_the_next_run(
    app: RunningApp, tmp_path: Path
) -> None:
    root = make_tree(tmp_path / "site", SITE)
    wait_until_settled(root)
    ended(app.back_up(root))
    name = str(root).lstrip("/")
    app.container.delete_blob(f"{name}/film.mp4")
    app.container.delete_blob(f"{name}/img/3.jpg")
    app.container.delete_blob(f"{name}/empty")
    app.container.upload_blob(f"{name}/page-1.html", b"of another writer", overwrite=True)
    app.container.upload_blob(f"{name}/stranger", b"of another writer")

    document = app.back_up(root)

    files = ended(document)
    assert (files["new"], files["changed"], files["unchanged"]) == (0, 3, 48)
    restored = [root / name for name in ("film.mp4", "img/3.jpg", "page-1.html")]
    assert document["customStatus"]["bytes"]["uploaded"] == sum(path.stat().st_size for path in restored)
    app.container.delete_blob(f"{name}/stranger")  # it is still there
    assert_container_equals_tree(app.container, root)
    assert run_of(reader(app.blobs), document["instanceId"]) == tree_of(root)
    read_manifest(app.blobs, document)
    theirs = hashlib.md5(b"of another writer", usedforsecurity=False).hexdigest()
    assert reader(app.blobs)("backup-history", f"{name}/page-1.html/{theirs}") == b"of another writer"
    assert ended(app.back_up(root))["unchanged"] == 51


@pytest.mark.any_host
def test_a_tree_that_has_lost_most_of_its_files_removes_nothing_until_that_is_allowed(
    app: RunningApp, tmp_path: Path
) -> None:
    root = make_tree(tmp_path / "site", {f"f{number:03}": b"%d" % number for number in range(120)})
    lost = sorted(root.iterdir())[:70]
    first_tree = tree_of(root)
    first = app.back_up(root)
    ended(first)
    for path in lost:
        path.unlink()
    (root / "f100").write_bytes(b"changed")
    (root / "new").write_bytes(b"new")

    for _ in range(2):
        document = app.back_up(root)
        assert document["runtimeStatus"] == "Failed"
        assert "70 of the 12" in document["output"]
        assert (
            "Nothing was removed from the backup. If that is right, set maxDelete to 70 or more."
            in (document["output"])
        )
        assert document["customStatus"]["files"]["gone"] == 0
        index, entries = read_manifest(app.blobs, document)
        kept = [path for path, entry in entries.items() if entry.get("outcome") == "kept"]
        assert kept == [path.name for path in lost]
        assert index["totals"]["kept"] == 70
        for number, path in enumerate(lost):
            assert blob_content(app.container, path) == b"%d" % number
        for name in ("f100", "new"):
            assert blob_content(app.container, root / name) == (root / name).read_bytes()

    assert back_up(app, root, maxDelete=69)["runtimeStatus"] == "Failed"
    document = back_up(app, root, maxDelete=70)
    assert ended(document)["gone"] == 70
    assert_container_equals_tree(app.container, root)
    assert run_of(reader(app.blobs), document["instanceId"]) == tree_of(root)
    assert run_of(reader(app.blobs), first["instanceId"]) == first_tree


@pytest.mark.any_host
def test_a_change_that_only_ctime_shows_is_found_unless_mtime_alone_is_to_count(
    app: RunningApp, tmp_path: Path
) -> None:
    root = make_tree(tmp_path / "site", {"a": b"1111", "b": b"2222"})
    wait_until_settled(root)
    ended(app.back_up(root))
    before = (root / "a").stat()
    (root / "a").write_bytes(b"3333")
    os.utime(root / "a", ns=(before.st_atime_ns, before.st_mtime_ns))
    wait_until_settled(root)

    assert ended(back_up(app, root, changeDetection="mtime"))["unchanged"] == 2
    assert blob_content(app.container, root / "a") == b"1111"
    files = ended(back_up(app, root, changeDetection="ctime"))
    assert (files["changed"], files["unchanged"]) == (1, 1)
    assert_container_equals_tree(app.container, root)


def test_files_that_are_moved_about_with_their_times_are_read_and_the_status_says_what_helps(
    app: RunningApp, tmp_path: Path
) -> None:
    if app.host is None:
        pytest.skip("the workers of a host elsewhere are not here")
    root = make_tree(tmp_path / "site", {f"f{number}": Size(200_000) for number in range(120)})

    def move() -> None:
        shutil.copytree(root, tmp_path / "copy")
        for path in (tmp_path / "copy").iterdir():
            path.rename(root / path.name)
        (tmp_path / "copy").rmdir()
        wait_until_settled(root)

    wait_until_settled(root)
    assert "hint" not in app.back_up(root)["customStatus"]
    move()
    document = app.back_up(root)
    assert ended(document)["unchanged"] == 120
    assert document["customStatus"]["bytes"]["uploaded"] == 0
    assert "changeDetection" in document["customStatus"]["hint"]

    move()
    before = bytes_read(app)
    document = back_up(app, root, changeDetection="mtime")
    assert ended(document)["unchanged"] == 120
    assert "hint" not in document["customStatus"]
    assert bytes_read(app) - before < 120 * 200_000 / 2


@pytest.mark.any_host
def test_what_is_excluded_later_stays_as_it_was_until_it_is_taken_again(
    app: RunningApp, tmp_path: Path
) -> None:
    root = make_tree(
        tmp_path / "site", {"index.html": b"1", "logs": {"old": b"2", "new": b"3"}, "a.log": b"4", "x": {}}
    )
    first_tree = tree_of(root)
    first = app.back_up(root)
    ended(first)
    (root / "index.html").write_bytes(b"changed")
    (root / "logs" / "old").unlink()
    (root / "logs" / "new").write_bytes(b"changed too")
    (root / "a.log").unlink()
    (root / "x").rmdir()

    for _ in range(2):
        document = back_up(app, root, exclude=["logs/", "*.log", "x"])
        assert ended(document)["gone"] == 0
        _, entries = read_manifest(app.blobs, document)
        kept = {path: entry["previous"]["since"] for path, entry in entries.items() if "outcome" in entry}
        assert kept == dict.fromkeys(("a.log", "logs/new", "logs/old", "x/"), first["instanceId"])
        for name, content in {"logs/old": b"2", "logs/new": b"3", "a.log": b"4", "x": b""}.items():
            assert blob_content(app.container, root / name) == content
        assert blob_content(app.container, root / "index.html") == b"changed"

    document = app.back_up(root)
    assert ended(document)["gone"] == 3
    assert_container_equals_tree(app.container, root)
    assert run_of(reader(app.blobs), document["instanceId"]) == tree_of(root)
    assert run_of(reader(app.blobs), first["instanceId"]) == first_tree
