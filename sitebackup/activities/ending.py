"""E2_EndRun: how a run ended, in its record, and an end of what it needed while it worked."""

import asyncio
from contextlib import suppress
from typing import Any

from sitebackup import __version__
from sitebackup.activities.checks import parse_input
from sitebackup.blobs.container import Container
from sitebackup.concurrently import all_of
from sitebackup.engine.engine import Engine
from sitebackup.errors import BackupError, BlobRefusedError
from sitebackup.messages import Answer, EndRequest
from sitebackup.records.catalogue import RunRecord, write_record
from sitebackup.records.manifest import FORMAT, seal_index
from sitebackup.records.run_blobs import folder, index_name, manifest_folder, part_name

_SECONDS = 120.0
"""For deleting: what is left then stays, and harms nobody."""


async def end_run(request: dict[str, Any], engine: Engine) -> dict[str, Any]:
    """Write the record that an `EndRequest` asks for, and delete the run's scratch; return `Answer`."""
    asked = EndRequest.from_json(request)
    parsed = parse_input(asked.request)
    record = RunRecord(
        run=asked.run,
        root=parsed.root,
        source=engine.settings.source,
        options=parsed.to_json(),
        version=__version__,
        started=asked.started,
        state=asked.state,
        ended=asked.ended,
        format=FORMAT if asked.has_manifest else None,
        totals=asked.tally.to_json(),
        message=asked.message,
    )
    await write_record(engine.catalog, record)
    if asked.has_manifest:
        with suppress(BackupError, TimeoutError):  # nobody needs it any more, but it does no harm either
            async with asyncio.timeout(_SECONDS):
                await _clean_up(asked.run, engine)
    return Answer(advanced=True).to_json()


async def _clean_up(run: str, engine: Engine) -> None:
    index = await seal_index(engine.catalog, run)  # if it is not there, the scratch is all that there is
    await _delete(engine.runs, f"{folder(run)}/", set(), engine)
    kept = {index_name(run), *(part_name(run, part.name) for part in index.parts)}
    await _delete(engine.catalog, manifest_folder(run), kept, engine)


async def _delete(container: Container, prefix: str, kept: set[str], engine: Engine) -> None:
    """Delete the blobs below a prefix but those that are kept, a page at a time."""

    async def delete(name: str) -> None:
        async with engine.transfers:
            with suppress(BlobRefusedError):  # leased, for one
                await container.delete(name)

    marker: str | None = ""
    while marker is not None:
        page = await container.page(prefix, marker)
        await all_of(delete(blob.name) for blob in page.blobs if blob.name not in kept)
        marker = page.marker or None
