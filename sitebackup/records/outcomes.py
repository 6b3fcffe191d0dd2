"""How it went with each entry of a tree."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Outcome:
    """How it went with one entry: `outcome` is copied, skipped, vanished or failed.

    `path` is relative to the root; `reason` says why it was not copied. What was copied has `kind`, the
    `blob`'s name, its content's `size` in bytes and `md5` in hexadecimal, its `etag`, and the entry's `mtime`
    (RFC 3339), `mode` (octal), `uid` and `gid`.
    """

    path: str
    outcome: str
    reason: str | None = None
    kind: str | None = None
    size: int = 0
    mtime: str | None = None
    mode: str | None = None
    uid: int | None = None
    gid: int | None = None
    blob: str | None = None
    md5: str | None = None
    etag: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return what there is of it."""
        values = ((name, getattr(self, name)) for name in self.__slots__)
        return {name: value for name, value in values if value is not None}
