"""The blobs of a tree of many files that nobody has uploaded: the null service says that they are there.

Names follow from numbers (`benchmarks.shapes`), so that ten million blobs take no memory.
"""

import base64
import hashlib
import json
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from benchmarks.shapes import Shape

ETAG = '"0x0"'
"""Of each of its blobs."""


@dataclass(frozen=True)
class SavedTree:
    """The tree at `root`, of files of so many bytes, all of them zero."""

    root: Path
    shape: Shape
    size: int

    @cached_property
    def md5(self) -> bytes:
        """The digest of each of them."""
        return hashlib.md5(bytes(self.size), usedforsecurity=False).digest()

    @property
    def md5_header(self) -> str:
        """The digest as storage has it."""
        return base64.b64encode(self.md5).decode()

    @property
    def prefix(self) -> str:
        """What the names of its blobs begin with."""
        return f"{str(self.root).lstrip('/')}/"

    def since(self, name: str) -> Iterator[str]:
        """Yield the names of its blobs from `name` on, which begins with the prefix."""
        prefix = self.prefix
        begin = bisect_left(self.shape, name.removeprefix(prefix))
        return (f"{prefix}{path}" for path in self.shape.since(begin))

    def __contains__(self, name: str) -> bool:
        return name.startswith(self.prefix) and next(self.since(name), None) == name

    def to_argument(self) -> str:
        """Return it as text for a command line."""
        return json.dumps([str(self.root), self.shape.files, self.shape.directories, self.size])

    @classmethod
    def from_argument(cls, text: str) -> "SavedTree":
        """Read what `to_argument` returned."""
        root, files, directories, size = json.loads(text)
        return cls(Path(root), Shape(files, directories), size)
