"""Blobs of a root that no manifest knows: a run that was killed or a process that came late has left them."""

import os
from collections.abc import Iterable
from itertools import islice

from sitebackup.blobs import blobname
from sitebackup.blobs.container import Blob
from sitebackup.concurrently import all_of
from sitebackup.digests import root_id
from sitebackup.engine.engine import Engine
from sitebackup.records.entries import ROOT_MARK, Entry, kind_of
from sitebackup.records.plans import Task

_LOOKED_AT = 1_000
"""Blobs that no manifest knows and that are looked at, at most: a container may be full of a stranger's."""


async def lost_blobs(root: str, extra: Iterable[str], engine: Engine) -> list[Task]:
    """Return tasks to remove those of the `extra` blobs, by name, that were stored for a root."""

    async def look(name: str) -> Blob | None:
        async with engine.transfers:
            return await engine.backups.find(name)

    blobs = await all_of(map(look, islice(extra, _LOOKED_AT)))
    mark = root_id(root)
    return [
        _removal(root, blob)
        for blob in blobs
        if blob is not None and blob.md5 is not None and (blob.metadata or {}).get(ROOT_MARK) == mark
    ]


def _removal(root: str, blob: Blob) -> Task:
    kind = kind_of(blob.metadata or {})
    path = os.path.relpath(blobname.decode(blob.name), root) + ("/" if kind == "directory" else "")
    md5 = blob.md5.hex() if blob.md5 is not None else ""
    base = Entry(path, kind, blob.size, blob=blob.name, md5=md5, etag=blob.etag, since="")
    return Task(path, kind, base=base, gone=True)
