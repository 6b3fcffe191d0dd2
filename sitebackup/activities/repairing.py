"""What was copied again because the containers had lost it, in the parts of a manifest."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

from sitebackup.activities.merging import Made, make_part, outcomes_of_batch
from sitebackup.concurrently import all_of
from sitebackup.engine.engine import Engine
from sitebackup.messages import ManifestRequest, PartReference, Plan
from sitebackup.records.manifest import Index, read_index
from sitebackup.records.outcomes import Outcome
from sitebackup.records.run_blobs import full


@dataclass(frozen=True, slots=True)
class _Batch:
    """A batch of repairs, and the first and the last path in it."""

    plan: Plan
    number: int
    first: str
    last: str


class Repairs:
    """Writes the parts of a manifest again in which something was repaired.

    Of the repairs, only those of the parts at hand are in memory.
    """

    def __init__(
        self, asked: ManifestRequest, index: Index, batches: Sequence[_Batch], engine: Engine
    ) -> None:
        self._asked = asked
        self._parts = index.parts
        self._batches = batches
        self._engine = engine

    @classmethod
    async def of(cls, asked: ManifestRequest, engine: Engine) -> "Repairs":
        """Find out where the repairs of a `ManifestRequest` are."""

        async def look(plan: Plan, number: int) -> list[_Batch]:
            outcomes = await outcomes_of_batch(asked, plan, number, engine)
            paths = [outcome.path for outcome in outcomes]
            return [_Batch(plan, number, min(paths), max(paths))] if paths else []

        batches = await all_of(look(plan, number) for plan in asked.repairs for number in range(plan.batches))
        index = await read_index(engine.catalog, asked.run)
        return cls(asked, index, list(chain.from_iterable(batches)), engine)

    async def make(self, plan: Plan) -> Made:
        """Write the part of a plan again, unless nothing in it was repaired."""
        numbers = {part.name: number for number, part in enumerate(self._parts)}
        number = numbers.get(full(plan.id), numbers.get(plan.id))
        if number is None:
            return Made(None)  # there is nothing in it
        part = self._parts[number]
        end = self._parts[number + 1].first if number + 1 < len(self._parts) else None
        repairs = await self._within(part.first, end)
        if not repairs:
            return Made(PartReference(part.name, part.entries, part.bytes))
        return await make_part(self._asked, plan, self._engine, repairs)

    async def _within(self, begin: str, end: str | None) -> list[Outcome]:
        near = [each for each in self._batches if each.last >= begin and (end is None or each.first < end)]
        found = await all_of(
            outcomes_of_batch(self._asked, each.plan, each.number, self._engine) for each in near
        )
        return [
            outcome
            for outcome in chain.from_iterable(found)
            if outcome.path >= begin and (end is None or outcome.path < end)
        ]
