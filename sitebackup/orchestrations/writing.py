"""Writing a manifest: its parts by many activities at once if there are many, then its index by one."""

from itertools import batched

import msgspec
from durabletask.task import OrchestrationContext

from sitebackup import names
from sitebackup.messages import ManifestRequest, Plan, Written
from sitebackup.orchestrations.gathering import FAN_OUT, NOBODY, Steps, activity, gather
from sitebackup.orchestrations.patience import Patience
from sitebackup.ranges import split
from sitebackup.tally import Tally

HAND = 16
"""Parts that one activity writes: of 20,000 entries each, which it merges in seconds."""


def write_manifest(ctx: OrchestrationContext, asked: ManifestRequest, patience: Patience) -> Steps[Written]:
    """Write all parts that are asked for, and the index. Raises `GaveUpError`."""
    whole = Written(plans=asked.plans, portions=asked.portions)
    while not whole.manifest:
        left = msgspec.structs.replace(
            asked,
            plans=whole.plans,
            portions=whole.portions,
            parts=whole.parts,
            tally=asked.tally + whole.tally,
        )
        hands, ready = _hands(left)
        calls = [
            activity(ctx, names.WRITE_MANIFEST, hand, Written(plans=hand.plans, portions=hand.portions))
            for hand in hands or [left]
        ]
        answer = Written.of((yield from gather(calls, NOBODY)))
        whole = Written.of([msgspec.structs.replace(whole, plans=ready, portions=()), answer])
        yield from patience.wait_out(answer)
    return whole


def _hands(left: ManifestRequest) -> tuple[list[ManifestRequest], tuple[Plan, ...]]:
    """Divide what is left among activities; none if one can write it, and the index too.

    Returns also the plans whose drafts are parts as they are: they only have to get into the index.
    """
    ready = () if left.repairs else tuple(plan for plan in left.plans if plan.is_complete)
    plans = [plan for plan in left.plans if left.repairs or not plan.is_complete]
    pieces = len(plans) + sum(portion.count for portion in left.portions)
    if pieces <= HAND:
        return [], ()
    size = max(HAND, -(-pieces // FAN_OUT))
    empty = msgspec.structs.replace(left, plans=(), portions=(), parts=(), tally=Tally(), is_last=False)
    hands = [
        *(msgspec.structs.replace(empty, plans=group) for group in batched(plans, size, strict=False)),
        *(msgspec.structs.replace(empty, portions=group) for group in split(left.portions, size)),
    ]
    return hands, ready
