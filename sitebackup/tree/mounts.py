"""What is mounted where, as the kernel tells it. No mounted file system is asked, so none can hang this."""

import os
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePath


@dataclass(frozen=True, slots=True)
class Mount:
    """A mounted file system: the path `inner` in it, of the `source`, is at the path `point`.

    `kind` is the file system's type; `major` is its device's major number, 0 for one without a device.
    """

    point: str
    kind: str
    source: str
    inner: str
    major: int


type Mounts = Mapping[str, Mount]
"""The mounts that a path can lead into, by their points."""


def read_mounts() -> Mounts:
    """Return the mounts that this process sees; none where the kernel has no table of them."""
    try:
        with open("/proc/self/mountinfo", "rb") as table:
            return parse(os.fsdecode(table.read()))
    except OSError:
        return {}


def parse(table: str) -> Mounts:
    """Read a table as `man 5 proc_pid_mountinfo` describes it.

    A mount can lie over another one, at the same point or above it: no path leads into the lower one.
    """
    rows = [line.split(" ") for line in table.split("\n") if line]
    known = {row[0] for row in rows}
    mounts_on: dict[str, dict[str, tuple[str, Mount]]] = defaultdict(dict)
    for row in rows:
        mount = _mount(row)
        parent = row[1] if row[1] in known and row[1] != row[0] else ""
        mounts_on[parent][mount.point] = row[0], mount
    return {mount.point: mount for mount in _on_top(mounts_on)}


def _on_top(mounts_on: Mapping[str, Mapping[str, tuple[str, Mount]]]) -> Iterator[Mount]:
    """Yield the mounts that no other one hides, from those on each mount, by point, each with its ID."""
    pending: list[tuple[str, Mount | None]] = [("", None)]
    while pending:
        identity, mount = pending.pop()
        above = mounts_on.get(identity, {})
        if mount is not None and mount.point in above:
            pending.append(above[mount.point])
            continue
        if mount is not None:
            yield mount
        pending += [entry for point, entry in above.items() if not any(up in above for up in _parents(point))]


def holding(path: str, mounts: Mounts) -> Iterator[Mount]:
    """Yield the mounts that the real `path` lies in, the innermost first."""
    return (mounts[directory] for directory in (path, *_parents(path)) if directory in mounts)


def _parents(path: str) -> Iterator[str]:
    return map(str, PurePath(path).parents)


def _mount(row: list[str]) -> Mount:
    kind, source = row[row.index("-") + 1 :][:2]
    inner, point, source = (
        re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), text)
        for text in (row[3], row[4], source)
    )
    return Mount(point, kind, source, inner, int(row[2].partition(":")[0]))
