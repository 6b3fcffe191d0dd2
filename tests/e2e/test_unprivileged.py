"""Files that the app may not read, backed up by a user whom permissions bind.

They do not bind root, unless it has given up the capabilities CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH: as
root, the tests run the whole stack without these. It is otherwise `make backup` as anyone runs it.
"""

import json
import os
import sys
from collections.abc import Generator
from pathlib import Path

import pytest
from azure.storage.blob import BlobServiceClient

from localstack.azurite import Azurite
from localstack.settings import EmulatorPorts
from tests.e2e.support.apps import clean_environ
from tests.e2e.support.commands import run, stack_environ
from tests.e2e.support.containers import assert_container_equals_tree
from tests.e2e.support.manifests import read_manifest
from tests.e2e.support.trees import Size, make_tree

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


def test_what_may_not_be_read_fails_with_the_systems_words_and_the_others_are_saved(
    root: Path, tmp_path: Path
) -> None:
    environ = {**clean_environ(), **stack_environ(tmp_path / "azurite"), "BACKUP_ALLOWED_ROOTS": str(root)}
    done = run([*BOUND_BY_PERMISSIONS, sys.executable, "-m", "localstack", "backup", str(root)], environ)
    assert done.returncode == 1, done.stderr
    document = json.loads(done.stdout.splitlines()[-1])
    unreadable = {"secret", "not text \udcff", "closed", "names hidden", "names only/f"}
    assert document["runtimeStatus"] == "Failed"
    assert "5 of 9 entries were not backed up: " in document["output"]
    for name in unreadable:
        text = name.encode(errors="backslashreplace").decode()
        assert f"{text}: Permission denied" in document["output"]

    with (
        Azurite(EmulatorPorts(0, 0, 0), tmp_path / "azurite") as azurite,
        BlobServiceClient.from_connection_string(
            azurite.connection_string, connection_timeout=5, read_timeout=30
        ) as blobs,
    ):
        _, entries = read_manifest(blobs, document)
        failed = {path: entry["reason"] for path, entry in entries.items() if entry["outcome"] == "failed"}
        assert failed == dict.fromkeys(unreadable, "Permission denied")
        for name in ("secret", "not text \udcff", "closed", "names hidden"):
            (root / name).chmod(0o700)
            (root / name).rename(tmp_path / name)
        empty_without_a_trace(root / "names only")
        assert_container_equals_tree(blobs.get_container_client("backups"), root)


def empty_without_a_trace(directory: Path) -> None:
    """Remove the file in `directory`, of which a backup saves no more than that it is there."""
    status = directory.stat()
    directory.chmod(0o700)
    (directory / "f").unlink()
    directory.chmod(status.st_mode)
    os.utime(directory, ns=(status.st_atime_ns, status.st_mtime_ns))
