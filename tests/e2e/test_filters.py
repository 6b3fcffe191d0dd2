"""Options of a backup over HTTP: what is taken of a tree, and what may fail."""

from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from localstack.client import Document
from tests.e2e.support.apps import RunningApp
from tests.e2e.support.manifests import read_manifest
from tests.e2e.support.trees import Link, Tree, make_tree
from tests.support.mounts import mount

SITE: Tree = {
    "index.html": b"1",
    "app.log": b"2",
    "logs": {"old.log": b"3", "note.txt": b"4"},
    "static": {"a.css": b"5", "cache": {"b.css": b"6"}},
    "current": Link("static"),
    "empty": {},
}


def back_up(app: RunningApp, root: Path, **options: Any) -> Document:
    return app.run("E2_BackupSiteContent", {"rootDirectory": str(root), **options})


def saved(app: RunningApp, root: Path) -> set[str]:
    """The names of the blobs below `root`, relative to it."""
    prefix = f"{root}/".lstrip("/")
    return {name.removeprefix(prefix) for name in app.container.list_blob_names(name_starts_with=prefix)}


@pytest.mark.any_host
@pytest.mark.parametrize(
    ("options", "expected", "entered"),
    [
        (
            {"exclude": ["*.log"]},
            "index.html logs/note.txt static/a.css static/cache/b.css current empty",
            "logs/ static/ static/cache/",
        ),
        (
            {"exclude": ["/logs/", "cache", "empty"]},
            "index.html app.log static/a.css current",
            "static/",
        ),
        (
            {"exclude": ["*.log", "!app.log"]},
            "index.html app.log logs/note.txt static/a.css static/cache/b.css current empty",
            "logs/ static/ static/cache/",
        ),
        (
            {"include": ["*.css"]},
            "static/a.css static/cache/b.css",
            "logs/ static/ static/cache/ empty/",
        ),
        (
            {"include": ["*.css", "*.log"], "exclude": ["static/cache/"]},
            "static/a.css app.log logs/old.log",
            "logs/ static/ empty/",
        ),
    ],
    ids=["suffix", "directories", "negation", "include", "both"],
)
def test_patterns_select_what_is_saved(
    app: RunningApp, tmp_path: Path, options: dict[str, list[str]], expected: str, entered: str
) -> None:
    root = make_tree(tmp_path / "site", SITE)
    document = back_up(app, root, **options)
    assert document["runtimeStatus"] == "Completed", document
    assert saved(app, root) == set(expected.split())
    head, entries = read_manifest(app.blobs, document)
    assert {path.removesuffix("/") for path, entry in entries.items() if "blob" in entry} == saved(app, root)
    assert {path for path, entry in entries.items() if "blob" not in entry} == {"", *entered.split()}
    assert head["options"] == {
        "include": [],
        "exclude": [],
        "oneFileSystem": False,
        "allowPartial": False,
        "allowEmpty": False,
        "maxDelete": None,
        "changeDetection": "ctime",
        **options,
    }


@pytest.mark.any_host
@pytest.mark.parametrize("option", ["include", "exclude"])
def test_a_pattern_that_cannot_be_read_is_answered_with_400(
    app: RunningApp, tmp_path: Path, option: str
) -> None:
    answer = app.start("E2_BackupSiteContent", {"rootDirectory": str(tmp_path), option: ["ok", "[z-a]"]})
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "InvalidPattern"


@pytest.mark.any_host
def test_a_partial_backup_completes_if_that_is_allowed_and_counts_what_failed(
    app: RunningApp, tmp_path: Path
) -> None:
    too_deep: Tree = {"f": b"lost"}
    for _ in range(5):
        too_deep = {"x" * 220: too_deep}
    root = make_tree(tmp_path / "site", {"deep": too_deep, "kept": b"12345"})
    document = back_up(app, root, allowPartial=True)
    assert document["runtimeStatus"] == "Completed", document
    assert document["output"] == 5
    assert document["customStatus"]["files"] == {
        "total": 2,
        "done": 1,
        "failed": 1,
        "vanished": 0,
        "skipped": 0,
        "new": 1,
        "changed": 0,
        "unchanged": 0,
        "gone": 0,
        "checked": 1,
    }
    assert saved(app, root) == {"kept"}


@pytest.fixture
def tree_with_mount(tmp_path: Path) -> Generator[Path]:
    """A tree with a file system of its own mounted in it, where tests may mount one."""
    root = make_tree(tmp_path / "site", {"outside": b"1", "mounted": {}})
    with mount(root / "mounted", "-t", "tmpfs", "-o", "size=64k", "none"):
        (root / "mounted" / "inside").write_bytes(b"2")
        yield root


@pytest.mark.parametrize(
    ("one_file_system", "expected"), [(False, {"outside", "mounted/inside"}), (True, {"outside"})]
)
def test_a_mount_point_is_entered_unless_the_backup_is_to_stay_on_one_file_system(
    app: RunningApp, tree_with_mount: Path, one_file_system: bool, expected: set[str]
) -> None:
    document = back_up(app, tree_with_mount, oneFileSystem=one_file_system)
    assert document["runtimeStatus"] == "Completed", document
    assert saved(app, tree_with_mount) == expected
    _, entries = read_manifest(app.blobs, document)
    skipped = {path: entry["reason"] for path, entry in entries.items() if "outcome" in entry}
    assert skipped == ({"mounted/": "another file system"} if one_file_system else {})
