"""What a run has saved, whichever format its manifest has."""

from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass

from sitebackup.blobs.container import Container
from sitebackup.errors import BlobMissingError
from sitebackup.records import entries, format1
from sitebackup.records.entries import Entry
from sitebackup.records.lines import read_lines
from sitebackup.records.manifest import Index, read_index
from sitebackup.records.run_blobs import part_name


@dataclass(frozen=True, slots=True)
class Saved:
    """A manifest that is there: its `index`, and how to read its parts."""

    index: Index
    _container: Container
    _name: Callable[[str], str]
    _entry_of: Callable[[bytes], Entry | None]

    async def lines(
        self, part: str, begin: int = 0, end: int | None = None
    ) -> AsyncIterator[tuple[int, Entry | None]]:
        """Yield what the lines that begin in a range of a part, in bytes, say, each with its length in bytes.

        One that has no entry, the head of a manifest of format 1, says None.
        """
        async for line in read_lines(self._container, self._name(part), begin, end):
            yield len(line) + 1, self._entry_of(line)

    async def entries(self) -> AsyncIterator[Entry]:
        """Yield all entries in order."""
        for part in self.index.parts:
            async for _, entry in self.lines(part.name):
                if entry is not None:
                    yield entry


async def read_saved(catalog: Container, runs: Container, run: str) -> Saved:
    """Find the manifest of a run.

    Raises `FatalError` if there is none, or if this version of the app cannot read it.
    """
    with suppress(BlobMissingError):
        index = await read_index(catalog, run)
        return Saved(index, catalog, lambda part: part_name(run, part), entries.entry_of)
    index = await format1.read_index(runs, run)
    return Saved(index, runs, lambda _: format1.manifest_name(run), format1.entry_of)
