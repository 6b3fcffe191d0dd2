"""How it went with each entry of a tree."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any, Self

from sitebackup.blobs.container import Container, Properties
from sitebackup.digests import md5
from sitebackup.records.lines import ndjson
from sitebackup.records.run_blobs import outcomes_name
from sitebackup.tally import Tally


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

    @classmethod
    def from_json(cls, row: dict[str, Any]) -> Self:
        """Read an outcome; fields that a later version has added are ignored."""
        return cls(**{name: row[name] for name in _FIELDS if name in row})

    @property
    def tally(self) -> Tally:
        """What it counts for."""
        copied = self.outcome == "copied"
        return Tally(
            files=int(copied and self.kind == "file"),
            bytes=self.size if self.kind == "file" else 0,
            links=int(copied and self.kind == "link"),
            directories=int(copied and self.kind == "directory"),
            failed=int(self.outcome == "failed"),
            vanished=int(self.outcome == "vanished"),
            skipped=int(self.outcome == "skipped"),
        )


_FIELDS = tuple(field.name for field in fields(Outcome))


async def write_outcomes(
    container: Container, run: str, plan: str, batch: int | str, outcomes: Iterable[Outcome]
) -> None:
    """Record the outcomes of a batch, or of the listing itself (`LISTING`), sorted by path."""
    ordered = sorted(outcomes, key=lambda outcome: outcome.path)
    data = ndjson(outcome.to_json() for outcome in ordered)
    await container.put(outcomes_name(run, plan, batch), data, Properties(md5(data)))


async def read_outcomes(container: Container, run: str, plan: str, batch: int) -> list[Outcome]:
    """Return the outcomes of a batch. Raises `BlobMissingError` if it is not done."""
    data = await container.get(outcomes_name(run, plan, batch))
    return [Outcome.from_json(json.loads(line)) for line in data.splitlines()]
