"""E2_ListTree: the portions of a tree that listings left, and so on downwards."""

from typing import Any

import msgspec
from durabletask.task import OrchestrationContext

from sitebackup import names
from sitebackup.messages import Listed, ListRequest
from sitebackup.orchestrations.gathering import (
    FAN_OUT,
    NOBODY,
    Call,
    Follower,
    Steps,
    activity,
    gather,
    part,
    size_of_parts,
)
from sitebackup.ranges import Portion, join, split

ROUNDS = 2
"""Rounds of listings in one instance: the root, then what that left. What is left then goes on in others."""


def list_tree(ctx: OrchestrationContext, request: Any) -> Steps[dict[str, Any]]:
    """List what a `ListRequest` asks for; return `Listed`."""
    return (yield from list_portions(ctx, ListRequest.from_json(request))).to_json()


def list_portions(
    ctx: OrchestrationContext,
    asked: ListRequest,
    follower: Follower[Listed] = NOBODY,
    least_parts: int = 1,
) -> Steps[Listed]:
    """List what is asked for and what that leaves, in at least so many parts if one instance cannot."""
    portions = asked.portions
    answers: list[Listed] = []
    for number in range(ROUNDS + 1):
        is_here = number < ROUNDS and _count(portions) <= FAN_OUT
        calls = _listings(ctx, asked, portions) if is_here else _parts(ctx, asked, portions, least_parts)
        found = yield from gather(calls, follower)
        answers += found
        portions = join(portion for answer in found for portion in answer.portions)
        if not portions or not is_here or any(answer.troubles or answer.errors for answer in found):
            break
    return Listed.of(answers, portions)


def _listings(
    ctx: OrchestrationContext, asked: ListRequest, portions: tuple[Portion, ...]
) -> list[Call[Listed]]:
    """An activity for each of the portions; one for the root if there is none."""
    return [
        activity(
            ctx,
            names.GET_FILE_LIST,
            msgspec.structs.replace(asked, portions=hand),
            Listed(portions=hand),
        )
        for hand in split(portions, 1) or [()]
    ]


def _parts(
    ctx: OrchestrationContext, asked: ListRequest, portions: tuple[Portion, ...], least_parts: int
) -> list[Call[Listed]]:
    return [
        part(ctx, names.LIST_TREE, msgspec.structs.replace(asked, portions=group), Listed(portions=group))
        for group in split(portions, size_of_parts(_count(portions), least_parts))
    ]


def _count(portions: tuple[Portion, ...]) -> int:
    return sum(portion.count for portion in portions)
