"""What a walk finds, joined with what the run before has saved: unchanged, to be saved, or gone.

Both come in the order of their keys, so one entry of each is in memory at a time.
"""

from collections import Counter
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field

from sitebackup.records.entries import Entry, fields_of, to_line
from sitebackup.records.plans import Task
from sitebackup.tally import NAMED, Tally
from sitebackup.tree.attributes import Attributes
from sitebackup.tree.entries import Item, Odd
from sitebackup.tree.keys import Range
from sitebackup.tree.selecting import Selection

type Baseline = AsyncIterator[tuple[bytes, Entry]]
"""Entries of the manifest of the run before, in order, each with its line."""


async def no_baseline() -> Baseline:
    """Yield nothing: there was no run before."""
    return
    yield


@dataclass(slots=True)
class Found:
    """What a join has found since it was asked last: `tasks`, and `lines` for a draft, one an entry."""

    lines: bytearray = field(default_factory=bytearray)
    entries: int = 0
    tasks: list[Task] = field(default_factory=list[Task])
    counts: Counter[str] = field(default_factory=Counter[str])

    @property
    def tally(self) -> Tally:
        """What the lines count for."""
        return Tally(**self.counts)

    @property
    def pending(self) -> Tally:
        """What the tasks would count for if all of them were carried out."""
        kinds = Counter("gone" if task.gone else task.kind for task in self.tasks)
        return Tally(
            files=kinds["file"],
            bytes=sum(task.size for task in self.tasks if not task.gone and task.kind == "file"),
            links=kinds["link"],
            directories=kinds["directory"],
            gone=kinds["gone"],
        )


class Join:
    """Joins entries of a walk with a baseline.

    `begin` is the first key that may come. `detection` says by what an entry counts as unchanged, as in a
    request. `named` has the first failures in words.
    """

    def __init__(self, baseline: Baseline, selection: Selection, detection: str, begin: str = "") -> None:
        self._baseline = baseline
        self._selection = selection
        self._detection = detection
        self._begin = begin
        self._next: tuple[bytes, Entry] | None = None
        self._begun = False
        self._closed: dict[str, str] = {}  # the keys of directories that were not entered, and why
        self._found = Found()
        self.named: list[str] = []

    def take(self) -> Found:
        """Return what was found since this was called last."""
        found, self._found = self._found, Found()
        return found

    async def add(self, entries: Iterable[Item | Odd]) -> None:
        """Take the next entries of the walk."""
        for entry in entries:
            key = max(entry.key, self._begin)  # a directory above the range may have trouble
            await self.skip_to(key)
            line, base = b"", None
            if self._next is not None and self._next[1].path == key:
                line, base = self._next
                await self._advance()
            if isinstance(entry, Odd):
                self._odd(key, entry, base)
            elif base is not None and is_unchanged(entry, base, self._detection):
                self._unchanged(line, base)
            elif entry.kind == "directory" and not entry.is_empty and entry.attributes is not None:
                self._directory(key, entry.attributes, base)
            else:
                self._found.tasks.append(Task(key, entry.kind, entry.size, base and _with_content(base)))

    async def skip_to(self, key: str | None) -> None:
        """Take note that the walk has no further entry before `key`; None: at all."""
        if not self._begun:
            self._begun = True
            await self._advance()
        while self._next is not None and (key is None or self._next[1].path < key):
            self._unmet(self._next[1])
            await self._advance()

    async def leave_out(self, hole: Range) -> None:
        """Leave out the baseline of a range: another listing will look there."""
        await self.skip_to(hole.begin)
        while self._next is not None and self._next[1].path in hole:
            await self._advance()

    async def _advance(self) -> None:
        self._next = await anext(self._baseline, None)

    def _unchanged(self, line: bytes, base: Entry) -> None:
        self._found.lines += line
        self._found.lines += b"\n"
        self._found.entries += 1
        if base.kind == "file":
            self._found.counts["files"] += 1
            self._found.counts["bytes"] += base.size
            self._found.counts["unchanged"] += 1
        else:
            self._found.counts["links" if base.kind == "link" else "directories"] += 1

    def _directory(self, key: str, attributes: Attributes, base: Entry | None) -> None:
        """A directory with something in it has no blob; one that had nothing in it before had one."""
        self._line(Entry(key, "directory", **fields_of(attributes)))
        if base is not None and base.content is not None:
            self._found.tasks.append(Task(key, "directory", base=base, gone=True))

    def _odd(self, key: str, odd: Odd, base: Entry | None) -> None:
        is_directory = odd.kind == "directory" and odd.outcome != "vanished"
        if is_directory or (odd.kind is None and odd.outcome == "failed"):  # that may be a directory
            self._closed[f"{odd.path}/"] = odd.reason
        kind = odd.kind if key == odd.key else base and base.kind
        previous = base.content if base is not None else None
        self._line(Entry(key, kind, outcome=odd.outcome, reason=odd.reason, previous=previous))
        if odd.outcome == "failed" and len(self.named) < NAMED:
            self.named.append(f"{key}: {odd.reason}")

    def _unmet(self, base: Entry) -> None:
        """The walk has no entry that the baseline has: it is gone, unless the walk did not look there."""
        if base.content is None:
            return
        if (reason := self._why_closed(base.path)) is not None:
            self._line(base.not_saved("kept", f"its directory is not read: {reason}"))
        elif not self._selection.takes_path(base.path):
            self._line(base.not_saved("kept", "not selected any more"))
        else:
            self._found.tasks.append(Task(base.path, base.kind or "file", base=base, gone=True))

    def _why_closed(self, key: str) -> str | None:
        """Return why the directory that an entry is in was not entered, if so."""
        if not self._closed:
            return None
        above = (key[: end + 1] for end, character in enumerate(key) if character == "/")
        return next((self._closed[up] for up in above if up in self._closed), None)

    def _line(self, entry: Entry) -> None:
        self._found.lines += to_line(entry)
        self._found.entries += 1
        self._found.counts[entry.outcome or "directories"] += 1


def is_unchanged(item: Item, base: Entry, detection: str) -> bool:
    """Tell whether an entry is what the run before has saved, as far as its attributes say.

    `detection`: `ctime`, `mtime` (without ctime and inode), or `hash`: then files and links are always read.
    """
    attributes = item.attributes
    if attributes is None or not base.is_saved or base.previous or base.recheck or base.kind != item.kind:
        return False
    if item.kind == "directory":
        if item.is_empty != (base.blob is not None):
            return False
    elif detection == "hash" or attributes.size != base.size:
        return False
    if detection != "mtime" and (attributes.inode != base.inode or attributes.ctime != base.ctime):
        return False
    return (
        attributes.mtime == base.mtime
        and attributes.uid == base.uid
        and attributes.gid == base.gid
        and f"{attributes.mode:o}" == base.mode
    )


def _with_content(base: Entry) -> Entry | None:
    """Return a baseline's entry if something of it is in `backups`."""
    return base if base.content is not None else None
