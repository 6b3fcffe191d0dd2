"""What a walk yields: the entries of a tree, and what it could not tell."""

import stat
from dataclasses import dataclass
from typing import Literal

import msgspec

from sitebackup.tree.attributes import Attributes
from sitebackup.tree.keys import Range

type Kind = Literal["file", "link", "directory"]


class Item(msgspec.Struct, frozen=True, gc=False):
    """Something to save: `path` relative to the root, `size` of a file in bytes when it was listed.

    `attributes` are None if the entry itself did not answer. `is_empty`: a directory has no selected file,
    link or directory in it, so that nothing but a blob of its own can keep it. The root never needs one.
    """

    path: str
    kind: Kind = "file"
    size: int = 0
    attributes: Attributes | None = None
    is_empty: bool = False

    @property
    def key(self) -> str:
        """The path, a directory's with a slash at its end."""
        return _key(self.path, self.kind)


@dataclass(frozen=True, slots=True)
class Odd:
    """Something that is not saved, because it is `skipped`, `vanished` or `failed`, and the reason.

    Nothing is yielded of what is in a directory that is odd.
    """

    path: str
    outcome: Literal["skipped", "vanished", "failed"]
    reason: str
    kind: Kind | None = None

    @property
    def key(self) -> str:
        """The path, a directory's with a slash at its end."""
        return _key(self.path, self.kind)


@dataclass(frozen=True, slots=True)
class Unreached:
    """A directory of which nothing was yielded, because the disk does not answer now; and in which words."""

    path: str
    reason: str

    @property
    def key(self) -> str:
        """The path with a slash at its end."""
        return _key(self.path, "directory")


@dataclass(frozen=True, slots=True)
class Rest:
    """What a walk left: contiguous ranges, in order; the last one ends where the walk's own range does."""

    ranges: tuple[Range, ...]


type Entry = Item | Odd | Unreached | Rest


def describe(mode: int) -> str:
    """Return what the file type bits of `mode` (`st_mode`) say, in words."""
    names = {
        stat.S_IFREG: "regular file",
        stat.S_IFDIR: "directory",
        stat.S_IFLNK: "symbolic link",
        stat.S_IFIFO: "fifo",
        stat.S_IFSOCK: "socket",
        stat.S_IFCHR: "character device",
        stat.S_IFBLK: "block device",
    }
    return names.get(stat.S_IFMT(mode), "unknown kind")


def _key(path: str, kind: Kind | None) -> str:
    return f"{path}/" if path and kind == "directory" else path
