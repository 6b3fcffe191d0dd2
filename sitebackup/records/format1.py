"""Manifests of format 1, which versions before 0.2 left, read as entries.

One blob `<run>/manifest.ndjson` in the container `backup-runs`: a head line (format, root, options, times,
totals), then one line an entry, sorted by path. Of the directories it has only those in which nothing was
saved, and they have no slash.
"""

import json
from typing import Any

import msgspec

from sitebackup.blobs.container import Container
from sitebackup.errors import FatalError
from sitebackup.records.entries import Entry, Kind, from_line
from sitebackup.records.manifest import Index, Part, check_format
from sitebackup.records.run_blobs import folder

FORMAT = 1
"""Version of the manifest's format."""

_HEAD = 256 * 1024
"""Bytes that hold the head: what it has most of is a request's options, 64 KiB at most."""


class _Line(msgspec.Struct):
    """A line of an entry: `outcome` is copied, failed, vanished or skipped. The head has another `format`."""

    path: str = ""
    outcome: str = ""
    format: int | None = None
    reason: str | None = None
    kind: Kind | None = None
    size: int = 0
    mtime: str | None = None
    mode: str | None = None
    uid: int | None = None
    gid: int | None = None
    blob: str | None = None
    md5: str | None = None
    etag: str | None = None


def manifest_name(run: str) -> str:
    """Return the blob of a run's manifest."""
    return f"{folder(run)}/manifest.ndjson"


async def read_index(runs: Container, run: str) -> Index:
    """Return the head of a run's manifest as an index, with the whole blob as its only part.

    Raises `FatalError` if there is none.
    """
    name = manifest_name(run)
    blob = await runs.find(name)
    if blob is None:
        raise FatalError(f"There is no manifest of a run '{run}'.")
    head: dict[str, Any] = json.loads((await runs.get(name, 0, _HEAD)).partition(b"\n")[0])
    check_format(head, run, FORMAT)
    return Index(
        format=FORMAT,
        run=run,
        root=head["root"],
        options=head.get("options", {}),
        started=head.get("started", ""),
        finished=head.get("finished", ""),
        totals=head.get("totals", {}),
        parts=(Part("manifest", "", 0, blob.size),),
    )


def entry_of(line: bytes) -> Entry | None:
    """Read a line of a manifest; None for its head."""
    row = from_line(line, _Line)
    if row.format is not None:
        return None
    path = f"{row.path}/" if row.kind == "directory" else row.path
    if row.outcome != "copied":
        return msgspec.convert(
            {"path": path, "kind": row.kind, "outcome": row.outcome, "reason": row.reason}, Entry
        )
    return Entry(
        path,
        row.kind,
        size=row.size,
        mtime=row.mtime,
        mode=row.mode,
        uid=row.uid,
        gid=row.gid,
        blob=row.blob,
        md5=row.md5,
        etag=row.etag,
    )
