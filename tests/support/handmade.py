"""Plans, outcomes and manifests made by hand, for tests of what comes after copying."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from sitebackup.blobs import blobname
from sitebackup.blobs.container import Properties
from sitebackup.digests import md5
from sitebackup.engine.engine import Engine
from sitebackup.messages import ManifestRequest, Plan
from sitebackup.records.entries import Entry, to_lines
from sitebackup.records.lines import LineWriter
from sitebackup.records.manifest import FORMAT, Index, Part, write_index
from sitebackup.records.outcomes import Outcome, write_outcomes
from sitebackup.records.plans import Task
from sitebackup.records.run_blobs import part_name
from sitebackup.tally import Tally
from sitebackup.tree.place import Place

ROOT = "/site"

DISK: dict[str, Any] = {
    "mtime": "2026-01-02T03:04:05.000000000Z",
    "ctime": "2026-01-02T03:04:05.000000000Z",
    "inode": 7,
    "uid": 0,
    "gid": 0,
}


def directory(path: str, mode: str = "40755") -> Entry:
    """A saved directory in which something is saved."""
    return Entry(path, "directory", mode=mode, **DISK)


def saved(path: str, content: bytes = b"", *, since: str = "before", root: str = ROOT, **more: Any) -> Entry:
    """A saved file, or what `kind` says."""
    about: dict[str, Any] = {
        "kind": "file",
        "size": len(content),
        "mode": "100644",
        "md5": md5(content).hex(),
        "etag": '"1"',
        "since": since,
        **DISK,
    }
    if "blob" not in more:
        about["blob"] = blobname.encode(f"{root}/{path}".rstrip("/"))
    return Entry(path, **{**about, **more})


def new(entry: Entry) -> Outcome:
    """The outcome of a file that was saved for the first time."""
    return Outcome(entry, entry.tally + Tally(new=1, uploaded=entry.size))


async def put_plan(
    engine: Engine,
    run: str,
    draft: Iterable[Entry] = (),
    batches: Sequence[Sequence[Task]] = (),
    removals: Sequence[Sequence[Task]] = (),
) -> Plan:
    """Store a plan and its draft."""
    writer = engine.plans.new_plan(run, Place(ROOT, ROOT))
    lines = LineWriter(engine.catalog, part_name(run, writer.id))
    entries = list(draft)
    await lines.add(to_lines(entries))
    await lines.close()
    if batches or removals:
        await writer.add([*batches, *removals])
        await writer.close()
    return Plan(writer.id, len(batches), len(removals), len(entries), lines.size)


async def put_outcomes(engine: Engine, run: str, plan: Plan, *batches: Iterable[Outcome]) -> None:
    """Store the outcomes of the first batches of a plan."""
    for number, outcomes in enumerate(batches):
        await write_outcomes(engine.runs, run, plan.id, number, outcomes)


async def put_manifest(engine: Engine, run: str, parts: Sequence[Sequence[Entry]], root: str = ROOT) -> Index:
    """Store a manifest."""
    found: list[Part] = []
    for number, entries in enumerate(parts):
        data = to_lines(entries)
        await engine.catalog.put(part_name(run, str(number)), data, Properties(md5(data)))
        found.append(Part(str(number), entries[0].path, len(entries), len(data)))
    times = {"started": STARTED, "finished": STARTED}
    index = Index(FORMAT, run, root, {}, totals={}, parts=tuple(found), **times)
    await write_index(engine.catalog, index)
    return index


STARTED = "2026-01-02T03:04:05.000006Z"
"""When every run started."""


def asked(run: str, plans: Iterable[Plan], root: str = ROOT, **more: Any) -> ManifestRequest:
    """What the orchestration asks for when all is copied."""
    finished = "2026-01-02T03:04:07.000008Z"
    request = ManifestRequest(run, root, started=STARTED, finished=finished, plans=tuple(plans))
    return msgspec.structs.replace(request, **more)
