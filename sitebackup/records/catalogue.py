"""The records of runs: one small blob a run, written when it starts and when it ends.

`runs/<root ID>/<started>_<run>.json` in the container `backup-catalog`, so a listing gives the runs of a root
by the time of their start. What a reader needs to choose one is in the blob's metadata too.
"""

import json
import re
from contextlib import suppress
from typing import Any, Literal

import msgspec

from sitebackup.blobs import blobname
from sitebackup.blobs.container import ABSENT, Container, Properties
from sitebackup.digests import md5, root_id
from sitebackup.errors import BlobMissingError, ConditionNotMetError
from sitebackup.records.manifest import Index, read_index
from sitebackup.records.run_blobs import records_folder

type State = Literal["running", "completed", "partial", "failed"]
"""`partial`: completed, with failures that the caller allowed."""


class RunRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """A run, for people and programs that choose one. Times are RFC 3339; of the start with microseconds.

    `source`: the site or machine that the root was on. `format`: of its manifest, None while there is none.
    `totals`: what the manifest adds up to, as a JSON object. `message`: why it failed.
    """

    run: str
    root: str
    source: str
    options: dict[str, Any]
    version: str
    started: str
    state: State = "running"
    ended: str | None = None
    format: int | None = None
    totals: dict[str, int] = {}
    message: str | None = None


async def write_record(catalog: Container, record: RunRecord) -> None:
    """Write the record of a run; that of the end replaces that of the start, never the reverse."""
    data = json.dumps(msgspec.to_builtins(record), indent=1).encode()
    metadata = {"state": record.state}
    if record.format is not None:
        metadata["format"] = str(record.format)
    condition = ABSENT if record.state == "running" else None
    with suppress(ConditionNotMetError):
        await catalog.put(_name(record), data, Properties(md5(data), "application/json", metadata), condition)


async def newest_manifest(catalog: Container, root: str) -> tuple[RunRecord, Index] | None:
    """Return the run of a root that started last, of those that left a manifest, and its index."""
    blobs = [blob async for blob in catalog.list(records_folder(root_id(root)), metadata=True)]
    for blob in reversed(blobs):
        if not (blob.metadata or {}).get("format"):
            continue
        with suppress(BlobMissingError):  # it was forgotten meanwhile
            record = msgspec.convert(json.loads(await catalog.get(blob.name)), RunRecord)
            return record, await read_index(catalog, record.run)
    return None


def _name(record: RunRecord) -> str:
    started = re.sub("[-:.]", "", record.started)
    return f"{records_folder(root_id(record.root))}{started}_{blobname.encode(record.run)}.json"
