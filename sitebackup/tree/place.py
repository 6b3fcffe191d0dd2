"""Where a tree is."""

import os
import stat
from dataclasses import dataclass

from sitebackup.errors import SourceUnavailableError, may_pass
from sitebackup.tree.reasons import reasons, words


@dataclass(frozen=True, slots=True)
class Place:
    """Where a tree is: `root` as the caller gave it, which names the blobs, and its `real` path.

    `marker` tells it from another tree at the same path, on another machine or after another mount, if that
    can be told.
    """

    root: str
    real: str
    marker: str | None = None

    def name(self, path: str) -> str:
        """Return the absolute path that names the blob of `path`, relative to the root."""
        return os.path.join(self.root, path)

    def path(self, path: str) -> str:
        """Return the absolute path at which to open `path`, relative to the root."""
        return os.path.join(self.real, path)


def is_directory(path: str) -> bool:
    """Tell whether a directory is at `path`, links followed.

    Raises `SourceUnavailableError` if the disk does not say.
    """
    try:
        return stat.S_ISDIR(os.stat(path).st_mode)
    except OSError as error:
        if may_pass(error):
            raise SourceUnavailableError(words(error)) from None
        return False


def device_of(path: str) -> int:
    """Return the device that `path` is on (`st_dev`). Raises `SourceError` and `SourceUnavailableError`."""
    with reasons():
        return os.stat(path).st_dev


def has_entries(path: str) -> bool:
    """Tell whether there is anything in the directory `path`. Raises as `device_of`."""
    with reasons(), os.scandir(path) as entries:
        return any(entries)
