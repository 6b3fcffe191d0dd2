"""E2_VerifyBackup and E2_VerifyContents: a manifest against the containers, at any time."""

from typing import Any

import msgspec
from durabletask.task import OrchestrationContext

from sitebackup import names
from sitebackup.errors import BackupFailedError
from sitebackup.messages import Compared, Findings, ReadBack, SpansRequest
from sitebackup.orchestrations.comparing import compare
from sitebackup.orchestrations.events import Events
from sitebackup.orchestrations.gathering import FAN_OUT, NOBODY, Steps, activity, alone, gather, part
from sitebackup.orchestrations.inputs import read_request
from sitebackup.orchestrations.patience import Patience
from sitebackup.orchestrations.words import mismatch
from sitebackup.ranges import split
from sitebackup.request import VerifyRequest

SPAN = 64 * 1024
"""Bytes of a manifest whose blobs one activity reads back: some 200 of them."""


def verify_backup(ctx: OrchestrationContext, request: Any) -> Steps[dict[str, Any]]:
    """Compare a run's manifest with the container; return the findings, or raise `BackupFailedError`.

    `request` is what `VerifyRequest.parse` reads. The custom status has the counts in either case. What is
    extra in the container is counted, and is no error.
    """
    asked = read_request(VerifyRequest.parse, request)
    events = Events(ctx)
    about: dict[str, Any] = {"runId": asked.run, "deep": asked.deep}
    try:
        compared, found = yield from _verify(ctx, asked)
    except Exception:
        events.log("verification.ended", **about, status="Failed")
        raise
    counts = {key: count for key, count in found.to_json().items() if key != "named"}
    ctx.set_custom_status(counts)
    status = "Failed" if found.wrong else "Completed"
    events.log("verification.ended", rootId=compared.root_id, **about, status=status, **counts)
    if found.wrong:
        raise BackupFailedError(mismatch(found))
    return found.to_json()


def _verify(ctx: OrchestrationContext, asked: VerifyRequest) -> Steps[tuple[Compared, Findings]]:
    run = ctx.instance_id
    patience = Patience(ctx)
    compared = yield from compare(run, asked.run, patience)
    found = compared.findings
    if not asked.deep:
        return compared, found
    read = Findings(extra=found.extra)
    answer = yield from read_spans(ctx, SpansRequest(run, asked.run, compared.spans))
    read += answer.findings
    while (yield from patience.wait_out(answer)):
        request = SpansRequest(run, asked.run, answer.spans)
        undone = ReadBack(spans=answer.spans)
        answer = yield from alone(part(ctx, names.VERIFY_CONTENTS, request, undone))
        read += answer.findings
    # A wrong MD5 beside the right content shows in the listing alone.
    return compared, max(read, found, key=lambda findings: findings.wrong)


def verify_contents(ctx: OrchestrationContext, request: Any) -> Steps[dict[str, Any]]:
    """Read back what a `SpansRequest` asks for; return `ReadBack`."""
    return (yield from read_spans(ctx, SpansRequest.from_json(request))).to_json()


def read_spans(ctx: OrchestrationContext, asked: SpansRequest) -> Steps[ReadBack]:
    """Read back the blobs of the entries that begin in the spans of a manifest."""
    size = sum(span.count for span in asked.spans)
    alone_here = size <= FAN_OUT * SPAN
    call, name = (activity, names.VERIFY_BLOBS) if alone_here else (part, names.VERIFY_CONTENTS)
    calls = [
        call(ctx, name, msgspec.structs.replace(asked, spans=group), ReadBack(spans=group))
        for group in split(asked.spans, SPAN if alone_here else -(-size // FAN_OUT))
    ]
    return ReadBack.of((yield from gather(calls, NOBODY)))
