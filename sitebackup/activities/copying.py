"""E2_CopyFileToBlob: the items of a copy task -> blobs and outcomes."""

import os
from itertools import chain
from typing import Any

from sitebackup.activities.checks import check_allowed, check_vanished, find_place
from sitebackup.activities.copier import Copied, Copier
from sitebackup.concurrently import all_of
from sitebackup.engine.engine import Engine
from sitebackup.errors import FatalError, SourceError, VanishedError
from sitebackup.records import manifest
from sitebackup.records.outcomes import Outcome
from sitebackup.records.packing import pack
from sitebackup.tally import Tally
from sitebackup.tree.reading import size_of
from sitebackup.tree.walking import Item

_READ_AT_ONCE = 8
"""Files that are read in one go, at most."""

_READ_BYTES = 256 * 1024
"""Bytes of them, at most; a bigger file is read alone."""


async def copy_file_to_blob(request: Any, engine: Engine) -> int | dict[str, Any]:
    """Copy files.

    A string, a file's absolute path: copy it and return its size in bytes.

    An object `{"run", "plan", "task"}`: copy the items of a plan's task, record their outcomes, and return
    their tally.
    """
    if isinstance(request, str):
        directory, name = os.path.split(request)
        if not os.path.isabs(directory):
            raise FatalError("The path of a file must be absolute.")
        place = await engine.in_thread(lambda: find_place(directory, engine))
        size = await engine.in_thread(lambda: size_of(place.path(name)))
        [copied] = await Copier(engine).copy(place, [Item(name, "file", size)])
        if isinstance(copied, SourceError):
            raise copied
        return copied.size
    run, plan, task = request["run"], request["plan"], request["task"]
    place, items = await engine.runs.read_task(run, plan, task)
    await engine.in_thread(lambda: check_allowed(place.real, engine))
    parts = list(pack(items, _READ_AT_ONCE, _READ_BYTES))
    copier = Copier(engine)
    copied = await all_of(copier.copy(place, part) for part in parts)
    outcomes = list(map(_outcome, chain(*parts), chain(*copied)))
    await check_vanished(outcomes, place, engine)
    await engine.runs.write_outcomes(run, plan, task, outcomes)
    return Tally.of(map(manifest.tally_of, outcomes)).to_json()


def _outcome(item: Item, result: Copied | SourceError) -> Outcome:
    if isinstance(result, VanishedError):
        return Outcome(item.path, "vanished", str(result), item.kind)
    if isinstance(result, SourceError):
        return Outcome(item.path, "failed", str(result), item.kind)
    return Outcome(
        path=item.path,
        outcome="copied",
        kind=item.kind,
        size=result.size,
        mtime=result.attributes.mtime,
        mode=f"{result.attributes.mode:o}",
        uid=result.attributes.uid,
        gid=result.attributes.gid,
        blob=result.blob,
        md5=result.md5.hex(),
        etag=result.etag,
    )
