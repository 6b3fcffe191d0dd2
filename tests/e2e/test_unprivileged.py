"""Files that the app may not read, backed up by a user whom permissions bind.

They do not bind root, unless it has given up the capabilities CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH: as
root, the tests run the whole stack without these. It is otherwise `make backup` as anyone runs it.
"""

import json
import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
from azure.storage.blob import BlobServiceClient

from localstack.azurite import Azurite
from localstack.client import Document
from localstack.settings import EmulatorPorts
from tests.e2e.support.apps import clean_environ
from tests.e2e.support.commands import run, stack_environ
from tests.e2e.support.containers import assert_container_equals_tree, reader
from tests.e2e.support.manifests import read_manifest
from tests.e2e.support.trees import Size, Tree, make_tree
from tests.support.past import run_of, tree_of

BOUND_BY_PERMISSIONS = (
    ("setpriv", "--bounding-set=-dac_override,-dac_read_search") if os.geteuid() == 0 else ()
)
MODES = {"secret": 0, "not text \udcff": 0, "closed": 0, "names hidden": 0o300, "names only": 0o400}


@pytest.fixture
def root(tmp_path: Path) -> Generator[Path]:
    """A tree with files and directories that not even their owner may read."""
    root = make_tree(
        tmp_path / "site",
        {
            "readable": b"1",
            "large": Size(9_000_000),
            "open": {"f": b"2"},
            "secret": b"3",
            "not text \udcff": b"3",
            **{name: {"f": b"4"} for name in MODES if name not in ("secret", "not text \udcff")},
        },
    )
    for name, mode in MODES.items():
        (root / name).chmod(mode)
    yield root
    for name in MODES:
        if (root / name).exists():
            (root / name).chmod(0o700)


def back_up(root: Path, data: Path) -> tuple[int, Document]:
    """Run the command as a user whom permissions bind, with blobs in `data`: exit code, final status."""
    environ = {**clean_environ(), **stack_environ(data), "BACKUP_ALLOWED_ROOTS": str(root)}
    done = run([*BOUND_BY_PERMISSIONS, sys.executable, "-m", "localstack", "backup", str(root)], environ)
    lines = done.stdout.splitlines()
    assert lines, done.stderr
    return done.returncode, json.loads(lines[-1])


@contextmanager
def blobs_in(data: Path) -> Generator[BlobServiceClient]:
    """What is stored in `data`, while no stack uses it."""
    with (
        Azurite(EmulatorPorts(0, 0, 0), data) as azurite,
        BlobServiceClient.from_connection_string(
            azurite.connection_string, connection_timeout=5, read_timeout=30
        ) as blobs,
    ):
        yield blobs


def test_what_may_not_be_read_fails_with_the_systems_words_and_the_others_are_saved(
    root: Path, tmp_path: Path
) -> None:
    code, document = back_up(root, tmp_path / "azurite")
    unreadable = {"secret", "not text \udcff", "closed/", "names hidden/", "names only/f"}
    assert (code, document["runtimeStatus"]) == (1, "Failed")
    assert "5 of 11 entries were not backed up: " in document["output"]
    for name in unreadable:
        text = name.encode(errors="backslashreplace").decode()
        assert f"{text}: Permission denied" in document["output"]

    with blobs_in(tmp_path / "azurite") as blobs:
        _, entries = read_manifest(blobs, document)
        failed = {path: entry["reason"] for path, entry in entries.items() if "outcome" in entry}
        assert failed == dict.fromkeys(unreadable, "Permission denied")
        assert "blob" not in entries["names only/"]
        assert entries["names only/"]["mode"] == f"{(root / 'names only').stat().st_mode:o}"
        for name in MODES:
            (root / name).chmod(0o700)
            (root / name).rename(tmp_path / name)
        assert_container_equals_tree(blobs.get_container_client("backups"), root)


def test_what_is_below_a_directory_that_may_not_be_read_any_more_stays_as_it_was(tmp_path: Path) -> None:
    below: Tree = {"a": b"2", "deep": {"b": Size(9_000_000)}, "empty": {}}
    root = make_tree(tmp_path / "site", {"closed": below, "open": {"f": b"1", "g": b"2"}})
    tree = tree_of(root)
    code, first = back_up(root, tmp_path / "azurite")
    assert (code, first["runtimeStatus"]) == (0, "Completed")

    closed = root / "closed"
    before = closed.stat()
    closed.chmod(0)
    (root / "open" / "f").unlink()
    try:
        code, second = back_up(root, tmp_path / "azurite")
    finally:
        closed.chmod(before.st_mode)
    assert (code, second["runtimeStatus"]) == (1, "Failed")
    assert "1 of 4 entries were not backed up: closed/: Permission denied." in second["output"]
    assert second["customStatus"]["files"]["gone"] == 1

    with blobs_in(tmp_path / "azurite") as blobs:
        assert_container_equals_tree(blobs.get_container_client("backups"), root)  # with all that is below
        assert run_of(reader(blobs), first["instanceId"]) == tree
        index, entries = read_manifest(blobs, second)
        outcomes = {path: entry["outcome"] for path, entry in entries.items() if "outcome" in entry}
        assert outcomes == {
            "closed/": "failed",
            **dict.fromkeys(("closed/a", "closed/deep/b", "closed/empty/"), "kept"),
        }
        assert index["totals"]["kept"] == 3
        for path, entry in entries.items():
            assert entry.get("previous", {}).get("since") == (
                first["instanceId"] if entry.get("outcome") == "kept" else None
            ), path

    code, third = back_up(root, tmp_path / "azurite")
    assert (code, third["customStatus"]["bytes"]["uploaded"]) == (0, 0), third
    with blobs_in(tmp_path / "azurite") as blobs:
        assert_container_equals_tree(blobs.get_container_client("backups"), root)
        assert run_of(reader(blobs), third["instanceId"]) == tree_of(root)
        assert run_of(reader(blobs), first["instanceId"]) == tree
