"""E2_CopyBatches: shares of the batches of a run, split again while they are too many."""

from typing import Any

import msgspec
from durabletask.task import OrchestrationContext

from sitebackup import names
from sitebackup.messages import Copied, CopyRequest, SharesRequest
from sitebackup.orchestrations.gathering import (
    FAN_OUT,
    NOBODY,
    Follower,
    Steps,
    activity,
    gather,
    part,
    size_of_parts,
)
from sitebackup.ranges import Share, split


def copy_batches(ctx: OrchestrationContext, request: Any) -> Steps[dict[str, Any]]:
    """Copy what a `SharesRequest` asks for; return `Copied`."""
    return (yield from copy_shares(ctx, SharesRequest.from_json(request))).to_json()


def copy_shares(
    ctx: OrchestrationContext,
    asked: SharesRequest,
    follower: Follower[Copied] = NOBODY,
    least_parts: int = 1,
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
        calls = [
            part(ctx, names.COPY_BATCHES, msgspec.structs.replace(asked, shares=group), Copied(shares=group))
            for group in split(asked.shares, size_of_parts(batches, least_parts))
        ]
    return Copied.of((yield from gather(calls, follower)))
