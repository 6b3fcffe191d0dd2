"""What is mounted where: tables of mounts, and one that this machine has."""

import os
from pathlib import Path

import pytest

from sitebackup.tree.mounts import holding, parse, read_mounts
from sitebackup.tree.selecting import Selection
from sitebackup.tree.walking import Item, Odd, walk
from tests.support.mounts import mount
from tests.support.walks import bare

ROOT = "20 1 254:0 / / rw,relatime - ext4 /dev/vda rw"
PROC = "21 20 0:21 / /proc rw - proc proc rw"
DEVICES = "22 20 0:6 / /dev rw - devtmpfs devtmpfs rw\n23 22 0:23 / /dev/ram rw - tmpfs tmpfs rw"
AUTOMOUNT = "30 20 0:40 / /home rw shared:9 - autofs systemd-1 rw,fd=49,direct"
SHARE = "31 30 0:41 /export /home rw shared:9 - cifs //server/share rw,vers=3.1.1"


def table(*rows: str) -> str:
    return "".join(f"{row}\n" for row in rows)


def kinds(*rows: str) -> dict[str, str]:
    return {point: mount.kind for point, mount in parse(table(*rows)).items()}


@pytest.mark.parametrize("rows", [(ROOT, AUTOMOUNT, SHARE), (ROOT, SHARE, AUTOMOUNT)])
def test_of_two_mounts_on_one_point_the_upper_one_counts(rows: tuple[str, ...]) -> None:
    assert kinds(*rows) == {"/": "ext4", "/home": "cifs"}


def test_a_mount_hidden_under_one_on_a_directory_above_it_does_not_count() -> None:
    hidden = "40 20 0:50 / /srv/site/proc rw - proc proc rw"
    over = "41 20 0:51 / /srv/site rw - nfs4 nas:/site rw"
    assert kinds(ROOT, hidden, over) == {"/": "ext4", "/srv/site": "nfs4"}


def test_a_table_without_the_mount_at_its_root_is_read_all_the_same() -> None:
    assert kinds("9 7 0:1 / /data rw - tmpfs none rw", "10 9 0:2 / /data/x rw - proc proc rw") == {
        "/data": "tmpfs",
        "/data/x": "proc",
    }


def test_the_fields_of_a_mount_come_back_as_they_were_before_they_were_escaped() -> None:
    point = "/a\\040b\\011c\\012d\\134e\r\udcff"
    (mount,) = parse(f"5 1 0:9 /in\\040ner {point} rw shared:1 master:2 - fuse.x so\\040urce rw\n").values()
    assert (mount.point, mount.inner, mount.source) == ("/a b\tc\nd\\e\r\udcff", "/in ner", "so urce")
    assert (mount.kind, mount.major) == ("fuse.x", 0)


def test_a_path_is_in_every_mount_above_it_and_the_innermost_is_first() -> None:
    mounts = parse(table(ROOT, DEVICES))
    assert [mount.point for mount in holding("/dev/ram/site", mounts)] == ["/dev/ram", "/dev", "/"]
    assert [mount.point for mount in holding("/dev/ramsite", mounts)] == ["/dev", "/"]
    assert [mount.point for mount in holding("/", mounts)] == ["/"]


def test_what_the_kernel_says_of_this_machine_is_understood() -> None:
    mounts = read_mounts()
    assert mounts["/proc"].kind == "proc"
    points = {line.split(" ")[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()}
    assert points >= mounts.keys() >= {point for point in points if os.path.ismount(point)}


@pytest.mark.parametrize(
    ("real", "rows", "forbidden"),
    [
        ("/proc/1", (ROOT, PROC), True),
        ("/dev", (ROOT, DEVICES), True),
        ("/dev/ram/site", (ROOT, DEVICES), False),
        ("/home/ann", (ROOT, AUTOMOUNT), False),
        ("/home/ann", (ROOT, AUTOMOUNT, SHARE), False),
        ("/proc/sys/auto/x", (ROOT, PROC, "50 21 0:60 / /proc/sys/auto rw - autofs systemd-1 rw"), True),
        ("/srv", (ROOT, PROC), False),
    ],
)
def test_a_root_is_refused_for_the_nearest_mount_alone(
    real: str, rows: tuple[str, ...], forbidden: bool
) -> None:
    assert Selection(mounts=parse(table(*rows))).forbids_root(real) == forbidden


def test_an_autofs_is_entered_and_so_is_a_share_over_a_pseudo_file_system(tmp_path: Path) -> None:
    for name in ("auto", "covered", "pseudo"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").touch()
    rows = [
        ROOT,
        f"60 20 0:70 / {tmp_path}/auto rw - autofs systemd-1 rw",
        f"61 20 0:71 / {tmp_path}/covered rw - proc proc rw",
        f"62 61 0:72 / {tmp_path}/covered rw - nfs4 nas:/x rw",
        f"63 20 0:73 / {tmp_path}/pseudo rw - proc proc rw",
    ]
    found = walk(str(tmp_path), selection=Selection(mounts=parse(table(*rows))))
    assert bare(found) == [
        Item("auto/file"),
        Item("covered/file"),
        Odd("pseudo", "skipped", "pseudo file system", "directory"),
    ]


def test_a_file_system_mounted_over_a_pseudo_one_is_never_skipped(tmp_path: Path) -> None:
    share = tmp_path / "share"
    share.mkdir()
    with mount(share, "-t", "proc", "none"), mount(share, "-t", "tmpfs", "none"):
        (share / "file").touch()
        assert bare(walk(str(tmp_path))) == [Item("share/file")]
        assert not Selection().forbids_root(str(share))
