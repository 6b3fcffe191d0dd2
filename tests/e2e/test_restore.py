"""What `make restore` gives back, compared with what was saved, and what it refuses."""

import os
import stat
from pathlib import Path
from typing import Any

import pytest

from localstack.azurite import Azurite
from localstack.settings import STORAGE_SETTING
from tests.e2e.support.apps import RunningApp
from tests.e2e.support.commands import make
from tests.e2e.support.faithful import make_faithful_tree
from tests.e2e.support.trees import Size, make_tree


def entries(root: Path) -> dict[str, Any]:
    """All there is to know of the files, links and directories of a tree, the root included."""
    found: dict[str, Any] = {}
    for path in (root, *root.rglob("*")):
        status = path.lstat()
        content: Any = None
        if stat.S_ISLNK(status.st_mode):
            content = os.readlink(path)  # noqa: PTH115 - a Path would put it in order
        elif stat.S_ISREG(status.st_mode):
            content = path.read_bytes()
        elif not stat.S_ISDIR(status.st_mode):
            continue  # what has no content is not saved
        mode = status.st_mode, status.st_uid, status.st_gid
        found[str(path.relative_to(root))] = (mode, status.st_mtime_ns, content)
    return found


def restore(azurite: Azurite, run: str, into: Path) -> tuple[int, str]:
    """Run the command; returns its exit code and all that it wrote."""
    environ = {STORAGE_SETTING: azurite.connection_string}
    ended = make("restore", f"ID={run}", f"TO={into}", environ=environ)
    return ended.returncode, ended.stdout + ended.stderr


@pytest.fixture
def site(app: RunningApp, tmp_path: Path) -> tuple[Path, str]:
    """A tree, and the run that has saved it."""
    root = make_tree(tmp_path / "site", {"a": b"1", "d": {"b": Size(10_000)}})
    return root, app.back_up(root)["instanceId"]


def test_a_tree_with_every_kind_and_name_comes_back_as_it_was(
    app: RunningApp, azurite: Azurite, tmp_path: Path
) -> None:
    root = make_faithful_tree(tmp_path / "site")
    (root / "links").chmod(0o511)
    root.chmod(0o750)
    if os.geteuid() == 0:
        os.chown(root / "regular", 12345, 54321)
        os.chown(root / "names", 12345, 54321)
    document = app.back_up(root)
    assert document["runtimeStatus"] == "Completed", document

    code, said = restore(azurite, document["instanceId"], tmp_path / "re$tored")

    assert code == 0, said
    assert f'"files": {document["customStatus"]["files"]["done"]}' in said
    assert entries(tmp_path / "re$tored") == entries(root)


def test_a_blob_that_is_not_what_was_saved_does_not_come_back_and_the_others_do(
    app: RunningApp, azurite: Azurite, site: tuple[Path, str], tmp_path: Path
) -> None:
    root, run = site
    app.container.upload_blob(f"{root}/a"[1:], b"2", overwrite=True)
    app.container.delete_blob(f"{root}/d/b"[1:])
    make_tree(tmp_path / "other", {"c": b"3"})

    code, said = restore(azurite, run, tmp_path / "restored")

    assert code == 1
    assert "a: the blob has another content than this run saved" in said
    assert "d/b: A blob is missing" in said
    assert '"failed": 2' in said
    assert entries(tmp_path / "restored").keys() == {".", "d"}


def test_each_of_two_runs_gives_back_the_tree_as_it_was_then(
    app: RunningApp, azurite: Azurite, site: tuple[Path, str], tmp_path: Path
) -> None:
    root, first = site
    before = entries(root)
    (root / "a").write_bytes(b"changed")
    (root / "d" / "b").unlink()
    (root / "new").symlink_to("a")
    (root / "d").chmod(0o700)
    second = app.back_up(root)["instanceId"]
    after = entries(root)

    for run, expected in ((first, before), (second, after)):
        code, said = restore(azurite, run, tmp_path / run)
        assert code == 0, said
        assert entries(tmp_path / run) == expected


def test_nothing_is_restored_over_what_is_there(
    azurite: Azurite, site: tuple[Path, str], tmp_path: Path
) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "a").write_bytes(b"precious")

    code, said = restore(azurite, site[1], tmp_path / "full")

    assert code == 2
    assert "full' is not empty" in said
    assert [path.read_bytes() for path in (tmp_path / "full").iterdir()] == [b"precious"]


def test_a_run_that_left_no_manifest_is_said_and_no_directory_is_made(
    azurite: Azurite, site: tuple[Path, str], tmp_path: Path
) -> None:
    code, said = restore(azurite, "nobody", tmp_path / "restored")

    assert code == 2
    assert "There is no manifest of a run 'nobody'" in said
    assert not (tmp_path / "restored").exists()


@pytest.mark.parametrize("arguments", [[], ["ID=x"], ["TO=/tmp/x"]])
def test_what_is_missing_in_the_command_is_said(arguments: list[str]) -> None:
    ended = make("restore", *arguments, environ={})
    assert ended.returncode == 2
    assert "usage: make restore ID=" in ended.stderr
