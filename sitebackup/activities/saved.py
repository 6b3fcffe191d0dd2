"""What was read, as an entry of the manifest; when it is in doubt; what it counts for."""

from dataclasses import dataclass
from typing import Protocol

import msgspec

from sitebackup.blobs.container import Blob, Properties
from sitebackup.records.entries import ROOT_MARK, Entry, fields_of
from sitebackup.records.outcomes import Outcome
from sitebackup.records.plans import Task
from sitebackup.tally import Tally
from sitebackup.tree.attributes import Attributes
from sitebackup.tree.reading import content_type

DOUBT = 3.0
"""Seconds: what changed less than that before it was read may change again, and have the same times then.

File systems keep times in ticks of up to two seconds, and a change takes the time of its tick's begin."""

_SAME_CLOCK = 600.0
"""Seconds: a server's clock that differs by more from this machine's is not told from an old tree."""

_NS = 1_000_000_000


class Clock:
    """Tells whether what was read may have changed since without a trace in its times.

    On a share, times are the server's. Its clock may be behind this machine's; but it is not behind the
    newest time that was seen on it.
    """

    def __init__(self, *, is_share: bool) -> None:
        self._is_share = is_share
        self._newest = 0

    def doubts(self, attributes: Attributes, read_ns: int) -> bool:
        """Tell it of what was read at the time `read_ns`, in nanoseconds since the epoch, or later."""
        changed = max(attributes.mtime_ns, attributes.ctime_ns)
        if changed <= read_ns + _SAME_CLOCK * _NS:
            self._newest = max(self._newest, changed)
        now = read_ns
        if self._is_share and self._newest >= read_ns - _SAME_CLOCK * _NS:
            now = min(now, self._newest)
        return changed > now - DOUBT * _NS


class Source(Protocol):
    """Something that was read: `size` in bytes, MD5 digest of its content, and attributes."""

    @property
    def size(self) -> int: ...
    @property
    def md5(self) -> bytes: ...
    @property
    def attributes(self) -> Attributes: ...


@dataclass(frozen=True, slots=True)
class Read:
    """What was read of an item: its `blob` with the `properties`, and its `entry` without etag and since.

    Besides what the entry says, a blob's metadata have the ID of the root that it was stored for.
    """

    blob: str
    properties: Properties
    entry: Entry

    @classmethod
    def of(cls, task: Task, root: str, blob: str, source: Source, *, recheck: bool) -> "Read":
        """Return what was read for a task of the root with this ID."""
        attributes = source.attributes
        entry = Entry(
            path=task.path,
            kind=task.kind,
            size=source.size,
            **fields_of(attributes),
            blob=blob,
            md5=source.md5.hex(),
            recheck=recheck,
        )
        metadata = {**(entry.metadata or {}), ROOT_MARK: root}
        return cls(blob, Properties(source.md5, content_type(blob), metadata), entry)

    def is_content_of(self, there: Blob | None) -> bool:
        """Tell whether a blob has this content."""
        return there is not None and (there.size, there.md5) == (self.entry.size, self.properties.md5)

    def is_all_of(self, there: Blob | None) -> bool:
        """Tell whether a blob has this content and the metadata, whichever root it was stored for."""
        if there is None or there.metadata is None or not self.is_content_of(there):
            return False
        metadata = {key: value for key, value in there.metadata.items() if key != ROOT_MARK}
        return metadata == self.entry.metadata


def saved(task: Task, read: Read, etag: str, run: str, uploaded: int) -> Outcome:
    """Return the outcome of a task whose blob has what was `read`, and that ETag.

    `uploaded`: bytes of content that were sent for it in this `run`.
    """
    base = task.base.content if task.base is not None else None
    is_old = base is not None and (base.size, base.md5) == (read.entry.size, read.entry.md5)
    entry = msgspec.structs.replace(read.entry, etag=etag, since=base.since if base and is_old else run)
    return Outcome(entry, _counts(task, entry, is_old=is_old) + Tally(uploaded=uploaded))


def _counts(task: Task, entry: Entry, *, is_old: bool) -> Tally:
    """Compare a file with the run before, whatever of it an earlier attempt of this run has stored."""
    tally, base = entry.tally, task.base
    if task.kind != "file":
        return tally
    if base is None or base.content is None:
        return tally + Tally(new=1)
    if not is_old or base.metadata != entry.metadata:
        return tally + Tally(changed=1)
    was_in_doubt = base.recheck or base.ctime is None
    is_touched = not was_in_doubt and (base.ctime, base.inode) != (entry.ctime, entry.inode)
    return tally + Tally(unchanged=1, touched=int(is_touched))
