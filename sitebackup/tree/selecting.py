"""Which part of a tree a backup takes: patterns, and file systems that it must not enter.

Patterns are those of .gitignore, as the library `pathspec` reads them: an excluded directory is not walked,
so nothing below it can be included again.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field

from pathspec import GitIgnoreSpec

from sitebackup.errors import may_pass
from sitebackup.tree.mounts import Mount, Mounts, holding, read_mounts

# They hold no content of their own, and reading some of it never ends or has side effects.
# fmt: off
_PSEUDO = {
    "binfmt_misc", "bpf", "cgroup", "cgroup2", "configfs", "debugfs", "devpts", "devtmpfs", "efivarfs",
    "fusectl", "hugetlbfs", "mqueue", "nsfs", "proc", "pstore", "rpc_pipefs", "securityfs", "selinuxfs",
    "sysfs", "tracefs",
}
# fmt: on

_MOST_STARS = 3
"""Stars in one segment of a pattern. Each multiplies the steps of a match that fails by the name's length:
with four, one name of 255 characters takes seconds."""


@dataclass(frozen=True, slots=True)
class Selection:
    """What of a tree is taken. `device`: the only file system to stay on (`st_dev`), if it is given.

    `mounts`: what was mounted when the selection was made.
    """

    include: GitIgnoreSpec | None = None
    exclude: GitIgnoreSpec | None = None
    device: int | None = None
    mounts: Mounts = field(default_factory=read_mounts)

    def takes(self, path: str, is_directory: bool) -> bool:
        """Tell whether the entry at `path`, relative to the root, is to be looked at."""
        name = f"{path}/" if is_directory else path
        if self.exclude is not None and self.exclude.match_file(name):
            return False
        return is_directory or self.includes(path)

    def includes(self, name: str) -> bool:
        """Tell whether `name`, a directory's with a slash at its end, matches what is to be included."""
        return self.include is None or self.include.match_file(name)

    def takes_path(self, key: str) -> bool:
        """Tell whether the patterns take the entry of a key, whether or not there is one.

        They do not if they exclude a directory that it is in: a walk does not meet it.
        """
        path = key.removesuffix("/")
        above = (path[:end] for end, character in enumerate(path) if character == "/")
        return not key or (all(self.takes(up, True) for up in above) and self.takes(path, path != key))

    def forbids_entering(self, directory: str) -> str | None:
        """Return why the directory at a real path is not to be entered, if it is not. Raises `OSError`."""
        mount = self.mounts.get(directory)
        if mount is not None and mount.kind in _PSEUDO:
            return "pseudo file system"
        if self.device is not None and self._device_of(directory, mount) != self.device:
            return "another file system"
        return None

    def _device_of(self, directory: str, mount: Mount | None) -> int | None:
        try:
            return os.lstat(directory).st_dev
        except OSError as error:
            if not may_pass(error):
                raise
            return self.device if mount is None else None

    def forbids_root(self, real: str) -> bool:
        """Tell whether the real path `real` lies in a file system that is never entered."""
        # An autofs only keeps the place of what is mounted there on demand: the mount under it counts.
        kinds = (mount.kind for mount in holding(real, self.mounts) if mount.kind != "autofs")
        return next(kinds, None) in _PSEUDO


def patterns(lines: Sequence[str]) -> GitIgnoreSpec | None:
    """Compile patterns; None if there are none. Raises `ValueError` for one that cannot be used."""
    for line in lines:
        if any(segment.replace("**", "").count("*") > _MOST_STARS for segment in line.split("/")):
            raise ValueError(f"{line!r} has more than {_MOST_STARS} stars in one segment")
    try:
        return GitIgnoreSpec.from_lines(lines) if lines else None
    except Exception as error:  # the library raises its own types, re.error and more
        raise ValueError(str(error)) from error
