"""Comparing a manifest with what the container holds.

The manifest and the container's own listing are two streams in nearly the same order (they differ
where a name is escaped, or where storage compares other units than characters do), so they are joined with
few entries in memory: whichever side is behind is read on, and what finds no partner waits for it.
"""

from collections.abc import AsyncIterator

from sitebackup.blobs.container import Blob, Container
from sitebackup.messages import Findings
from sitebackup.records.outcomes import Outcome
from sitebackup.tally import NAMED

_WAITING = 50_000
"""Entries, and blobs, that may wait for a partner: some 20 MB each."""


class _Join:
    """Entries and blobs that wait for their partner, and what the pairs showed.

    Only `_WAITING` of each are kept, for a container may hold any number of blobs that no manifest knows. A
    blob that has to go counts as extra. Storage is asked about an entry that has to go, and about those
    without a partner at the end if a blob had to.
    """

    def __init__(self, container: Container) -> None:
        self._container = container
        self._entries: dict[str, Outcome] = {}
        self._blobs: dict[str, Blob] = {}
        self._forgot = 0
        self._missing = 0
        self._checked = 0
        self._bytes = 0
        self._changed = 0
        self._named: list[str] = []

    async def entry(self, entry: Outcome) -> None:
        """Take the next entry of the manifest."""
        name = entry.blob or ""
        blob = self._blobs.pop(name, None)
        if blob is not None:
            self._check(entry, blob)
            return
        self._entries[name] = entry
        if len(self._entries) > _WAITING:
            await self._settle(next(iter(self._entries)), ask=True)

    def blob(self, blob: Blob) -> None:
        """Take the next blob of the listing."""
        entry = self._entries.pop(blob.name, None)
        if entry is not None:
            self._check(entry, blob)
            return
        self._blobs[blob.name] = blob
        if len(self._blobs) > _WAITING:
            del self._blobs[next(iter(self._blobs))]
            self._forgot += 1

    async def end(self) -> Findings:
        """Settle what is left."""
        ask = self._forgot > 0
        for name in list(self._entries):
            await self._settle(name, ask=ask)
        return Findings(
            checked=self._checked,
            bytes=self._bytes,
            missing=self._missing,
            changed=self._changed,
            extra=self._forgot + len(self._blobs),
            named=tuple(self._named),
        )

    async def _settle(self, name: str, *, ask: bool) -> None:
        entry = self._entries.pop(name)
        blob = await self._container.find(name) if ask else None
        if blob is None:
            self._checked += 1
            self._missing += 1
            self._name(f"{name} is missing")
        else:
            self._forgot -= 1
            self._check(entry, blob)

    def _check(self, entry: Outcome, blob: Blob) -> None:
        self._checked += 1
        self._bytes += blob.size
        if blob.size != entry.size:
            self._differs(f"{blob.name} has {blob.size} bytes instead of {entry.size}")
        elif blob.md5 is None or blob.md5.hex() != entry.md5:
            self._differs(f"{blob.name} has another MD5")

    def _differs(self, text: str) -> None:
        self._changed += 1
        self._name(text)

    def _name(self, text: str) -> None:
        if len(self._named) < NAMED:
            self._named.append(text)


async def compare(entries: AsyncIterator[Outcome], container: Container, prefix: str) -> Findings:
    """Compare a manifest's entries with the blobs below `prefix`."""
    join = _Join(container)
    blobs = container.list(prefix)
    entry, blob = await _next_copied(entries), await anext(blobs, None)
    while entry is not None or blob is not None:
        if blob is None or (entry is not None and (entry.blob or "") <= blob.name):
            if entry is not None:
                await join.entry(entry)
            entry = await _next_copied(entries)
        else:
            join.blob(blob)
            blob = await anext(blobs, None)
    return await join.end()


async def _next_copied(entries: AsyncIterator[Outcome]) -> Outcome | None:
    async for entry in entries:
        if entry.outcome == "copied":
            return entry
    return None
