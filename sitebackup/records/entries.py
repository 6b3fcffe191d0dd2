"""Entries: the lines of a manifest, one for each file, link and directory of a tree.

    {"path": "img/", "kind": "directory", "mtime": "2026-11-20T09:12:44.120000000Z", "mode": "40755", ...}
    {"path": "img/a.jpg", "kind": "file", "size": 1024, ..., "md5": "...", "etag": "...", "since": "<run>"}
    {"path": "img/b.jpg", "kind": "file", "outcome": "failed", "reason": "Permission denied"}

A path is relative to the root. A directory's ends with a slash; the root's is empty. So paths, compared as
they are, are in the order of a walk that takes each directory in this order. Bytes that are not UTF-8 are
lone surrogates (PEP 383).
"""

import json
from collections.abc import Iterable, Mapping
from typing import Literal, TypedDict

import msgspec

from sitebackup.blobs.container import Blob
from sitebackup.tally import Tally
from sitebackup.tree.attributes import Attributes
from sitebackup.tree.entries import Kind

type NotSaved = Literal["failed", "vanished", "skipped", "kept", "gone"]
"""What became of an entry that a run has not saved.

`kept`: the run has not looked at it, or may not remove it; what an earlier run saved of it is still there.
`gone`: what an earlier run saved of it is removed. No manifest has that; a batch reports it.
"""

MARKS: Mapping[Kind, Mapping[str, str]] = {
    "file": {},
    "link": {"is_symlink": "true"},
    "directory": {"hdi_isfolder": "true"},
}
"""The metadata that says what a blob is, by kind: how azcopy and BlobFuse keep links and directories."""


ROOT_MARK = "backup_root"
"""The metadata that says for which root a blob was stored: its ID. A blob without it is a stranger's."""


class Content(msgspec.Struct, frozen=True):
    """Content that is saved: `size` in bytes, `md5` in hexadecimal, and the run that stored it (`since`).

    Its blob had the `etag` then. If the blob has it still, it has this content.
    """

    size: int
    md5: str
    etag: str
    since: str


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """A line of a manifest. A saved entry has no `outcome`; any other has one, and the `reason`.

    `size`: bytes of the content; of a link, its target's length. `mtime`, `ctime`: RFC 3339 with nanoseconds.
    `mode`: octal, with the type of the file. `blob`: its name in `backups`; a directory has one only if
    nothing in it is saved. `md5`: hexadecimal. `etag`: of the blob when it was last written. `since`: the run
    that stored the content. `recheck`: it may have changed unseen since it was read, so it is read next time.
    `previous`: what an earlier run saved of an entry that this one did not save.
    """

    path: str
    kind: Kind | None = None
    size: int = 0
    mtime: str | None = None
    ctime: str | None = None
    inode: int | None = None
    mode: str | None = None
    uid: int | None = None
    gid: int | None = None
    blob: str | None = None
    md5: str | None = None
    etag: str | None = None
    since: str | None = None
    recheck: bool = False
    outcome: NotSaved | None = None
    reason: str | None = None
    previous: Content | None = None

    @property
    def is_saved(self) -> bool:
        """Whether the run vouches for it."""
        return self.outcome is None

    @property
    def content(self) -> Content | None:
        """What is in `backups` of it as far as the run knows."""
        if self.blob is None or self.outcome is not None:
            return self.previous
        return Content(self.size, self.md5 or "", self.etag or "", self.since or "")

    @property
    def metadata(self) -> dict[str, str] | None:
        """What its blob has as metadata, under rclone's keys; None if that is not known."""
        if self.outcome is not None:
            return None
        owner = {"mode": self.mode or "", "uid": str(self.uid), "gid": str(self.gid)}
        return {"mtime": self.mtime or "", **owner, **MARKS[self.kind or "file"]}

    @property
    def tally(self) -> Tally:
        """What it counts for; whether it is new, changed or unchanged is not to be seen here."""
        if self.outcome is not None:
            return Tally(**{self.outcome: 1})
        match self.kind:
            case "link":
                return Tally(links=1)
            case "directory":
                return Tally(directories=1)
            case _:
                return Tally(files=1, bytes=self.size)

    def not_saved(self, outcome: NotSaved, reason: str) -> "Entry":
        """Return it as an entry that is not saved now."""
        return Entry(self.path, self.kind, outcome=outcome, reason=reason, previous=self.content)


def kind_of(metadata: Mapping[str, str]) -> Kind:
    """Return what a blob with these metadata is."""
    for kind, marks in MARKS.items():
        if marks and marks.items() <= metadata.items():
            return kind
    return "file"


class Fields(TypedDict):
    """The fields of an entry that a disk says."""

    mtime: str
    ctime: str
    inode: int
    mode: str
    uid: int
    gid: int


def fields_of(attributes: Attributes) -> Fields:
    """Return what a disk says of an entry as its fields."""
    return {
        "mtime": attributes.mtime,
        "ctime": attributes.ctime,
        "inode": attributes.inode,
        "mode": f"{attributes.mode:o}",
        "uid": attributes.uid,
        "gid": attributes.gid,
    }


def blob_of(name: str, entry: Entry) -> Blob | None:
    """Return the blob `name` that a manifest's `entry` believes to be there."""
    content = entry.content
    if content is None:
        return None
    return Blob(name, content.size, bytes.fromhex(content.md5), content.etag, entry.metadata)


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Entry).decode


def to_line(row: msgspec.Struct) -> bytes:
    """Return a struct with a path in it as a line of JSON."""
    try:
        return _encode(row) + b"\n"
    except UnicodeEncodeError:  # bytes that are not UTF-8, as lone surrogates
        return json.dumps(msgspec.to_builtins(row)).encode() + b"\n"


def to_lines(rows: Iterable[msgspec.Struct]) -> bytes:
    """Return structs as lines."""
    return b"".join(map(to_line, rows))


def from_line[S: msgspec.Struct](line: bytes, kind: type[S]) -> S:
    """Read a line that `to_line` wrote; unknown fields are ignored."""
    try:
        return msgspec.json.decode(line, type=kind)
    except msgspec.DecodeError:  # lone surrogates, unless it is no JSON at all
        return msgspec.convert(json.loads(line), kind)


def entry_of(line: bytes) -> Entry:
    """Read the line of an entry."""
    try:
        return _decode(line)
    except msgspec.DecodeError:
        return msgspec.convert(json.loads(line), Entry)
