"""One plan as it is made: its draft, of what is unchanged, and its tasks, in batches."""

from itertools import batched

from sitebackup.activities.joining import Found
from sitebackup.engine.engine import Engine
from sitebackup.messages import Plan
from sitebackup.records.lines import LineWriter
from sitebackup.records.packing import LARGE_TREE, MAX_FILES, grain, pack
from sitebackup.records.plans import Task
from sitebackup.records.run_blobs import part_name
from sitebackup.tree.place import Place


class Draft:
    """Writes a plan and its draft. `is_whole`: it may be all of a small tree, and be cut small."""

    def __init__(self, engine: Engine, run: str, place: Place, *, is_whole: bool) -> None:
        self._plan = engine.plans.new_plan(run, place)
        self._lines = LineWriter(engine.catalog, part_name(run, self._plan.id))
        self._is_whole = is_whole
        self._entries = 0
        self._unpacked: list[Task] = []
        self._gone: list[Task] = []

    async def add(self, found: Found) -> None:
        """Append what was found."""
        self._entries += found.entries
        if found.lines:
            await self._lines.add(bytes(found.lines))
        for task in found.tasks:
            (self._gone if task.gone else self._unpacked).append(task)
        if self._unpacked and (not self._is_whole or len(self._unpacked) >= LARGE_TREE):
            *full, self._unpacked = pack(self._unpacked, MAX_FILES)
            await self._plan.add(full)

    async def close(self, *, is_small: bool) -> Plan | None:
        """Make plan and draft readable; return None if there is nothing in them.

        `is_small`: it is of all of the tree.
        """
        is_small = is_small and not self._plan.batches
        await self._plan.add(pack(self._unpacked, grain(len(self._unpacked)) if is_small else MAX_FILES))
        batches = len(self._plan.batches)
        await self._plan.add(batched(self._gone, MAX_FILES, strict=False))
        plan = Plan(
            self._plan.id, batches, len(self._plan.batches) - batches, self._entries, self._lines.size
        )
        if not plan.is_complete:
            await self._plan.close()
        elif not self._entries:
            return None
        await self._lines.close()
        return plan
