"""Counts, the only thing besides references that travels through an orchestration's history."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

NAMED = 10
"""Troubles that a message names; beyond that it counts."""


@dataclass(frozen=True, slots=True)
class Tally:
    """What a part of a run found or did; the sum of parts is the run's.

    `bytes` counts the files in `files` alone. `errors` are troubles that were no single file's.
    """

    files: int = 0
    bytes: int = 0
    links: int = 0
    directories: int = 0
    failed: int = 0
    vanished: int = 0
    skipped: int = 0
    errors: tuple[str, ...] = ()

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(
            files=self.files + other.files,
            bytes=self.bytes + other.bytes,
            links=self.links + other.links,
            directories=self.directories + other.directories,
            failed=self.failed + other.failed,
            vanished=self.vanished + other.vanished,
            skipped=self.skipped + other.skipped,
            errors=(self.errors + other.errors)[:NAMED],
        )

    @classmethod
    def of(cls, parts: Iterable["Tally"]) -> "Tally":
        """Return the sum of `parts`."""
        return sum(parts, cls())

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object; counts of zero are left out, since most are."""
        return {key: value for key, value in (asdict(self) | {"errors": list(self.errors)}).items() if value}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        """Read a tally out of a JSON object, which may have other keys too."""
        known: dict[str, Any] = {
            field.name: value[field.name] for field in fields(cls) if field.name in value
        }
        known["errors"] = tuple(known.get("errors", ()))
        return cls(**known)
