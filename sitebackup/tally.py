"""Counts: besides references, the only thing that travels through an orchestration's history."""

from collections.abc import Iterable

import msgspec

NAMED = 10
"""Troubles that a message names; beyond that it counts."""


class Tally(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a part of a run found or did; the sum of parts is the run's.

    `bytes` counts the files in `files` alone.
    """

    files: int = 0
    bytes: int = 0
    links: int = 0
    directories: int = 0
    failed: int = 0
    vanished: int = 0
    skipped: int = 0

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(
            files=self.files + other.files,
            bytes=self.bytes + other.bytes,
            links=self.links + other.links,
            directories=self.directories + other.directories,
            failed=self.failed + other.failed,
            vanished=self.vanished + other.vanished,
            skipped=self.skipped + other.skipped,
        )

    @classmethod
    def of(cls, parts: Iterable["Tally"]) -> "Tally":
        """Return the sum of `parts`."""
        return sum(parts, cls())

    def to_json(self) -> dict[str, int]:
        """Return a JSON object; counts of zero are left out, since most are."""
        return msgspec.to_builtins(self)

    @property
    def saved(self) -> int:
        """Entries that were saved."""
        return self.files + self.links + self.directories

    @property
    def entries(self) -> int:
        """Entries that were to be saved."""
        return self.saved + self.failed
