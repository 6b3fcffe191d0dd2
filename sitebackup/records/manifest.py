"""What a run saved and what it did not: one sorted list, made of the outcomes of all copy tasks.

`<run>/manifest.ndjson` begins with a head line (format version, root, options, times, totals); then one line
an entry, sorted by path. `docs/manifest.schema.json` describes both.
"""

import hashlib
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from sitebackup.errors import FatalError
from sitebackup.records.lines import LineWriter, merge, ndjson, read_lines
from sitebackup.records.outcomes import Outcome
from sitebackup.records.runs import LISTING, RunStore, folder, manifest_name, outcomes_name
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
        self.tally += tally_of(outcome)
        if outcome.outcome == "failed" and len(self.named) < NAMED:
            self.named.append(f"{outcome.path or '.'}: {outcome.reason}")


async def write(
    runs: RunStore, run: str, plans: Sequence[tuple[str, int, bool]], head: dict[str, Any]
) -> Summary:
    """Write the manifest of `run`, whose `plans` are `(plan, number of copy tasks, has listing outcomes)`.

    `head` becomes the first line, with the format and the totals added.
    """
    parts = [
        outcomes_name(run, plan, task)
        for plan, tasks, odd in plans
        for task in [*range(tasks), *([LISTING] if odd else [])]
    ]
    summary = Summary()
    writer = LineWriter(runs.container, manifest_name(run))
    last = None
    async for line in _sorted(runs, run, parts):
        outcome = Outcome(**json.loads(line))
        if outcome.path == last:  # a directory that changes while it is read may give a name twice
            continue
        last = outcome.path
        summary.add(outcome)
        await writer.add(line + b"\n")
    await writer.close(ndjson([{"format": FORMAT, **head, "totals": summary.tally.to_json()}]))
    return summary


async def size_of(runs: RunStore, run: str) -> int:
    """Return the length of a run's manifest in bytes; raises `FatalError` if there is none."""
    blob = await runs.container.find(manifest_name(run))
    if blob is None:
        raise FatalError(f"There is no manifest of a run '{run}'.")
    return blob.size


async def read_head(runs: RunStore, run: str) -> dict[str, Any]:
    """Return the first line of a run's manifest."""
    data = await runs.container.get(manifest_name(run), 0, _HEAD)
    return json.loads(data.partition(b"\n")[0])


async def read(runs: RunStore, run: str, begin: int = 0, end: int | None = None) -> AsyncIterator[Outcome]:
    """Yield the entries whose lines begin in a range of a run's manifest, in bytes."""
    async for line in read_lines(runs.container, manifest_name(run), begin, end):
        row = json.loads(line)
        if "format" not in row:
            yield Outcome(**row)


def tally_of(outcome: Outcome) -> Tally:
    """Return what one outcome counts for."""
    copied = outcome.outcome == "copied"
    return Tally(
        files=copied and outcome.kind == "file",
        bytes=outcome.size if outcome.kind == "file" else 0,
        links=copied and outcome.kind == "link",
        directories=copied and outcome.kind == "directory",
        failed=outcome.outcome == "failed",
        vanished=outcome.outcome == "vanished",
        skipped=outcome.outcome == "skipped",
    )


async def _sorted(runs: RunStore, run: str, parts: Sequence[str]) -> AsyncIterator[bytes]:
    """Merge sorted blobs, in as many passes as keep the number of open ones small."""
    while len(parts) > _MERGED_AT_ONCE:
        groups = [parts[i : i + _MERGED_AT_ONCE] for i in range(0, len(parts), _MERGED_AT_ONCE)]
        parts = [await _merged(runs, run, group) for group in groups]
    async for line in merge([read_lines(runs.container, part) for part in parts], "path"):
        yield line


async def _merged(runs: RunStore, run: str, parts: Sequence[str]) -> str:
    """Merge `parts` into one blob, named after them, and return its name."""
    digest = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]
    name = f"{folder(run)}/outcomes/merged-{digest}.ndjson"
    writer = LineWriter(runs.container, name)
    async for line in merge([read_lines(runs.container, part) for part in parts], "path"):
        await writer.add(line + b"\n")
    await writer.close()
    return name
