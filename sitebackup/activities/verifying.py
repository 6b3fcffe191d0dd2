"""E2_VerifyManifest, E2_VerifyBlobs: a manifest against the container."""

from typing import Any

import msgspec

from sitebackup.activities.comparing import compare
from sitebackup.activities.reading_back import read_back
from sitebackup.blobs import blobname
from sitebackup.concurrently import all_of
from sitebackup.digests import root_id
from sitebackup.engine.engine import Engine
from sitebackup.messages import Compared, CompareRequest, Findings, ReadBack, SpansRequest
from sitebackup.records import manifest


async def verify_manifest(request: dict[str, Any], engine: Engine) -> dict[str, Any]:
    """Compare the manifest that a `CompareRequest` names with the container: presence, size, MD5.

    Returns `Compared`.
    """
    run = CompareRequest.from_json(request).verified
    head = await manifest.read_head(engine.runs, run)
    prefix = blobname.escape(head.root.rstrip("/") + "/")
    findings = await compare(manifest.read(engine.runs, run), engine.backups, prefix)
    return Compared(
        findings=_anonymous(findings, engine), root_id=root_id(head.root), size=head.size
    ).to_json()


async def verify_blobs(request: dict[str, Any], engine: Engine) -> dict[str, Any]:
    """Read back the blobs of the entries that begin in the spans of a `SpansRequest`; return `ReadBack`."""
    findings = Findings()
    for span in SpansRequest.from_json(request).spans:
        end = span.first + span.count
        entries = [entry async for entry in manifest.read(engine.runs, span.of, span.first, end)]
        found = await all_of(read_back(entry, engine) for entry in entries if entry.outcome == "copied")
        findings = sum(found, findings)
    return ReadBack(findings=_anonymous(findings, engine), advanced=True).to_json()


def _anonymous(findings: Findings, engine: Engine) -> Findings:
    """`findings`, without names if none may get into a message: the host logs what a run fails with."""
    return findings if engine.settings.log_paths else msgspec.structs.replace(findings, named=())
