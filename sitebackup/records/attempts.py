"""What was begun of a batch: the app's own count of the attempts that broke, on any host.

A host says that an activity lost its worker, or runs it again without a word, or does so without end. So an
attempt at a batch first writes what it begins. What it finds there is of an earlier attempt, and one of the
items that were under way may have ended its worker. They are then copied in smaller and smaller slices, down
to that one item, and what is done stays done.

    {"process": ..., "attempt": ..., "waits": 0, "begun": 500, "breaks": {}}
        That attempt of that process, when the run had not waited yet, has begun the first 500 items without
        an outcome.
    {"entry": ..., "tally": ...}
        One line an outcome, as in the outcomes of a batch.
"""

import json
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from sitebackup.blobs.container import ABSENT, Condition, Container, Properties
from sitebackup.digests import md5
from sitebackup.errors import BlobMissingError, ConditionNotMetError, StorageUnavailableError
from sitebackup.records.entries import from_line, to_lines
from sitebackup.records.lines import ndjson
from sitebackup.records.outcomes import Outcome


@dataclass(slots=True)
class Attempt:
    """What is known of a batch when an attempt at it begins.

    `outcomes`: of what is done. `begun`: how many of the other items, the first ones, were under way in an
    attempt that `broke`, which is to end without a word, or lacked the time for them. `breaks`: how often one
    broke while a single item was under way, by the item's path; such items are the last ones.
    """

    begun: int = 0
    broke: bool = False
    breaks: dict[str, int] = field(default_factory=dict[str, int])
    outcomes: dict[str, Outcome] = field(default_factory=dict[str, Outcome])

    def count_a_break(self, path: str) -> int:
        """Count an attempt that broke while that item was under way by itself; return how many have."""
        self.breaks[path] = self.breaks.get(path, 0) + 1
        return self.breaks[path]

    def add(self, outcomes: Iterable[Outcome]) -> None:
        """Note what is done."""
        self.outcomes |= {outcome.path: outcome for outcome in outcomes}


class AttemptRecord:
    """The blob that holds the attempts at one batch. Two attempts at the same time cannot both go on.

    `process` is the ID of the process that makes this attempt, `waits` how often the run has waited before.
    """

    def __init__(self, container: Container, name: str, process: str, waits: int) -> None:
        self._container = container
        self._name = name
        self._process = process
        self._waits = waits
        self._attempt = uuid.uuid4().hex
        self._condition: Condition = ABSENT

    async def begin(self, items: int) -> Attempt | None:
        """Note that an attempt at so many `items` begins; return the one that began before, if one did."""
        try:
            await self._put(Attempt(begun=items), self._process)
        except ConditionNotMetError:
            return await self._read()
        return None

    async def save(self, attempt: Attempt, *, is_over: bool) -> None:
        """Note how far the attempt is, and whether it goes on.

        Raises `StorageUnavailableError` if another attempt has taken over.
        """
        try:
            await self._put(attempt, None if is_over else self._process)
        except ConditionNotMetError as error:
            raise StorageUnavailableError("Another attempt at the same files is under way.") from error

    async def _put(self, attempt: Attempt, process: str | None) -> None:
        head = {
            "process": process,
            "attempt": self._attempt,
            "waits": self._waits,
            "begun": attempt.begun,
            "breaks": attempt.breaks,
        }
        data = ndjson([head]) + to_lines(attempt.outcomes.values())
        digest = md5(data)
        try:
            etag = await self._container.put(self._name, data, Properties(digest), self._condition)
        except ConditionNotMetError:
            blob = await self._container.find(self._name)
            if blob is None or blob.md5 != digest:
                raise
            etag = blob.etag  # of this write, whose answer was lost
        self._condition = Condition(etag)

    async def _read(self) -> Attempt:
        blob = await self._container.find(self._name)
        if blob is None:
            raise StorageUnavailableError("What was begun of a batch is not to be found.")
        self._condition = Condition(blob.etag)
        head, attempt = _parse(await self._container.get(self._name))
        if head["process"] == self._process:  # it lives, so the attempt has not ended it
            attempt.begun = 0
        # Before the run waited, the attempt may have answered, and storage not have taken how it ended.
        attempt.broke = head["process"] not in (None, self._process) and head["waits"] == self._waits
        return attempt


async def read_done(container: Container, name: str) -> list[Outcome]:
    """Return the outcomes of what is done of a batch that no attempt has finished."""
    try:
        _, attempt = _parse(await container.get(name))
    except BlobMissingError:
        return []
    return list(attempt.outcomes.values())


def _parse(data: bytes) -> tuple[dict[str, Any], Attempt]:
    first, *lines = data.splitlines()
    head = json.loads(first)
    attempt = Attempt(head["begun"], breaks=head["breaks"])
    attempt.add(from_line(line, Outcome) for line in lines)
    return head, attempt
