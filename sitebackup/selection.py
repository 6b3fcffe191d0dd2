"""Which part of a tree a backup takes: patterns, and file systems that it must not enter.

Patterns are those of .gitignore, as the library `pathspec` reads them: an excluded directory is not walked,
so nothing below it can be included again.
"""

import functools
import os
from collections.abc import Sequence
from dataclasses import dataclass

from pathspec import GitIgnoreSpec

# They hold no content of their own, and reading some of it never ends or has side effects.
# fmt: off
_PSEUDO = {
    "autofs", "binfmt_misc", "bpf", "cgroup", "cgroup2", "configfs", "debugfs", "devpts", "devtmpfs",
    "efivarfs", "fusectl", "hugetlbfs", "mqueue", "nsfs", "proc", "pstore", "rpc_pipefs", "securityfs",
    "selinuxfs", "sysfs", "tracefs",
}
# fmt: on


@dataclass(frozen=True, slots=True)
class Selection:
    """What of a tree is taken. `device`: the only file system to stay on (`st_dev`), if it is given."""

    include: GitIgnoreSpec | None = None
    exclude: GitIgnoreSpec | None = None
    device: int | None = None

    def takes(self, path: str, is_directory: bool) -> bool:
        """Tell whether the entry at `path`, relative to the root, is to be looked at."""
        name = f"{path}/" if is_directory else path
        if self.exclude is not None and self.exclude.match_file(name):
            return False
        return is_directory or self.includes(path)

    def includes(self, name: str) -> bool:
        """Tell whether `name`, a directory's with a slash at its end, matches what is to be included."""
        return self.include is None or self.include.match_file(name)

    def forbids_entering(self, directory: os.DirEntry[str]) -> str | None:
        """Return why `directory` is not to be entered, if it is not."""
        if directory.path in pseudo_file_systems():
            return "pseudo file system"
        if self.device is not None and directory.stat(follow_symlinks=False).st_dev != self.device:
            return "another file system"
        return None


EVERYTHING = Selection()


def patterns(lines: Sequence[str]) -> GitIgnoreSpec | None:
    """Compile patterns; None if there are none. Raises `ValueError` for one that cannot be read."""
    try:
        return GitIgnoreSpec.from_lines(lines) if lines else None
    except Exception as error:  # the library raises its own types, re.error and more
        raise ValueError(str(error)) from error


@functools.cache
def pseudo_file_systems() -> frozenset[str]:
    """Return the mount points of file systems such as /proc; none where the kernel has no list of mounts.

    Read once a process: what a system mounts of this kind, it mounts at its start.
    """
    try:
        with open("/proc/self/mounts", encoding="utf-8", errors="surrogateescape") as mounts:
            rows = [line.split(" ") for line in mounts]
    except OSError:
        return frozenset()
    # The kernel writes blanks and backslashes in octal; a pseudo file system's mount point has none.
    return frozenset(row[1] for row in rows if row[2] in _PSEUDO)
