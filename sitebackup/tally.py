"""Counts: besides references, the only thing that travels through an orchestration's history."""

from collections.abc import Iterable

import msgspec

NAMED = 10
"""Troubles that a message names; beyond that it counts."""


class Tally(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a part of a run found or did; the sum of parts is the run's.

    `files`, `links` and `directories` are saved, now or by an earlier run; `bytes` is the size of the files.
    Of the files, some are `new`, some `changed` since the run before, in content or attributes, and the
    others `unchanged`; `touched` ones are those of the last kind that were read again because of their ctime
    or inode alone. `uploaded` is the content that was sent, in bytes.

    `failed`, `vanished`, `skipped` and `kept` entries are not saved by this run; `gone` ones are removed. So
    many entries were `checked` in the comparison at the end.
    """

    files: int = 0
    bytes: int = 0
    links: int = 0
    directories: int = 0
    failed: int = 0
    vanished: int = 0
    skipped: int = 0
    kept: int = 0
    new: int = 0
    changed: int = 0
    unchanged: int = 0
    touched: int = 0
    gone: int = 0
    uploaded: int = 0
    checked: int = 0

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(*map(int.__add__, msgspec.structs.astuple(self), msgspec.structs.astuple(other)))

    def __sub__(self, other: "Tally") -> "Tally":
        return Tally(*map(int.__sub__, msgspec.structs.astuple(self), msgspec.structs.astuple(other)))

    @classmethod
    def of(cls, parts: Iterable["Tally"]) -> "Tally":
        """Return the sum of `parts`."""
        columns = zip(*map(msgspec.structs.astuple, parts), strict=True)
        return cls(*map(sum, columns))

    def to_json(self) -> dict[str, int]:
        """Return a JSON object; counts of zero are left out, since most are."""
        return msgspec.to_builtins(self)

    @property
    def saved(self) -> int:
        """Entries that are saved."""
        return self.files + self.links + self.directories

    @property
    def entries(self) -> int:
        """Entries that were to be saved."""
        return self.saved + self.failed
