"""Directory trees declared as data.

make_tree(tmp_path / "site", {"index.html": b"hello", "logs": {"today.log": Size(70_000)}, "empty": {}})
"""

import os
import random
import socket
import stat
import time
from collections.abc import Mapping
from contextlib import chdir, suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from tests.e2e.support.waiting import wait_until

_SETTLED = 3.5
"""Seconds: what was read within three after its last change is read again by the next run."""


@dataclass(frozen=True, slots=True)
class Size:
    """A file of this many bytes: noise that its name decides, the same on every run."""

    size: int


@dataclass(frozen=True, slots=True)
class Link:
    """A symbolic link to `target`."""

    target: str


@dataclass(frozen=True, slots=True)
class HardLink:
    """Another name of the file `target`, which stands before it in the same directory."""

    target: str


@dataclass(frozen=True, slots=True)
class Sparse:
    """A file of this many bytes that are zero and take no room on the disk."""

    size: int


class Special(StrEnum):
    """What has a name in a file system and no content."""

    FIFO = "fifo"
    SOCKET = "socket"
    DEVICE = "character device"


type Tree = Mapping[str, Tree | bytes | Size | Link | HardLink | Sparse | Special]
"""The entries of a directory: directories, files by content or by size, links.

A name may be any that the file system takes, bytes that are not UTF-8 as `os.fsdecode` gives them.
"""


def make_tree(root: Path, tree: Tree) -> Path:
    """Create `root` with the entries of `tree`; returns `root`. Where devices may not be made, none is."""
    root.mkdir(parents=True)
    for name, entry in tree.items():
        path = root / name
        match entry:
            case bytes():
                path.write_bytes(entry)
            case Size(size):
                path.write_bytes(random.Random(os.fsencode(name)).randbytes(size))  # noqa: S311 - only noise
            case Link(target):
                path.symlink_to(target)
            case HardLink(target):
                path.hardlink_to(root / target)
            case Sparse(size):
                path.touch()
                os.truncate(path, size)
            case Special():
                _make_special(path, entry)
            case _:
                make_tree(path, entry)
    return root


def _make_special(path: Path, kind: Special) -> None:
    match kind:
        case Special.FIFO:
            os.mkfifo(path)
        case Special.SOCKET:
            # A socket's whole path has about a hundred bytes at most, its name alone fits.
            with chdir(path.parent), socket.socket(socket.AF_UNIX) as listener:
                listener.bind(path.name)
        case Special.DEVICE:
            with suppress(PermissionError):
                os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 3))  # the null device


def total_bytes(root: Path) -> int:
    """The sum of the sizes of the regular files under `root`: what a backup of it must report."""
    return sum(path.stat().st_size for path in regular_files(root))


def regular_files(root: Path) -> list[Path]:
    """The regular files under `root`; links are not followed and not counted."""
    found = (directory / name for directory, _, names in root.walk() for name in names)
    return [path for path in found if path.is_file() and not path.is_symlink()]


def saved_entries(root: Path) -> list[Path]:
    """What a backup of `root` saves: files, links, and the directories that have nothing of that in them."""
    saved: list[Path] = []
    for directory, _, _ in root.walk():
        entries = [
            path for path in directory.iterdir() if path.is_symlink() or path.is_file() or path.is_dir()
        ]
        saved += [path for path in entries if path.is_symlink() or not path.is_dir()]
        if not entries and directory != root:
            saved.append(directory)
    return saved


def wait_until_settled(root: Path) -> None:
    """Return when all changes in a tree are so old that their times tell them from later ones."""
    newest = max(path.lstat().st_ctime for path in (root, *root.rglob("*")))
    wait_until(lambda: time.time() > newest + _SETTLED, 10)
