"""Which tree is at a path: markers that are the same on every machine, and those that must differ."""

import re
from pathlib import Path

import pytest

from sitebackup.errors import SourceUnavailableError, VanishedError
from sitebackup.settings import APP_DIRECTORY
from sitebackup.tree.identity import is_on_share, marker
from sitebackup.tree.mounts import Mounts, parse
from tests.support.fuse import mounted
from tests.support.mounts import mount

ROOT = "20 1 0:50 / / rw,relatime - overlay overlay rw,lowerdir=/a"


def mounts(*rows: str) -> Mounts:
    return parse("".join(f"{row}\n" for row in (ROOT, *rows)))


@pytest.mark.parametrize(
    ("kind", "source"),
    [
        ("nfs", "nas:/export"),
        ("nfs4", "nas:/export"),
        ("cifs", "//account.file.core.windows.net/content"),
        ("smb3", "//account.file.core.windows.net/content"),
        ("9p", "host"),
        ("virtiofs", "host"),
        ("ceph", "10.0.0.1:6789:/"),
        ("fuse.sshfs", "backup@host:/srv"),
        ("fuse.blobfuse2", "blobfuse2"),
    ],
)
def test_a_share_is_the_same_tree_on_each_machine_that_mounts_it(kind: str, source: str) -> None:
    here = mounts(f"30 20 0:61 / /mounts/content rw,relatime - {kind} {source} rw,addr=10.0.0.4")
    there = mounts(f"77 20 0:48 / /srv ro master:3 - {kind} {source} ro,addr=10.0.0.5")
    found = marker("/mounts/content/www", here)
    assert found == marker("/srv/www", there)
    assert found is not None
    assert re.fullmatch(r"[0-9a-f]{16}", found)
    assert is_on_share("/srv/www", there)


def test_a_disk_is_no_share(tmp_path: Path) -> None:
    assert not is_on_share("/data/www", mounts("30 20 8:1 / /data rw - ext4 /dev/sda1 rw"))
    assert not is_on_share("/elsewhere", mounts("30 20 0:61 / /content rw - nfs4 nas:/export rw"))
    assert not is_on_share(str(tmp_path))


def test_a_directory_of_a_share_is_the_same_tree_wherever_it_is_mounted() -> None:
    whole = mounts("30 20 0:61 / /content rw - nfs4 nas:/export rw")
    part = mounts("31 20 0:62 /www /srv/www rw - nfs4 nas:/export rw")
    assert marker("/content/www/a", whole) == marker("/srv/www/a", part)


@pytest.mark.parametrize(
    ("real", "row"),
    [
        ("/content/other", "30 20 0:61 / /content rw - nfs4 nas:/export rw"),
        ("/content", "30 20 0:61 / /content rw - nfs4 nas:/export rw"),
        ("/content/www", "30 20 0:61 / /content rw - nfs4 nas:/other rw"),
        ("/content/www", "30 20 0:61 /old /content rw - nfs4 nas:/export rw"),
        ("/content/www", "30 20 0:61 / /content rw - autofs systemd-1 rw"),
        ("/content/www", "30 20 0:61 / /elsewhere rw - nfs4 nas:/export rw"),
    ],
)
def test_another_directory_another_share_or_none_is_another_tree(real: str, row: str) -> None:
    listed = marker("/content/www", mounts("30 20 0:61 / /content rw - nfs4 nas:/export rw"))
    assert marker(real, mounts(row)) != listed


@pytest.mark.parametrize(
    "row",
    [
        "30 20 0:61 / /site rw - overlay overlay rw",
        "30 20 0:61 / /site rw - tmpfs tmpfs rw",
        "30 20 7:3 / /site ro - squashfs /dev/loop3 ro",
        "30 20 7:4 / /site ro - ext4 /dev/loop4 ro",
        "30 20 8:3 / /site ro - squashfs /dev/sda3 ro",
        "30 20 0:61 / /site ro - fuse.squashfuse /tmp/site.zip.a1b2 ro",
        "30 20 0:61 / /site rw - fuse.lxcfs none rw",
        "30 20 0:61 / /site rw - fuse.any  rw",
        "30 20 0:61 / /site rw - autofs systemd-1 rw",
    ],
)
def test_of_what_each_machine_has_for_itself_nothing_is_said(row: str) -> None:
    assert marker("/site", mounts(row)) is None


def test_nothing_is_said_where_no_mounts_are_known() -> None:
    assert marker("/srv", {}) is None


def on_a_disk(kind: str = "ext4", device: str = "8:1") -> Mounts:
    return parse(f"20 1 {device} / / rw - {kind} /dev/sda1 rw\n")


@pytest.mark.parametrize(
    ("kind", "device"), [("ext4", "8:1"), ("xfs", "253:0"), ("btrfs", "0:33"), ("zfs", "0:40")]
)
def test_a_directory_of_a_disk_is_another_tree_once_another_one_takes_its_place(
    tmp_path: Path, kind: str, device: str
) -> None:
    root, aside = tmp_path / "root", tmp_path / "aside"
    root.mkdir()
    known = on_a_disk(kind, device)
    listed = marker(str(root), known)
    assert listed is not None
    assert listed == marker(str(root), known)
    root.rename(aside)
    root.mkdir()
    assert marker(str(root), known) != listed
    assert marker(str(aside), known) == listed


def test_the_apps_own_directory_which_each_machine_has_a_copy_of_has_no_marker() -> None:
    assert marker(APP_DIRECTORY, on_a_disk()) is None
    assert marker(f"{APP_DIRECTORY}/docs", on_a_disk()) is None
    assert marker(str(Path(APP_DIRECTORY).parent), on_a_disk()) is not None


def test_what_is_not_there_has_vanished(tmp_path: Path) -> None:
    with pytest.raises(VanishedError):
        marker(str(tmp_path / "gone"), on_a_disk())


def test_a_share_is_known_though_it_is_silent_and_is_another_tree_when_it_is_gone(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    root = tmp_path / "share"
    with mounted(tmp_path / "source", root) as share:
        listed = marker(str(root))
        share.trouble = lambda operation, path: 0
        assert marker(str(root)) == listed
        share.end()
        with pytest.raises(SourceUnavailableError):
            marker(str(root), on_a_disk())
    assert listed is not None
    assert marker(str(root)) != listed


def test_what_is_mounted_over_a_tree_is_another_tree(tmp_path: Path) -> None:
    root, other = tmp_path / "root", tmp_path / "other"
    root.mkdir()
    other.mkdir()
    listed = marker(str(root))
    with mount(root, "--bind", str(other)):
        assert marker(str(root)) == marker(str(other))
        assert listed is None or marker(str(root)) != listed
