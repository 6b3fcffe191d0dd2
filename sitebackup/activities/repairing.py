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
from sitebackup.records.run_blobs import plan_of
from sitebackup.tree.keys import Range


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

        batches = await all_of(
            look(plan, number) for plan in asked.repairs for number in range(plan.batches + plan.removals)
        )
        index = await read_index(engine.catalog, asked.run)
        return cls(asked, index, list(chain.from_iterable(batches)), engine)

    async def make(self, plan: Plan) -> Made:
        """Write the part of a plan again, unless nothing in it was repaired."""
        numbers = {plan_of(part.name): number for number, part in enumerate(self._parts)}
        number = numbers.get(plan.id)
        if number is None:
            return Made(None)  # there is nothing in it
        part = self._parts[number]
        following = self._parts[number + 1 : number + 2]
        repairs = await self._within(Range(part.first, following[0].first if following else None))
        if not repairs:
            return Made(PartReference(part.name, part.entries, part.bytes))
        return await make_part(self._asked, plan, self._engine, repairs)

    async def _within(self, wanted: Range) -> list[Outcome]:
        near = [
            batch
            for batch in self._batches
            if batch.last >= wanted.begin and (wanted.end is None or batch.first < wanted.end)
        ]
        found = await all_of(
            outcomes_of_batch(self._asked, batch.plan, batch.number, self._engine) for batch in near
        )
        return [outcome for outcome in chain.from_iterable(found) if outcome.path in wanted]
