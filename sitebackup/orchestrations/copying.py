"""E2_CopyBatches: shares of the batches of a run, split again while they are too many."""

from collections.abc import Callable
from typing import Any

import msgspec
from durabletask.task import OrchestrationContext

from sitebackup import names
from sitebackup.messages import Copied, CopyRequest, SharesRequest
from sitebackup.orchestrations.gathering import Steps, activity, gather, nobody, part
from sitebackup.ranges import Share, split

FAN_OUT = 24
"""Batches, or groups of them, that one instance waits for: 4 events each, and 8 more for each retry."""


def copy_batches(ctx: OrchestrationContext, request: Any) -> Steps[dict[str, Any]]:
    """Copy what a `SharesRequest` asks for; return `Copied`."""
    asked = SharesRequest.from_json(request)
    return (yield from copy_shares(ctx, asked, 1, nobody)).to_json()


def copy_shares(
    ctx: OrchestrationContext, asked: SharesRequest, least_parts: int, progress: Callable[[Copied], None]
) -> Steps[Copied]:
    """Copy what is asked for, in at least so many parts if the batches are too many for one instance."""
    batches = sum(share.count for share in asked.shares)
    if batches <= FAN_OUT:
        calls = [
            activity(
                ctx,
                names.COPY_FILE_TO_BLOB,
                CopyRequest(asked.run, share.of, batch, asked.waits, asked.last),
                Copied(shares=(Share(share.of, batch, 1),)),
            )
            for share in asked.shares
            for batch in range(share.first, share.first + share.count)
        ]
    else:
        parts = min(FAN_OUT, max(least_parts, -(-batches // FAN_OUT)))
        calls = [
            part(ctx, names.COPY_BATCHES, msgspec.structs.replace(asked, shares=group), Copied(shares=group))
            for group in split(asked.shares, -(-batches // parts))
        ]
    return Copied.of((yield from gather(calls, progress)))
