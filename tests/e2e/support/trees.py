"""Directory trees declared as data.

make_tree(tmp_path / "site", {"index.html": b"hello", "logs": {"today.log": Size(70_000)}, "empty": {}})
"""

import os
import random
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Size:
    """A file of this many bytes: noise that its name decides, the same on every run."""

    size: int


@dataclass(frozen=True, slots=True)
class Link:
    """A symbolic link to `target`."""

    target: str


type Tree = Mapping[str, Tree | bytes | Size | Link]
"""The entries of a directory: directories, files by content or by size, links.

A name may be any that the file system takes, bytes that are not UTF-8 as `os.fsdecode` gives them.
"""


def make_tree(root: Path, tree: Tree) -> Path:
    """Create `root` with the entries of `tree`; returns `root`."""
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
            case _:
                make_tree(path, entry)
    return root


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
