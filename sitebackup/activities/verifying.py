"""E2_VerifyManifest, E2_VerifyBlobs: a manifest against the containers."""

from typing import Any

import msgspec

from sitebackup.activities.comparing import compare
from sitebackup.activities.reading_back import read_back
from sitebackup.concurrently import all_of
from sitebackup.engine.engine import Engine
from sitebackup.messages import CompareRequest, Findings, ReadBack, SpansRequest
from sitebackup.records.entries import Entry
from sitebackup.records.saved import read_saved


async def verify_manifest(request: dict[str, Any], engine: Engine) -> dict[str, Any]:
    """Compare a part of the manifest that a `CompareRequest` names with the containers: presence, size, MD5.

    Returns `Compared`.
    """
    compared = await compare(CompareRequest.from_json(request), engine)
    return msgspec.structs.replace(compared, findings=_anonymous(compared.findings, engine)).to_json()


async def verify_blobs(request: dict[str, Any], engine: Engine) -> dict[str, Any]:
    """Read back the blobs of the entries that begin in the spans of a `SpansRequest`; return `ReadBack`."""
    asked = SpansRequest.from_json(request)
    saved = await read_saved(engine.catalog, engine.runs, asked.verified)
    findings = Findings()
    for span in asked.spans:
        lines = saved.lines(span.of, span.first, span.first + span.count)
        entries = [entry async for _, entry in lines if entry is not None and _has_blob(entry)]
        findings = sum(await all_of(read_back(entry, engine) for entry in entries), findings)
    return ReadBack(findings=_anonymous(findings, engine), advanced=True).to_json()


def _has_blob(entry: Entry) -> bool:
    return entry.is_saved and entry.blob is not None


def _anonymous(findings: Findings, engine: Engine) -> Findings:
    """`findings`, without names if none may get into a message: the host logs what a run fails with."""
    return findings if engine.settings.log_paths else msgspec.structs.replace(findings, named=())
