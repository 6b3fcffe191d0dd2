"""Comparing a manifest with what the container holds.

Shallow: the manifest and the container's own listing are two streams in nearly the same order (they differ
where a name is escaped, or where storage compares other units than characters do), so they are joined with
few entries in memory: whichever side is behind is read on, and what finds no partner waits for it.

Deep: every blob is read back and hashed.
"""

from collections.abc import AsyncIterator

from sitebackup.blobs.container import Blob, Container
from sitebackup.records.findings import Findings
from sitebackup.records.outcomes import Outcome

_WAITING = 50_000
"""Entries, and blobs, that may wait for a partner: some 20 MB each."""


class _Join:
    """Entries and blobs that wait for their partner.

    Only `_WAITING` of each are kept, for a container may hold any number of blobs that no manifest knows. A
    blob that has to go counts as extra. Storage is asked about an entry that has to go, and about those
    without a partner at the end if a blob had to.
    """

    def __init__(self, container: Container, findings: Findings) -> None:
        self._container = container
        self._findings = findings
        self._entries: dict[str, Outcome] = {}
        self._blobs: dict[str, Blob] = {}
        self._forgot = False

    async def entry(self, entry: Outcome) -> None:
        """Take the next entry of the manifest."""
        name = entry.blob or ""
        blob = self._blobs.pop(name, None)
        if blob is not None:
            _check(entry, blob, self._findings)
            return
        self._entries[name] = entry
        if len(self._entries) > _WAITING:
            await self._settle(next(iter(self._entries)), ask=True)

    def blob(self, blob: Blob) -> None:
        """Take the next blob of the listing."""
        entry = self._entries.pop(blob.name, None)
        if entry is not None:
            _check(entry, blob, self._findings)
            return
        self._blobs[blob.name] = blob
        if len(self._blobs) > _WAITING:
            del self._blobs[next(iter(self._blobs))]
            self._findings.extra += 1
            self._forgot = True

    async def end(self) -> None:
        """Settle what is left."""
        for name in list(self._entries):
            await self._settle(name, ask=self._forgot)
        self._findings.extra += len(self._blobs)

    async def _settle(self, name: str, *, ask: bool) -> None:
        entry = self._entries.pop(name)
        blob = await self._container.find(name) if ask else None
        if blob is None:
            self._findings.checked += 1
            self._findings.missed(name)
        else:
            self._findings.extra -= 1
            _check(entry, blob, self._findings)


async def compare(entries: AsyncIterator[Outcome], container: Container, prefix: str) -> Findings:
    """Compare a manifest's entries with the blobs below `prefix`."""
    findings = Findings()
    join = _Join(container, findings)
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
    await join.end()
    return findings


async def _next_copied(entries: AsyncIterator[Outcome]) -> Outcome | None:
    async for entry in entries:
        if entry.outcome == "copied":
            return entry
    return None


def _check(entry: Outcome, blob: Blob, findings: Findings) -> None:
    findings.checked += 1
    findings.bytes += blob.size
    if blob.size != entry.size:
        findings.differs(blob.name, f"has {blob.size} bytes instead of {entry.size}")
    elif blob.md5 is None or blob.md5.hex() != entry.md5:
        findings.differs(blob.name, "has another MD5")
