"""Where a tree is."""

import os
from dataclasses import dataclass


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
