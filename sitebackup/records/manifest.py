"""What a run saved and what it did not: one sorted list, made of the outcomes of all batches.

`<run>/manifest.ndjson` begins with a head line (format version, root, options, times, totals); then one line
an entry, sorted by path. `docs/manifest.schema.json` describes both.
"""

import hashlib
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from sitebackup.blobs.container import Container
from sitebackup.errors import FatalError
from sitebackup.records.lines import LineWriter, merge, ndjson, read_lines
from sitebackup.records.outcomes import Outcome
from sitebackup.records.run_blobs import folder, manifest_name
from sitebackup.tally import NAMED, Tally

FORMAT = 1
"""Version of the manifest's format."""

_HEAD = 256 * 1024
"""Bytes that hold the head of a manifest: what it has most of is a request's options, 64 KiB at most."""

_MERGED_AT_ONCE = 64
"""Streams that one merge reads, each with a chunk of a mebibyte in memory."""


@dataclass(slots=True)
class Summary:
    """What a manifest adds up to, and its first failures in words."""

    tally: Tally = field(default_factory=Tally)
    named: list[str] = field(default_factory=list[str])

    def add(self, outcome: Outcome) -> None:
        """Count an outcome, and name it if it failed and not too many have."""
        self.tally += outcome.tally
        if outcome.outcome == "failed" and len(self.named) < NAMED:
            self.named.append(f"{outcome.path or '.'}: {outcome.reason}")


@dataclass(frozen=True, slots=True)
class Head:
    """What a reader needs to know of a manifest first: the `root`'s path, and its `size` in bytes."""

    root: str
    size: int


async def write(runs: Container, run: str, parts: Sequence[str], about: dict[str, Any]) -> Summary:
    """Write the manifest of `run` out of blobs of outcomes, `parts`, each sorted by path.

    `about` becomes the first line, with the format and the totals added.
    """
    summary = Summary()
    writer = LineWriter(runs, manifest_name(run))
    last = None
    async for line in _sorted(runs, run, parts):
        outcome = Outcome.from_json(json.loads(line))
        if outcome.path == last:  # a directory that changes while it is read may give a name twice
            continue
        last = outcome.path
        summary.add(outcome)
        await writer.add(line + b"\n")
    await writer.close(ndjson([{"format": FORMAT, **about, "totals": summary.tally.to_json()}]))
    return summary


async def read_head(runs: Container, run: str) -> Head:
    """Return what a run's manifest begins with.

    Raises `FatalError` if there is none, or if this version of the app cannot read it.
    """
    blob = await runs.find(manifest_name(run))
    if blob is None:
        raise FatalError(f"There is no manifest of a run '{run}'.")
    data = await runs.get(manifest_name(run), 0, _HEAD)
    head = json.loads(data.partition(b"\n")[0])
    if head["format"] != FORMAT:
        raise FatalError(
            f"The manifest of run '{run}' has format {head['format']}. This version of the app reads {FORMAT}"
            " only."
        )
    return Head(head["root"], blob.size)


async def read(runs: Container, run: str, begin: int = 0, end: int | None = None) -> AsyncIterator[Outcome]:
    """Yield the entries whose lines begin in a range of a run's manifest, in bytes."""
    async for line in read_lines(runs, manifest_name(run), begin, end):
        row = json.loads(line)
        if "format" not in row:
            yield Outcome.from_json(row)


async def _sorted(runs: Container, run: str, parts: Sequence[str]) -> AsyncIterator[bytes]:
    """Merge sorted blobs, in as many passes as keep the number of open ones small."""
    while len(parts) > _MERGED_AT_ONCE:
        groups = [parts[i : i + _MERGED_AT_ONCE] for i in range(0, len(parts), _MERGED_AT_ONCE)]
        parts = [await _merged(runs, run, group) for group in groups]
    async for line in merge([read_lines(runs, part) for part in parts], "path"):
        yield line


async def _merged(runs: Container, run: str, parts: Sequence[str]) -> str:
    """Merge `parts` into one blob, named after them, and return its name."""
    digest = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]
    name = f"{folder(run)}/outcomes/merged-{digest}.ndjson"
    writer = LineWriter(runs, name)
    async for line in merge([read_lines(runs, part) for part in parts], "path"):
        await writer.add(line + b"\n")
    await writer.close()
    return name
