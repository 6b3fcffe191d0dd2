"""Pairing the entries of a manifest with the blobs that a container lists.

Both come in nearly the same order (it differs where a name is escaped, where a directory has a blob, or where
storage compares other units than characters do), so few have to wait for their partner.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice

from sitebackup.blobs.container import Blob
from sitebackup.records.comparisons import State
from sitebackup.records.entries import Entry

_WAITING = 50_000
"""Entries, and blobs, that may wait for a partner: some 20 MB each."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """An entry whose blob is not what was saved: `wrong` says what is wrong, None that it was not met."""

    entry: Entry
    wrong: str | None = None


@dataclass(slots=True)
class Pairs:
    """Entries and blobs that wait for their partner, by the blob's name, and what the pairs have shown.

    Only `_WAITING` of each are kept, for a container may hold any number of blobs that no manifest knows: so
    many blobs were `dropped`. An entry that has to go is a doubt; of those, so many blobs were `found` when
    storage was asked. `checked` entries have the right content in their blob, so many `bytes` of it. Those
    that are not saved only keep their blob from being extra.
    """

    entries: dict[str, Entry] = field(default_factory=dict[str, Entry])
    blobs: dict[str, Blob] = field(default_factory=dict[str, Blob])
    dropped: int = 0
    found: int = 0
    checked: int = 0
    bytes: int = 0
    doubts: list[Doubt] = field(default_factory=list[Doubt])

    @classmethod
    def of(cls, state: State) -> "Pairs":
        """Go on with what waits, and the counts."""
        entries = {entry.blob or "": entry for entry in state.entries}
        blobs = {blob.name: blob for blob in state.blobs}
        return cls(entries, blobs, state.position.dropped, state.position.found)

    def add_entry(self, entry: Entry) -> None:
        """Take the next entry of the manifest."""
        name = entry.blob or ""
        blob = self.blobs.pop(name, None)
        if blob is not None:
            self._check(entry, blob)
            return
        if entry.is_saved or name not in self.entries:
            self.entries[name] = entry
        if len(self.entries) > _WAITING:
            self.doubt(_too_many())

    def add_blob(self, blob: Blob) -> None:
        """Take the next blob of the listing."""
        entry = self.entries.pop(blob.name, None)
        if entry is not None:
            self._check(entry, blob)
            return
        self.blobs[blob.name] = blob
        if len(self.blobs) > _WAITING:
            oldest = list(islice(self.blobs, _too_many()))
            for name in oldest:
                del self.blobs[name]
            self.dropped += len(oldest)

    def doubt(self, count: int) -> bool:
        """Let the first entries that wait, so many at most, wait no longer; tell whether there were any."""
        names = list(islice(self.entries, count))
        waited = [self.entries.pop(name) for name in names]
        self.doubts += [Doubt(entry) for entry in waited if entry.is_saved]
        return bool(names)

    def take_doubts(self) -> Sequence[Doubt]:
        """Return the doubts since this was called last."""
        doubts, self.doubts = self.doubts, []
        return doubts

    @property
    def extra(self) -> int:
        """Blobs without an entry, once everything was listed; of those that entries share, one too few."""
        return max(0, self.dropped + len(self.blobs) - self.found)

    def _check(self, entry: Entry, blob: Blob) -> None:
        if not entry.is_saved:
            return
        wrong = difference(entry, blob)
        if wrong is None:
            self.checked += 1
            self.bytes += blob.size
        else:
            self.doubts.append(Doubt(entry, wrong))


def _too_many() -> int:
    """Return how many go at once: the first key of a dictionary is far behind those that were deleted."""
    return max(1, _WAITING // 50)


def difference(entry: Entry, blob: Blob) -> str | None:
    """Return what is wrong with the blob of an entry, in words; None if nothing is."""
    if blob.size != entry.size:
        return f"{blob.name} has {blob.size} bytes instead of {entry.size}"
    if blob.md5 is None or blob.md5.hex() != entry.md5:
        return f"{blob.name} has another MD5"
    return None
