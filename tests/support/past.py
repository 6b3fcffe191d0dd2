"""An independent look at what earlier runs saved: it shares no code with the app.

A version of a file is in `backups` as long as that has its content, else in `backup-history`. Everything that
a run saved must come back byte for byte.
"""

import hashlib
import json
import os
import stat
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

type Saved = dict[str, tuple[str, bytes, str, str]]
"""What is at each path of a tree, relative to its root: kind, content, mode (octal), modification time."""

type Read = Callable[[str, str], bytes | None]
"""Gives the content of a blob, by the names of its container and its own; None if there is none."""


def tree_of(root: Path) -> Saved:
    """What is in a tree, the root included; a directory's path ends with a slash."""
    saved: Saved = {}
    for folder, directories, files in os.walk(root):
        for name in (*directories, *files, ""):
            path = Path(folder, name) if name else Path(folder)
            status = path.lstat()
            relative = os.path.relpath(path, root) if path != root else ""
            if stat.S_ISLNK(status.st_mode):
                kind, content = "link", os.fsencode(path.readlink())
            elif stat.S_ISDIR(status.st_mode):
                kind, content = "directory", b""
                relative = f"{relative}/" if relative else ""
            else:
                kind, content = "file", path.read_bytes()
            saved[relative] = (kind, content, f"{status.st_mode:o}", _moment(status.st_mtime_ns))
    return saved


def run_of(read: Read, run: str) -> Saved:
    """What a run saved, read back from wherever it is now. Fails if something of it is not to be found."""
    index, entries = manifest_of(read, run)
    assert index["run"] == run
    saved: Saved = {}
    for entry in entries:
        if "outcome" not in entry:
            saved[entry["path"]] = (entry["kind"], content_of(read, entry), entry["mode"], entry["mtime"])
    return saved


def manifest_of(read: Read, run: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The index of a run's manifest, and its entries in order."""
    folder = f"manifests/{run}"
    index = json.loads(read("backup-catalog", f"{folder}/index.json") or b"null")
    entries: list[dict[str, Any]] = []
    for part in index["parts"]:
        lines = (read("backup-catalog", f"{folder}/{part['name']}.ndjson") or b"").splitlines()
        rows = [json.loads(line) for line in lines]
        assert len(rows) == part["entries"], (part, len(rows), rows)
        assert rows[0]["path"] == part["first"]
        entries += rows
    paths = [entry["path"] for entry in entries]
    assert paths == sorted(set(paths))
    return index, entries


def content_of(read: Read, entry: dict[str, Any]) -> bytes:
    """The content that an entry vouches for."""
    if "blob" not in entry:
        assert entry["kind"] == "directory"
        return b""
    blob, md5 = entry["blob"], entry["md5"]
    for container, name in (("backups", blob), ("backup-history", f"{blob}/{md5}")):
        content = read(container, name)
        if content is not None and hashlib.md5(content, usedforsecurity=False).hexdigest() == md5:
            assert len(content) == entry.get("size", 0)
            return content
    raise AssertionError(f"{blob} with MD5 {md5} is nowhere")


def _moment(time_ns: int) -> str:
    seconds, nanoseconds = divmod(time_ns, 10**9)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{nanoseconds:09d}Z"
