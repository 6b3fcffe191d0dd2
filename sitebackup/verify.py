"""Comparing a manifest with what the container holds.

Shallow: the manifest and the container's own listing are two streams in nearly the same order (they differ
where a name is escaped, or where storage compares other units than characters do), so they are joined with
few entries in memory: whichever side is behind is read on, and what finds no partner waits for it.

Deep: every blob is read back and hashed.
"""

import functools
import hashlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

from sitebackup.engine import Engine
from sitebackup.errors import BlobMissingError, BlobRefusedError
from sitebackup.runs import Outcome
from sitebackup.storage import Blob, Container
from sitebackup.tally import NAMED

_WAITING = 50_000
"""Entries, and blobs, that may wait for a partner: some 20 MB each."""

_READ = 4 * 1024 * 1024
"""Bytes of a blob that are read at once."""


@dataclass(slots=True)
class Findings:
    """What a verification found: counts, and the first troubles in words. `extra` is no trouble."""

    checked: int = 0
    bytes: int = 0
    missing: int = 0
    changed: int = 0
    extra: int = 0
    named: list[str] = field(default_factory=list[str])

    def missed(self, blob: str) -> None:
        """Count a blob that is not there."""
        self.missing += 1
        self._name(f"{blob} is missing")

    def differs(self, blob: str, how: str) -> None:
        """Count a blob that is not what was saved."""
        self.changed += 1
        self._name(f"{blob} {how}")

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object."""
        return {name: getattr(self, name) for name in self.__slots__}

    def add(self, answer: dict[str, Any]) -> None:
        """Add the JSON object of other findings."""
        for name in ("checked", "bytes", "missing", "changed", "extra"):
            setattr(self, name, getattr(self, name) + answer.get(name, 0))
        self.named = (self.named + answer.get("named", []))[:NAMED]

    def _name(self, text: str) -> None:
        if len(self.named) < NAMED:
            self.named.append(text)


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


async def read_back(outcome: Outcome, engine: Engine, findings: Findings) -> None:
    """Read one blob and compare its size and MD5 with what was saved."""
    blob = outcome.blob or ""
    findings.checked += 1
    try:
        size, same = await read_through(outcome, engine, lambda _: None)
    except BlobMissingError:
        findings.missed(blob)
        return
    except BlobRefusedError as error:  # archived, for one
        findings.differs(blob, str(error))
        return
    findings.bytes += size
    if not same:
        findings.differs(blob, "has another content")


async def read_through(outcome: Outcome, engine: Engine, take: Callable[[bytes], object]) -> tuple[int, bool]:
    """Read a blob in pieces, each handed to `take` in a thread.

    Returns how many bytes it has, and whether they are those that were saved. Reading ends soon after a blob
    turns out to be longer. Raises `BlobMissingError` or `BlobRefusedError`.
    """
    digest, size = hashlib.md5(usedforsecurity=False), 0

    def see(data: bytes) -> None:
        digest.update(data)
        take(data)

    while size <= outcome.size:
        piece = min(_READ, outcome.size - size + 1)  # one byte too many, to see that it is not there
        async with engine.memory.hold(piece):
            async with engine.transfers:
                data = await engine.backups.get(outcome.blob or "", size, piece)
            await engine.in_thread(functools.partial(see, data))
        size += len(data)
        if len(data) < piece:
            break
    return size, size == outcome.size and digest.hexdigest() == outcome.md5


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
