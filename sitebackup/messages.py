"""What orchestrations and activities tell each other: requests and answers, the only JSON in a history.

References and counts, never the name of a file, except the first ten of what went wrong. `to_json` and
`from_json` are the only places that know how they are spelled, and they are strict: an unknown field or a
wrong type is an error (https://jcristharif.com/msgspec/converters.html).

One word for each piece of work:

    batch     the items that one E2_CopyFileToBlob copies
    share     consecutive batches of a plan
    portion   some of the directories that a listing did not enter
    span      consecutive bytes of a manifest
"""

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any, Self

import msgspec

from sitebackup.ranges import Portion, Share, Span, join
from sitebackup.tally import NAMED, Tally

type Input = str | dict[str, Any] | None
"""A public orchestration's input, in the form that its caller chose."""


class Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A JSON object; fields that have their default are left out."""

    def to_json(self) -> dict[str, Any]:
        """Return the object that `from_json` reads."""
        return msgspec.to_builtins(self)

    @classmethod
    def from_json(cls, value: object) -> Self:
        """Read an object; raises `msgspec.ValidationError` for a wrong one."""
        return msgspec.convert(value, cls)


class Plan(msgspec.Struct, frozen=True, array_like=True):
    """What one listing found: so many `batches`; `odd`: and entries that it could not plan to copy."""

    id: str
    batches: int
    odd: bool = False


class ListRequest(Message, frozen=True):
    """To list the tree that `request` names, or, if there are any, the `portions` that listings left.

    `last` as in `SharesRequest`.
    """

    run: str
    request: Input
    portions: tuple[Portion, ...] = ()
    last: bool = False


class CopyRequest(Message, frozen=True):
    """To copy one batch; `waits` and `last` as in `SharesRequest`."""

    run: str
    plan: str
    batch: int
    waits: int = 0
    last: bool = False


class SharesRequest(Message, frozen=True):
    """To copy the batches of `shares`.

    `waits`: how often the run has waited for a trouble to pass before. `last`: it will wait no more, so what
    the disk still does not answer for has failed.
    """

    run: str
    shares: tuple[Share, ...]
    waits: int = 0
    last: bool = False


class ManifestRequest(Message, frozen=True):
    """To write the manifest of `plans`.

    `started` and `finished` are RFC 3339 times. `gave_up` says why the run was given up, if it was: then the
    `portions` were not listed, and of the batches some may not have been copied.
    """

    run: str
    request: Input
    plans: tuple[Plan, ...]
    started: str
    finished: str
    gave_up: str | None = None
    portions: tuple[Portion, ...] = ()


class CompareRequest(Message, frozen=True):
    """To compare the manifest of run `verified` with the container; `run` is the instance that asks."""

    run: str
    verified: str


class SpansRequest(Message, frozen=True):
    """To read back the blobs of the entries that begin in `spans`."""

    run: str
    spans: tuple[Span, ...]


class Answer(Message, frozen=True):
    """What every answer may say besides its result.

    `troubles` may pass: what is undone for them is to be done again. `errors` cannot: the run is to end.
    `advanced`: something was done, even if the whole was not.
    """

    troubles: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    advanced: bool = False


class Listed(Answer, frozen=True):
    """What was found, and the portions that are still to be listed; the root itself if nothing was found."""

    tally: Tally = Tally()
    plans: tuple[Plan, ...] = ()
    portions: tuple[Portion, ...] = ()

    @classmethod
    def of(cls, parts: Sequence["Listed"], portions: Iterable[Portion]) -> "Listed":
        """Return what `parts` found together, with `portions` still to be listed."""
        return Listed(
            tally=Tally.of(part.tally for part in parts),
            plans=tuple(chain.from_iterable(part.plans for part in parts)),
            portions=tuple(portions),
            **_common(parts),
        )


class Copied(Answer, frozen=True):
    """What was copied of the batches that are done, and the `shares` that are not."""

    tally: Tally = Tally()
    shares: tuple[Share, ...] = ()

    @classmethod
    def of(cls, parts: Sequence["Copied"]) -> "Copied":
        """Return what `parts` copied together."""
        return Copied(
            tally=Tally.of(part.tally for part in parts),
            shares=join(chain.from_iterable(part.shares for part in parts)),
            **_common(parts),
        )


class Written(Answer, frozen=True):
    """A `manifest`, its blob's name, and what it adds up to; the first failures in words as `named`."""

    manifest: str = ""
    tally: Tally = Tally()
    named: tuple[str, ...] = ()


class Findings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a verification found: counts, and the first troubles in words. `extra` is no trouble."""

    checked: int = 0
    bytes: int = 0
    missing: int = 0
    changed: int = 0
    extra: int = 0
    named: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object with all of it."""
        return msgspec.to_builtins(self)

    def __add__(self, other: "Findings") -> "Findings":
        return Findings(
            checked=self.checked + other.checked,
            bytes=self.bytes + other.bytes,
            missing=self.missing + other.missing,
            changed=self.changed + other.changed,
            extra=self.extra + other.extra,
            named=(self.named + other.named)[:NAMED],
        )

    @property
    def wrong(self) -> int:
        """Blobs that are not what was saved."""
        return self.missing + self.changed


class Compared(Answer, frozen=True):
    """A comparison with the container's listing; `root_id` and `size`, in bytes, are the manifest's."""

    findings: Findings = Findings()
    root_id: str = ""
    size: int = 0


class ReadBack(Answer, frozen=True):
    """What reading back found, and the `spans` that are not read."""

    findings: Findings = Findings()
    spans: tuple[Span, ...] = ()

    @classmethod
    def of(cls, parts: Sequence["ReadBack"]) -> "ReadBack":
        """Return what `parts` found together."""
        return ReadBack(
            findings=sum((part.findings for part in parts), Findings()),
            spans=join(chain.from_iterable(part.spans for part in parts)),
            **_common(parts),
        )


def _common(parts: Sequence[Answer]) -> dict[str, Any]:
    """The first of the troubles and errors of `parts`: the others say the same."""
    return {
        "troubles": tuple(chain.from_iterable(part.troubles for part in parts))[:1],
        "errors": tuple(chain.from_iterable(part.errors for part in parts))[:NAMED],
        "advanced": any(part.advanced for part in parts),
    }
