"""How it went with each task of a batch."""

from collections.abc import Iterable, Sequence

import msgspec

from sitebackup.blobs.container import ABSENT, Container, Properties
from sitebackup.digests import md5
from sitebackup.errors import ConditionNotMetError
from sitebackup.records.entries import Entry, from_line, to_lines
from sitebackup.records.run_blobs import outcomes_name
from sitebackup.tally import Tally


class Outcome(msgspec.Struct, frozen=True):
    """How it went with one task: the `entry` that the manifest gets, and what it counts for.

    What is gone gets no entry in the manifest: its outcome says `gone`.
    """

    entry: Entry
    tally: Tally

    @property
    def path(self) -> str:
        """Its entry's path."""
        return self.entry.path

    @classmethod
    def not_saved(cls, entry: Entry) -> "Outcome":
        """Return the outcome of an entry that is not saved."""
        return cls(entry, entry.tally)


async def write_outcomes(
    container: Container, run: str, plan: str, batch: int, outcomes: Iterable[Outcome]
) -> Sequence[Outcome]:
    """Record the outcomes of a batch, sorted by path; return those that count.

    If another attempt has recorded some, those count: nothing of a batch that is done changes any more.
    """
    ordered: list[Outcome] = sorted(outcomes, key=lambda outcome: outcome.path)
    data = to_lines(ordered)
    try:
        await container.put(outcomes_name(run, plan, batch), data, Properties(md5(data)), ABSENT)
    except ConditionNotMetError:
        return await read_outcomes(container, run, plan, batch)
    return ordered


async def read_outcomes(container: Container, run: str, plan: str, batch: int) -> Sequence[Outcome]:
    """Return the outcomes of a batch. Raises `BlobMissingError` if it is not done."""
    data = await container.get(outcomes_name(run, plan, batch))
    return [from_line(line, Outcome) for line in data.splitlines()]
