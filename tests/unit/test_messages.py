"""What travels through a history."""

from json import dumps, loads
from typing import Any

import msgspec
import pytest

from sitebackup.messages import (
    Answer,
    Copied,
    CopyRequest,
    Findings,
    Listed,
    ListRequest,
    Message,
    PartReference,
    Plan,
    Progress,
    Written,
)
from sitebackup.ranges import Portion, Share
from sitebackup.tally import Tally

MESSAGES: list[tuple[Message, dict[str, Any]]] = [
    (
        ListRequest("r", {"rootDirectory": "/x"}, "2026-11-24T10:00:00.000001Z"),
        {"run": "r", "request": {"rootDirectory": "/x"}, "started": "2026-11-24T10:00:00.000001Z"},
    ),
    (
        ListRequest("r", None, "", (Portion("p", 3, 1),)),
        {"run": "r", "request": None, "started": "", "portions": [["p", 3, 1]]},
    ),
    (CopyRequest("r", "p", 7), {"run": "r", "plan": "p", "batch": 7}),
    (
        Listed(tally=Tally(files=2), plans=(Plan("p", 1, 2, 3, 400),)),
        {"tally": {"files": 2}, "plans": [["p", 1, 2, 3, 400]]},
    ),
    (Progress(done=Tally(files=2)), {"done": {"files": 2}}),
    (Copied(), {}),
    (Copied(shares=(Share("p", 0, 5),), troubles=("down",)), {"shares": [["p", 0, 5]], "troubles": ["down"]}),
]


@pytest.mark.parametrize(("message", "spelled"), MESSAGES)
def test_a_message_is_spelled_in_one_way_and_read_back(message: Message, spelled: dict[str, Any]) -> None:
    assert loads(dumps(message.to_json())) == spelled
    assert type(message).from_json(spelled) == message


@pytest.mark.parametrize(
    "wrong",
    [
        None,
        [],
        {"tally": {"files": "2"}},
        {"tally": {"files": 2.5}},
        {"tally": {"lost": 1}},
        {"shares": [["p", 0]]},
        {"shares": [["p", 0, None]]},
        {"troubles": "down"},
        {"left": []},
    ],
)
def test_what_is_not_spelled_so_is_refused(wrong: Any) -> None:
    with pytest.raises(msgspec.ValidationError):
        Copied.from_json(wrong)


def test_parts_add_up_and_only_the_first_trouble_is_kept() -> None:
    whole = Copied.of(
        [
            Copied(tally=Tally(files=1, bytes=5), advanced=True),
            Copied(shares=(Share("p", 1, 1),), troubles=("down",)),
            Copied(shares=(Share("p", 2, 3),), troubles=("still down",), errors=("wrong key",)),
        ]
    )
    assert whole == Copied(
        tally=Tally(files=1, bytes=5),
        shares=(Share("p", 1, 4),),
        troubles=("down",),
        errors=("wrong key",),
        advanced=True,
    )


def test_listings_add_up_and_portions_that_follow_one_another_are_one_again() -> None:
    one = Listed(
        tally=Tally(files=1), pending=Tally(gone=1), plans=(Plan("p"),), named=("a",) * 6, baseline=9
    )
    two = Listed(
        tally=Tally(files=2), pending=Tally(gone=2), plans=(Plan("q"),), named=("b",) * 6, notes=("n",)
    )
    assert Listed.of([one, two], [Portion("p", 0, 1), Portion("p", 1, 2), Portion("q", 0, 1)]) == Listed(
        tally=Tally(files=3),
        pending=Tally(gone=3),
        plans=(Plan("p"), Plan("q")),
        portions=(Portion("p", 0, 3), Portion("q", 0, 1)),
        named=("a",) * 6 + ("b",) * 4,
        baseline=9,
        notes=("n",),
    )


def test_what_was_written_adds_up_and_what_is_left_is_put_together() -> None:
    one = Written(parts=(PartReference("p", 1, 9),), tally=Tally(failed=1), portions=(Portion("l", 0, 1),))
    two = Written(plans=(Plan("q", 1),), portions=(Portion("l", 1, 1),), troubles=("down",), manifest="index")
    assert Written.of([one, two]) == Written(
        parts=(PartReference("p", 1, 9),),
        tally=Tally(failed=1),
        plans=(Plan("q", 1),),
        portions=(Portion("l", 0, 2),),
        manifest="index",
        troubles=("down",),
    )


def test_a_plan_is_complete_when_nothing_is_to_be_copied_or_removed() -> None:
    assert Plan("p", entries=5, bytes=100).is_complete
    assert not Plan("p", batches=1).is_complete
    assert not Plan("p", removals=1).is_complete


def test_findings_add_up_and_no_more_than_ten_are_named() -> None:
    found = Findings(checked=1, changed=1, named=("a has another content",))
    many = sum([found] * 12, Findings(extra=3))
    assert (many.checked, many.changed, many.extra, len(many.named)) == (12, 12, 3, 10)


def test_a_trouble_alone_can_be_told_from_an_answer() -> None:
    assert loads(dumps(Answer(troubles=("down",)).to_json())) == {"troubles": ["down"]}
