"""E2_ListTree: the portions of a tree that listings left, and so on downwards."""

from collections.abc import Callable
from itertools import chain
from typing import Any

import msgspec
from durabletask.task import OrchestrationContext

from sitebackup import names
from sitebackup.messages import Listed, ListRequest
from sitebackup.orchestrations.gathering import Steps, activity, gather, nobody, part
from sitebackup.ranges import Portion, deal

LISTINGS_AT_ONCE = 32
"""Listings in one round of one instance, and sub-orchestrations for what its rounds left."""

LISTING_ROUNDS = 2
"""Rounds of one instance: the root, then what the root left; a large tree goes on in sub-orchestrations."""


def list_tree(ctx: OrchestrationContext, request: Any) -> Steps[dict[str, Any]]:
    """List what a `ListRequest` asks for; return `Listed`."""
    return (yield from list_portions(ctx, ListRequest.from_json(request), nobody)).to_json()


def list_portions(
    ctx: OrchestrationContext, request: ListRequest, progress: Callable[[Listed], None]
) -> Steps[Listed]:
    """List what `request` asks for, telling `progress` what was found meanwhile."""

    def asked(portions: tuple[Portion, ...]) -> ListRequest:
        return msgspec.structs.replace(request, portions=portions)

    portions = request.portions
    answers: list[Listed] = []
    for _ in range(LISTING_ROUNDS):
        found = yield from gather(
            [
                activity(ctx, names.GET_FILE_LIST, asked(hand), Listed(portions=hand))
                for hand in deal(portions, LISTINGS_AT_ONCE) or [()]
            ],
            progress,
        )
        answers += found
        portions = _left(found)
        if not portions or any(answer.troubles or answer.errors for answer in found):
            break
    else:
        below = yield from gather(
            [
                part(ctx, names.LIST_TREE, asked(hand), Listed(portions=hand))
                for hand in deal(portions, LISTINGS_AT_ONCE)
            ],
            progress,
        )
        answers += below
        portions = _left(below)
    return Listed.of(answers, portions)


def _left(answers: list[Listed]) -> tuple[Portion, ...]:
    return tuple(chain.from_iterable(answer.portions for answer in answers))
