"""What is kept about an entry of a tree besides its content."""

import os
from datetime import UTC, datetime
from functools import lru_cache

import msgspec


class Attributes(msgspec.Struct, frozen=True, gc=False):
    """What a disk says of an entry: times in nanoseconds since the epoch, `mode` as in `st_mode`.

    `size`: in bytes; of a link, its target's length. `inode` tells a file from another one of the same name.
    """

    mtime_ns: int
    mode: int
    uid: int
    gid: int
    ctime_ns: int
    inode: int
    size: int

    @classmethod
    def of(cls, status: os.stat_result) -> "Attributes":
        """Return those that a `status` has."""
        return cls(
            status.st_mtime_ns,
            status.st_mode,
            status.st_uid,
            status.st_gid,
            status.st_ctime_ns,
            status.st_ino,
            status.st_size,
        )

    @property
    def mtime(self) -> str:
        """The time of the last modification, RFC 3339 with nanoseconds; the epoch if no calendar has it."""
        return _text(self.mtime_ns)

    @property
    def ctime(self) -> str:
        """The time of the last change, of the content or of these attributes, as `mtime` is written."""
        return _text(self.ctime_ns)

    def to_metadata(self) -> dict[str, str]:
        """Return a blob's metadata, under rclone's keys."""
        return {"mtime": self.mtime, "mode": f"{self.mode:o}", "uid": str(self.uid), "gid": str(self.gid)}


def _text(time_ns: int) -> str:
    second = _second(time_ns // 1_000_000_000)
    return _EPOCH if second is None else f"{second}.{time_ns % 1_000_000_000:09d}Z"


@lru_cache(maxsize=1024)  # files that were written together share their second
def _second(seconds: int) -> str | None:
    try:
        return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None).isoformat()
    except (OverflowError, ValueError, OSError):  # before year 1 or after 9999
        return None


_EPOCH = "1970-01-01T00:00:00.000000000Z"
