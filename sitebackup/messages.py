"""What orchestrations and activities tell each other: requests and answers, the only JSON in a history.

References and counts, never the name of a file, except the first ten of what went wrong. `to_json` and
`from_json` are the only places that know how they are spelled, and they are strict: an unknown field or a
wrong type is an error (https://jcristharif.com/msgspec/converters.html).

One word for each piece of work:

    batch     the tasks that one E2_CopyFileToBlob carries out
    share     consecutive batches of a plan
    portion   ranges of the tree that a listing left
    span      consecutive bytes of a part of a manifest
"""

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any, Literal, Self

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
    """What one listing found in a range: so many `batches` to copy, then so many to remove (`removals`).

    Its draft, what is unchanged, has so many `entries` in so many `bytes`. A plan without batches and
    removals is complete: its draft is a part of the manifest.
    """

    id: str
    batches: int = 0
    removals: int = 0
    entries: int = 0
    bytes: int = 0

    @property
    def is_complete(self) -> bool:
        """Whether there is nothing left to do."""
        return not (self.batches or self.removals)


class PartReference(msgspec.Struct, frozen=True, array_like=True):
    """A part of a manifest that is written: its `name`, and how much is in it."""

    name: str
    entries: int
    bytes: int


class ListRequest(Message, frozen=True):
    """To list the tree that `request` names, or, if there are any, the `portions` that listings left.

    `started`: when the run started, RFC 3339 with microseconds. `last` as in `SharesRequest`.
    """

    run: str
    request: Input
    started: str
    portions: tuple[Portion, ...] = ()
    last: bool = False


class CopyRequest(Message, frozen=True):
    """To copy or remove one batch; `waits` and `last` as in `SharesRequest`."""

    run: str
    plan: str
    batch: int
    waits: int = 0
    last: bool = False


class SharesRequest(Message, frozen=True):
    """To copy or remove the batches of `shares`.

    `waits`: how often the run has waited for a trouble to pass before. `last`: it will wait no more, so what
    the disk still does not answer for has failed.
    """

    run: str
    shares: tuple[Share, ...]
    waits: int = 0
    last: bool = False


class ManifestRequest(Message, frozen=True):
    """To write the parts of the manifest of which `plans` are the drafts; with `is_last`, the index too.

    `parts` are written already, and `tally` is what they and all drafts add up to. `repairs`: plans whose
    outcomes replace what was written; `tally` is what that adds up to. `gave_up` says why the run was given
    up, if it was: then the `portions` were not listed, and what has no outcome has failed for that reason.
    `kept` says why nothing was removed, if so.
    `started` and `finished` are RFC 3339 times.
    """

    run: str
    request: Input
    started: str
    finished: str
    plans: tuple[Plan, ...] = ()
    portions: tuple[Portion, ...] = ()
    repairs: tuple[Plan, ...] = ()
    parts: tuple[PartReference, ...] = ()
    tally: Tally = Tally()
    gave_up: str | None = None
    kept: str | None = None
    is_last: bool = True


class CompareRequest(Message, frozen=True):
    """To compare a part of the manifest of run `verified` with the containers; `run` is who asks.

    `after`: the state that the part before has left, which this one goes on from; empty for the first part.
    """

    run: str
    verified: str
    after: str = ""


class SpansRequest(Message, frozen=True):
    """To read back the blobs of the entries that begin in `spans` of the manifest of run `verified`."""

    run: str
    verified: str
    spans: tuple[Span, ...]


class EndRequest(Message, frozen=True):
    """To write how a run ended, in its record, and to delete what it needed while it worked.

    `has_manifest`: whether its index is written; the scratch of a run without one is kept. Times as in
    `ListRequest` and `ManifestRequest`.
    """

    run: str
    request: Input
    started: str
    ended: str
    state: Literal["completed", "partial", "failed"]
    tally: Tally = Tally()
    message: str | None = None
    has_manifest: bool = False


class Progress(Message, frozen=True):
    """What all processes have found and done for a run until now. Some of it may be counted twice."""

    found: Tally = Tally()
    done: Tally = Tally()


class Answer(Message, frozen=True):
    """What every answer may say besides its result.

    `troubles` may pass: what is undone for them is to be done again. `errors` cannot: the run is to end.
    `advanced`: something was done, even if the whole was not.
    """

    troubles: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    advanced: bool = False


class Listed(Answer, frozen=True):
    """What was found, and the `portions` that are still to be listed; the root itself if nothing was found.

    `tally` counts what the drafts say, `pending` what is in batches (of it, `gone` is to be removed).
    `named`: the first failures in words. `baseline`: how many entries the manifest of the run before has.
    `notes`: what the caller should know, in words.
    """

    tally: Tally = Tally()
    pending: Tally = Tally()
    plans: tuple[Plan, ...] = ()
    portions: tuple[Portion, ...] = ()
    named: tuple[str, ...] = ()
    baseline: int = 0
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, parts: Sequence["Listed"], portions: Iterable[Portion]) -> "Listed":
        """Return what `parts` found together, with `portions` still to be listed."""
        return Listed(
            tally=Tally.of(part.tally for part in parts),
            pending=Tally.of(part.pending for part in parts),
            plans=tuple(chain.from_iterable(part.plans for part in parts)),
            portions=join(portions),
            named=tuple(chain.from_iterable(part.named for part in parts))[:NAMED],
            baseline=max((part.baseline for part in parts), default=0),
            notes=tuple(dict.fromkeys(chain.from_iterable(part.notes for part in parts))),
            **_common(parts),
        )


class Copied(Answer, frozen=True):
    """What was copied and removed of the batches that are done, and the `shares` that are not."""

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
    """The `parts` that were written, and what is new in them: `tally`, and the first failures as `named`.

    New is what was merged into the drafts, or, if there are repairs, what these have changed.

    `plans` and `portions` are still to be written. `manifest`: the index's blob, once it is written.
    """

    parts: tuple[PartReference, ...] = ()
    tally: Tally = Tally()
    named: tuple[str, ...] = ()
    plans: tuple[Plan, ...] = ()
    portions: tuple[Portion, ...] = ()
    manifest: str = ""

    @classmethod
    def of(cls, answers: Sequence["Written"]) -> "Written":
        """Return what `answers` wrote together."""
        return Written(
            parts=tuple(chain.from_iterable(answer.parts for answer in answers)),
            tally=Tally.of(answer.tally for answer in answers),
            named=tuple(chain.from_iterable(answer.named for answer in answers))[:NAMED],
            plans=tuple(chain.from_iterable(answer.plans for answer in answers)),
            portions=join(chain.from_iterable(answer.portions for answer in answers)),
            manifest=next((answer.manifest for answer in answers if answer.manifest), ""),
            **_common(answers),
        )


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
    """What a part of a comparison with the containers found; `is_done` says whether it was the last part.

    `repairs`: plans of unchanged entries whose content is nowhere, to be copied again; `findings` does not
    count them. `state`: what the next part goes on from. `root_id` is the manifest's, and so are the `spans`,
    one for each of its parts; the last part has them.
    """

    findings: Findings = Findings()
    repairs: tuple[Plan, ...] = ()
    state: str = ""
    is_done: bool = False
    root_id: str = ""
    spans: tuple[Span, ...] = ()


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
