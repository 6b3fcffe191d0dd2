"""E2_VerifyBackup: a run's manifest against what the container holds now."""

import hashlib
from pathlib import Path

import pytest
from azure.storage.blob import BlobBlock, ContentSettings

from localstack.client import Document
from tests.e2e.support.apps import RunningApp
from tests.e2e.support.trees import Link, Size, Tree, make_tree, total_bytes

pytestmark = pytest.mark.any_host

SITE: Tree = {"a": b"1", "b": b"22", "c": {"d": b"333", "é\\": b"4444"}, "link": Link("a"), "empty": {}}
ENTRIES = 6


@pytest.fixture
def run(app: RunningApp, tmp_path: Path) -> str:
    """The instance ID of a complete backup of `SITE` in `tmp_path / "site"`."""
    document = app.back_up(make_tree(tmp_path / "site", SITE))
    assert document["runtimeStatus"] == "Completed", document
    return document["instanceId"]


def verify(app: RunningApp, run: str, *, deep: bool) -> Document:
    return app.run("E2_VerifyBackup", {"instanceId": run, "deep": deep})


def blob_name(tmp_path: Path, path: str) -> str:
    return f"{tmp_path}/site/{path}".lstrip("/")


@pytest.mark.parametrize("deep", [False, True])
def test_an_untouched_backup_is_found_whole(app: RunningApp, run: str, deep: bool) -> None:
    document = verify(app, run, deep=deep)
    assert document["runtimeStatus"] == "Completed", document
    assert document["output"] == {
        "checked": ENTRIES,
        "bytes": sum((1, 2, 3, 4, 1)),  # the link's target is one byte long
        "missing": 0,
        "changed": 0,
        "extra": 0,
        "named": [],
    }


def test_the_bare_instance_id_is_enough(app: RunningApp, run: str) -> None:
    document = app.run("E2_VerifyBackup", run)
    assert (document["runtimeStatus"], document["output"]["checked"]) == ("Completed", ENTRIES)


@pytest.mark.parametrize("deep", [False, True])
def test_a_blob_that_is_gone_is_missing(app: RunningApp, run: str, tmp_path: Path, deep: bool) -> None:
    name = blob_name(tmp_path, "c/d")
    app.container.delete_blob(name)
    document = verify(app, run, deep=deep)
    assert document["runtimeStatus"] == "Failed"
    assert f"1 of {ENTRIES} blobs are not what was saved: {name} is missing." in document["output"]
    counts = {"checked": ENTRIES, "missing": 1, "changed": 0, "extra": 0}
    assert document["customStatus"].items() >= counts.items()


def test_other_content_of_the_same_size_is_found_by_its_md5(
    app: RunningApp, run: str, tmp_path: Path
) -> None:
    name = blob_name(tmp_path, "b")
    app.container.upload_blob(name, b"2x", overwrite=True)
    document = verify(app, run, deep=False)
    assert document["runtimeStatus"] == "Failed"
    assert f"{name} has another MD5." in document["output"]


def test_content_of_another_size_is_found(app: RunningApp, run: str, tmp_path: Path) -> None:
    name = blob_name(tmp_path, "b")
    app.container.upload_blob(name, b"222", overwrite=True)
    assert f"{name} has 3 bytes instead of 2." in verify(app, run, deep=False)["output"]


def test_only_reading_back_finds_content_behind_a_right_md5(
    app: RunningApp, run: str, tmp_path: Path
) -> None:
    name = blob_name(tmp_path, "b")
    damage_behind_its_md5(app, name, b"22", b"2x")
    shallow = verify(app, run, deep=False)
    assert (shallow["runtimeStatus"], shallow["output"]["changed"]) == ("Completed", 0)
    deep = verify(app, run, deep=True)
    assert deep["runtimeStatus"] == "Failed"
    assert f"1 of {ENTRIES} blobs are not what was saved: {name} has another content." in deep["output"]


def test_a_missing_blob_does_not_keep_reading_back_from_finding_another(
    app: RunningApp, run: str, tmp_path: Path
) -> None:
    app.container.delete_blob(blob_name(tmp_path, "c/d"))
    damage_behind_its_md5(app, blob_name(tmp_path, "b"), b"22", b"2x")
    document = verify(app, run, deep=True)
    assert (document["customStatus"]["missing"], document["customStatus"]["changed"]) == (1, 1)


def damage_behind_its_md5(app: RunningApp, name: str, content: bytes, other: bytes) -> None:
    """Put `other` into a blob whose MD5 stays that of `content`."""
    with app.container.get_blob_client(name) as blob:
        blob.stage_block("1", other)
        digest = bytearray(hashlib.md5(content, usedforsecurity=False).digest())
        # Storage keeps the MD5 that comes with a list of blocks and does not check it.
        blob.commit_block_list([BlobBlock("1")], content_settings=ContentSettings(content_md5=digest))


def test_what_is_extra_is_counted_and_is_no_failure(app: RunningApp, run: str, tmp_path: Path) -> None:
    app.container.upload_blob(blob_name(tmp_path, "from an earlier run"), b"old")
    app.container.upload_blob(f"{tmp_path}/site-other/f".lstrip("/"), b"of another tree")
    for deep in (False, True):
        document = verify(app, run, deep=deep)
        assert (document["runtimeStatus"], document["output"]["extra"]) == ("Completed", 1)


@pytest.mark.parametrize("deep", [False, True])
def test_an_earlier_run_is_found_whole_in_the_history_after_a_later_one(
    app: RunningApp, run: str, tmp_path: Path, deep: bool
) -> None:
    (tmp_path / "site" / "b").write_bytes(b"changed")
    (tmp_path / "site" / "c" / "d").unlink()
    later = app.back_up(tmp_path / "site")
    assert later["runtimeStatus"] == "Completed", later
    for which, entries in ((run, ENTRIES), (later["instanceId"], ENTRIES - 1)):
        document = verify(app, which, deep=deep)
        assert document["runtimeStatus"] == "Completed", document
        assert document["output"]["checked"] == entries


def test_a_run_that_never_was_is_said(app: RunningApp) -> None:
    document = app.run("E2_VerifyBackup", "no-such-run", timeout=10)
    assert document["runtimeStatus"] == "Failed"
    assert "There is no manifest of a run 'no-such-run'." in document["output"]


def test_reading_back_is_spread_over_several_activities(app: RunningApp, tmp_path: Path) -> None:
    names = [f"{number:0200d}" for number in range(400)]  # long ones make a long manifest
    root = make_tree(
        tmp_path / "site", {name: Size(int(name)) for name in names} | {"large": Size(9_000_000)}
    )
    run = app.back_up(root)["instanceId"]
    document = verify(app, run, deep=True)
    assert document["runtimeStatus"] == "Completed", document
    assert document["output"] == {
        "checked": 401,
        "bytes": total_bytes(root),
        "missing": 0,
        "changed": 0,
        "extra": 0,
        "named": [],
    }
