"""E2_VerifyManifest, E2_VerifyBlobs: a manifest against the container."""

from typing import Any

from sitebackup.activities.checks import anonymous
from sitebackup.activities.comparing import compare
from sitebackup.activities.reading_back import read_back
from sitebackup.blobs import blobname
from sitebackup.concurrently import all_of
from sitebackup.engine.engine import Engine
from sitebackup.records import manifest
from sitebackup.records.findings import Findings


async def verify_manifest(request: dict[str, Any], engine: Engine) -> dict[str, Any]:
    """Compare the manifest of `request["run"]` with the container's listing: presence, size, MD5.

    Returns `Findings` with `size`, the manifest's length in bytes.
    """
    run = request["run"]
    size = await manifest.size_of(engine.runs, run)
    head = await manifest.read_head(engine.runs, run)
    prefix = blobname.escape(head["root"].rstrip("/") + "/")
    findings = await compare(manifest.read(engine.runs, run), engine.backups, prefix)
    return anonymous(findings.to_json(), engine) | {"size": size}


async def verify_blobs(request: dict[str, Any], engine: Engine) -> dict[str, Any]:
    """Read back the blobs of the entries that begin in `request["shares"]`, bytes of a run's manifest."""
    findings = Findings()

    for run, begin, count in request["shares"]:
        entries = [entry async for entry in manifest.read(engine.runs, run, begin, begin + count)]
        await all_of(read_back(entry, engine, findings) for entry in entries if entry.outcome == "copied")
    return anonymous(findings.to_json(), engine)
