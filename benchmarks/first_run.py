"""A first run that nobody has to wait for: its manifest and its record, without its uploads.

The null service says that its blobs are there (`benchmarks.saved_tree`).
"""

from collections.abc import Iterable
from itertools import batched
from pathlib import Path

import msgspec

from benchmarks.saved_tree import ETAG
from sitebackup import __version__, names
from sitebackup.blobs import blobname
from sitebackup.blobs.account import connect
from sitebackup.blobs.container import Container
from sitebackup.records.catalogue import RunRecord, write_record
from sitebackup.records.entries import Entry, fields_of, to_line
from sitebackup.records.lines import LineWriter
from sitebackup.records.manifest import FORMAT, Index, Part, write_index
from sitebackup.records.run_blobs import part_name
from sitebackup.request import BackupRequest
from sitebackup.tree import entries
from sitebackup.tree.entries import Item

RUN = "first"
"""Its instance ID."""

_PART = 20_000
"""Entries of a part of its manifest: as many as a listing takes unless it is told otherwise."""

_STEP = 1_000
_TIME = "2026-01-01T00:00:00.000000Z"


async def record_first_run(
    storage: str, root: Path, walk: Iterable[entries.Entry | None], content: bytes
) -> None:
    """Record a run that has saved everything that a `walk` of `root` finds; MD5 of each file is `content`."""
    account = connect({"AzureWebJobsStorage": storage})
    catalog = account.container(names.CATALOG_CONTAINER)
    request = BackupRequest.parse(str(root))
    items = (item for item in walk if isinstance(item, Item))
    try:
        parts = [
            await _write_part(catalog, f"{number:06}", root, part, content)
            for number, part in enumerate(batched(items, _PART, strict=False))
        ]
        await write_index(
            catalog, Index(FORMAT, RUN, str(root), request.to_json(), _TIME, _TIME, {}, tuple(parts))
        )
        await write_record(
            catalog,
            RunRecord(
                run=RUN,
                root=str(root),
                source="",
                options=request.to_json(),
                version=__version__,
                started=_TIME,
                state="completed",
                ended=_TIME,
                format=FORMAT,
            ),
        )
    finally:
        await account.close()


async def _write_part(
    catalog: Container, name: str, root: Path, items: tuple[Item, ...], content: bytes
) -> Part:
    lines = LineWriter(catalog, part_name(RUN, name))
    for some in batched(items, _STEP, strict=False):
        await lines.add(b"".join(to_line(_entry(root, item, content)) for item in some))
    await lines.close()
    return Part(name, items[0].key, len(items), lines.size)


def _entry(root: Path, item: Item, content: bytes) -> Entry:
    assert item.attributes is not None  # noqa: S101 - trees of benchmarks answer
    entry = Entry(item.key, item.kind, **fields_of(item.attributes))
    if item.kind == "directory":
        return entry
    blob = blobname.encode(f"{root}/{item.path}")
    return msgspec.structs.replace(entry, size=item.size, blob=blob, md5=content.hex(), etag=ETAG, since=RUN)
