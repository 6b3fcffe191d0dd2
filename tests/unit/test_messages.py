"""What travels through a history."""

from json import dumps, loads
from typing import Any

import msgspec
import pytest

from sitebackup.messages import Answer, Copied, CopyRequest, Findings, Listed, ListRequest, Message, Plan
from sitebackup.ranges import Portion, Share
from sitebackup.tally import Tally

MESSAGES: list[tuple[Message, dict[str, Any]]] = [
    (ListRequest("r", {"rootDirectory": "/x"}), {"run": "r", "request": {"rootDirectory": "/x"}}),
    (ListRequest("r", None, (Portion("p", 3),)), {"run": "r", "request": None, "portions": [["p", 3]]}),
    (CopyRequest("r", "p", 7), {"run": "r", "plan": "p", "batch": 7}),
    (
        Listed(tally=Tally(files=2), plans=(Plan("p", 1),)),
        {"tally": {"files": 2}, "plans": [["p", 1, False]]},
    ),
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


def test_findings_add_up_and_no_more_than_ten_are_named() -> None:
    found = Findings(checked=1, changed=1, named=("a has another content",))
    many = sum([found] * 12, Findings(extra=3))
    assert (many.checked, many.changed, many.extra, len(many.named)) == (12, 12, 3, 10)


def test_a_trouble_alone_can_be_told_from_an_answer() -> None:
    assert loads(dumps(Answer(troubles=("down",)).to_json())) == {"troubles": ["down"]}
