"""An independent look at what a backup left: it shares no code with the app.

The app encodes paths as blob names. Here names are decoded instead, and compared as bytes: what comes out
must be the tree, entry by entry, nothing more and nothing less.
"""

import hashlib
import io
import os
import re
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob import BlobProperties, BlobServiceClient, ContainerClient

from tests.e2e.support.trees import saved_entries
from tests.support.past import Read

_AT_ONCE = 8
_ESCAPE = re.compile(rb"%([0-9A-F]{2})")
_ODD = re.compile(r"[^A-Za-z0-9/_-]")  # what a name may have in another form


@dataclass(frozen=True, slots=True)
class Comparison:
    """What a container and a tree differ in: entries without a blob, blobs without an entry or of another."""

    lost: list[bytes]
    extra: list[bytes]
    wrong: list[str]


def compare(container: ContainerClient, root: Path) -> Comparison:
    """Hold the blobs below `root`'s own name against what it holds.

    Files and links are compared byte for byte, MD5 and metadata included; a directory has a blob if nothing
    else is in it. Blobs of other trees may be in the container too.
    """
    below = os.fsencode(root).lstrip(b"/") + b"/"
    blobs: dict[bytes, BlobProperties] = {}
    twice: list[bytes] = []
    plain = _ODD.split(str(root).lstrip("/"), maxsplit=1)[0]
    for blob in container.list_blobs(plain, include=["metadata"]):
        path = _path_of(blob.name)
        if path in blobs:
            twice.append(path)
        if path.startswith(below):
            blobs[path] = blob
    entries = {os.fsencode(path).lstrip(b"/"): path for path in saved_entries(root)}
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        mark = hashlib.sha256(os.fsencode(root)).hexdigest()[:16]
        pairs = [(container, blobs[key], path, mark) for key, path in entries.items() if key in blobs]
        different = [text for text in pool.map(_difference, pairs) if text is not None]
    return Comparison(
        lost=sorted(entries.keys() - blobs.keys()),
        extra=sorted(blobs.keys() - entries.keys()) + twice,
        wrong=different,
    )


def assert_container_equals_tree(container: ContainerClient, root: Path) -> None:
    """Fail unless `compare` finds no difference."""
    found = compare(container, root)
    assert found.lost == [], "entries without a blob"
    assert found.extra == [], "blobs without an entry"
    assert found.wrong == [], "blobs that are not their entry"


def blob_content(container: ContainerClient, path: Path) -> bytes:
    """The content of the blob of the file `path`, whose name needs no escapes."""
    return container.download_blob(str(path).lstrip("/")).readall()


def reader(blobs: BlobServiceClient) -> Read:
    """Gives the content of the blobs of an account."""

    def read(container: str, name: str) -> bytes | None:
        try:
            return blobs.get_blob_client(container, name).download_blob().readall()
        except ResourceNotFoundError:
            return None

    return read


def rfc3339(time_ns: int) -> str:
    """A time in nanoseconds since the epoch, as RFC 3339 has it."""
    seconds, nanoseconds = divmod(time_ns, 10**9)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{nanoseconds:09d}Z"


def _path_of(name: str) -> bytes:
    return _ESCAPE.sub(lambda match: bytes.fromhex(match[1].decode()), name.encode())


def _difference(pair: tuple[ContainerClient, BlobProperties, Path, str]) -> str | None:
    container, blob, path, mark = pair
    status = path.lstat()
    metadata = {
        "mtime": rfc3339(status.st_mtime_ns),
        "mode": oct(status.st_mode)[2:],
        "uid": str(status.st_uid),
        "gid": str(status.st_gid),
        "backup_root": mark,
    }
    if path.is_symlink():
        metadata["is_symlink"] = "true"
        content: BinaryIO = io.BytesIO(os.fsencode(path.readlink()))
    elif path.is_dir():
        metadata["hdi_isfolder"] = "true"
        content = io.BytesIO()
    else:
        content = path.open("rb")
    digest = hashlib.md5(usedforsecurity=False)
    with content:
        for chunk in container.download_blob(blob.name).chunks():
            digest.update(chunk)
            if chunk != content.read(len(chunk)):
                return f"{blob.name}: content"
        if content.read(1):
            return f"{blob.name}: too short"
    if bytes(blob.content_settings.content_md5 or b"") != digest.digest():
        return f"{blob.name}: MD5"
    return None if blob.metadata == metadata else f"{blob.name}: {blob.metadata} instead of {metadata}"
