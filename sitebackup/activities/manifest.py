"""E2_WriteManifest: drafts and outcomes of a run -> its manifest.

The parts are written some at a time, for as long as one activity may take; the last activity writes the
index, and only then is there a manifest. Parts are made anew from the same blobs each time, so it does not
matter how often one is written.
"""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any

from sitebackup.activities.checks import parse_input
from sitebackup.activities.merging import Made, make_part, make_unreached
from sitebackup.activities.repairing import Repairs
from sitebackup.concurrently import all_of
from sitebackup.engine.engine import Engine
from sitebackup.errors import BlobMissingError, UnavailableError
from sitebackup.messages import ManifestRequest, PartReference, Plan, Written
from sitebackup.ranges import Portion, join
from sitebackup.records.manifest import FORMAT, Index, Part, Summary, first_path, write_index
from sitebackup.records.run_blobs import index_name
from sitebackup.tally import Tally

_SECONDS = 120.0
"""After so long, an activity leaves what is to be written to the next one."""

_AT_ONCE = 4
"""Parts that are written at once, if there is memory for them."""


async def write_manifest(request: dict[str, Any], engine: Engine) -> dict[str, Any]:
    """Write what a `ManifestRequest` asks for, or as much of it as there is time for; return `Written`."""
    asked = ManifestRequest.from_json(request)
    repairs = await Repairs.of(asked, engine) if asked.repairs else None
    writing = _Writing(asked, repairs, engine)
    await writing.run()
    return (await writing.answer()).to_json()


class _Writing:
    """Writes parts until the time is up or a trouble comes up."""

    def __init__(self, asked: ManifestRequest, repairs: Repairs | None, engine: Engine) -> None:
        self._asked = asked
        self._repairs = repairs
        self._engine = engine
        self._made: dict[Plan | Portion, Made] = {}
        self._trouble: str | None = None
        self._wanted: list[Plan | Portion] = [*asked.plans, *_each(asked.portions)]

    async def run(self) -> None:
        """Write parts."""
        loop = asyncio.get_running_loop()
        end = loop.time() + _SECONDS
        wanted = iter(self._wanted)

        async def work() -> None:
            for piece in wanted:
                try:
                    self._made[piece] = await self._make(piece)
                except UnavailableError as error:
                    self._trouble = str(error)
                if loop.time() >= end or self._trouble is not None:
                    return

        await all_of(work() for _ in range(_AT_ONCE))

    async def answer(self) -> Written:
        """Return what was written; write the index if it is time for that."""
        made = [self._made[piece] for piece in self._wanted if piece in self._made]
        undone = [piece for piece in self._wanted if piece not in self._made]
        summary = Summary.of(each.summary for each in made)
        parts = tuple(each.part for each in made if each.part is not None)
        name = ""
        if self._asked.is_last and not undone and self._trouble is None:
            try:
                name = await self._write_index(parts, summary.tally)
            except UnavailableError as error:
                self._trouble = str(error)
        return Written(
            parts=parts,
            tally=summary.tally,
            named=tuple(summary.named) if self._engine.settings.log_paths else (),
            plans=tuple(piece for piece in undone if isinstance(piece, Plan)),
            portions=join(piece for piece in undone if isinstance(piece, Portion)),
            manifest=name,
            troubles=(self._trouble,) if self._trouble is not None else (),
            advanced=bool(made or name),
        )

    async def _make(self, piece: Plan | Portion) -> Made:
        if isinstance(piece, Portion):
            return await make_unreached(self._asked, piece.of, piece.first, self._engine)
        if self._repairs is not None:
            return await self._repairs.make(piece)
        if piece.is_complete:
            return Made(PartReference(piece.id, piece.entries, piece.bytes) if piece.entries else None)
        return await make_part(self._asked, piece, self._engine)

    async def _write_index(self, new: Sequence[PartReference], tally: Tally) -> str:
        asked = self._asked
        request = parse_input(asked.request)
        found = await all_of(self._part(each) for each in (*asked.parts, *new) if each.entries)
        index = Index(
            format=FORMAT,
            run=asked.run,
            root=request.root,
            options=request.to_json(),
            started=asked.started,
            finished=asked.finished,
            totals=(asked.tally + tally).to_json(),
            parts=tuple(sorted(chain.from_iterable(found), key=lambda part: part.first)),
            gave_up=asked.gave_up,
        )
        await write_index(self._engine.catalog, index, again=bool(asked.repairs))
        return index_name(asked.run)

    async def _part(self, reference: PartReference) -> list[Part]:
        try:
            async with self._engine.transfers:
                first = await first_path(self._engine.catalog, self._asked.run, reference.name)
        except BlobMissingError:
            if self._asked.gave_up is None:
                raise
            return []  # a draft that is lost must not keep the rest from being found
        return [Part(reference.name, first, reference.entries, reference.bytes)]


def _each(portions: Iterable[Portion]) -> Iterator[Portion]:
    """Yield portions of one range each."""
    for portion in portions:
        for number in range(portion.first, portion.first + portion.count):
            yield Portion(portion.of, number, 1)
