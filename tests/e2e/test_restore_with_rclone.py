"""What another tool makes of a backup: `rclone copy` from the container into an empty directory."""

import os
import re
import shutil
from pathlib import Path

import pytest

from localstack.azurite import Azurite
from tests.e2e.support.apps import RunningApp
from tests.e2e.support.commands import run
from tests.e2e.support.trees import Link, Size, Tree, make_tree, regular_files

pytestmark = pytest.mark.skipif(
    shutil.which("rclone") is None, reason="rclone, which is to read the backup, is not installed"
)

SITE: Tree = {
    "index.html": b"<h1>hello</h1>",
    "empty": b"",
    "blocks.bin": Size(8 * 1024 * 1024 + 1),
    "ü 日本 🎉": {" a b & $c ": b"1", "100%": b"2", "?query#fragment": b"3", ".hidden": b"4", "..data": b"5"},
}
TIME_NS = 981_173_106_123_456_789


def restore(azurite: Azurite, root: Path, into: Path) -> None:
    """Have rclone copy the blobs of `root` into the new directory `into`."""
    account = dict(re.findall(r"(\w+)=([^;]+)", azurite.connection_string))
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(into.parent),
        "RCLONE_CONFIG_STORE_TYPE": "azureblob",
        "RCLONE_CONFIG_STORE_USE_EMULATOR": "true",
        "RCLONE_CONFIG_STORE_ACCOUNT": account["AccountName"],
        "RCLONE_CONFIG_STORE_KEY": account["AccountKey"],
        "RCLONE_CONFIG_STORE_ENDPOINT": account["BlobEndpoint"],
    }
    command = ("rclone", "copy", f"store:backups{root}", str(into))
    done = run(command, environ)
    assert done.returncode == 0, done.stderr


def contents(root: Path) -> dict[str, tuple[bytes, int]]:
    """The content and the modification time in nanoseconds of every file under `root`, by relative path."""
    files = regular_files(root)
    return {str(path.relative_to(root)): (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


def test_rclone_gives_the_tree_back_with_names_bytes_and_times(
    app: RunningApp, azurite: Azurite, tmp_path: Path
) -> None:
    root = make_tree(tmp_path / "site", SITE)
    for number, path in enumerate(regular_files(root)):
        os.utime(path, ns=(0, TIME_NS + number * 1_000_000_001))
    assert app.back_up(root)["runtimeStatus"] == "Completed"
    restore(azurite, root, tmp_path / "restored")
    assert contents(tmp_path / "restored") == contents(root)


def test_what_rclone_does_not_know_stays_plain_to_see(
    app: RunningApp, azurite: Azurite, tmp_path: Path
) -> None:
    """A link becomes a file with the link's target in it, an escaped name stays escaped, and rclone leaves
    empty directories behind."""
    root = make_tree(
        tmp_path / "site", {"f": b"1", "link": Link("f"), "empty": {}, "back\\slash": b"2", "%41": b"3"}
    )
    assert app.back_up(root)["runtimeStatus"] == "Completed"
    restore(azurite, root, tmp_path / "restored")
    restored = {path: data for path, (data, _) in contents(tmp_path / "restored").items()}
    assert restored == {"f": b"1", "link": b"f", "back%5Cslash": b"2", "%2541": b"3"}
    assert not (tmp_path / "restored" / "empty").exists()
