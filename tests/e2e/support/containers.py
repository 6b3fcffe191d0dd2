"""An independent look at what a backup left: it shares no code with the app.

The app encodes paths as blob names. Here names are decoded instead, and compared as bytes: what comes out
must be the tree, file by file, nothing more and nothing less.
"""

import os
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from azure.storage.blob import ContainerClient

from tests.e2e.support.trees import regular_files

_AT_ONCE = 8
_ESCAPE = re.compile(rb"%([0-9A-F]{2})")


def assert_container_equals_tree(container: ContainerClient, root: Path) -> None:
    """Fail unless the blobs below `root`'s own name are its regular files, byte for byte, and nothing else.

    Blobs of other trees may be in the container too.
    """
    below = os.fsencode(root).lstrip(b"/") + b"/"
    blobs: dict[bytes, str] = {}
    for name in container.list_blob_names():
        path = _path_of(name)
        if path.startswith(below):
            assert path not in blobs, f"{name!r} and {blobs[path]!r} are the same file"
            blobs[path] = name
    files = {os.fsencode(path).lstrip(b"/"): path for path in regular_files(root)}

    assert sorted(files.keys() - blobs.keys()) == [], "files without a blob"
    assert sorted(blobs.keys() - files.keys()) == [], "blobs without a file"
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        pairs = ((container, blobs[key], path) for key, path in files.items())
        different = [name for name in pool.map(_difference, pairs) if name is not None]
    assert different == [], "blobs with another content than their file"


def blob_content(container: ContainerClient, path: Path) -> bytes:
    """The content of the blob of the file `path`, whose name needs no escapes."""
    return container.download_blob(str(path).lstrip("/")).readall()


def _path_of(name: str) -> bytes:
    return _ESCAPE.sub(lambda match: bytes.fromhex(match[1].decode()), name.encode())


def _difference(pair: tuple[ContainerClient, str, Path]) -> str | None:
    container, name, path = pair
    with path.open("rb") as file:
        same = all(chunk == file.read(len(chunk)) for chunk in container.download_blob(name).chunks())
        return None if same and not file.read(1) else name
