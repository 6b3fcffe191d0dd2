"""A tree with every kind of entry and of name, declared as data, with times and modes that no default has."""

import os
from pathlib import Path

from tests.e2e.support.trees import HardLink, Link, Size, Sparse, Special, Tree, make_tree, saved_entries

CONTENT_TYPES = {
    "index.html": "text/html",
    "style.css": "text/css",
    "photo.JPG": "image/jpeg",
    "archive.tar.gz": "application/gzip",
    "no extension": "application/octet-stream",
    "data.unheard-of": "application/octet-stream",
}
KINDS: Tree = {
    "regular": b"content",
    "empty": b"",
    "blocks.bin": Size(8 * 1024 * 1024 + 1),
    "sparse": Sparse(20_000_000),
    "hard link": {"one": b"two names", "other": HardLink("one")},
    "empty directories": {"a": {"b": {"c": {}}, "d": {}}, "e": {}},
    "links": {
        "to a file": Link("../regular"),
        "to a directory": Link("../names"),
        "dangling": Link("nowhere"),
        "loop": Link("loop"),
        "there": Link("back"),
        "back": Link("there"),
        "to the parent": Link(".."),
        "out of the tree": Link("/etc/passwd"),
        "target that is not text": Link("\udcff\n"),
    },
    "special": {"fifo": Special.FIFO, "socket": Special.SOCKET, "device": Special.DEVICE},
}
NAMES = (
    " spaces  inside and around ",
    "emoji 🎉 and 日本語",
    "not UTF-8 \udcff\udc80",
    "half of a character \udce2\udc82",
    "tab\tnewline\nreturn\rbell\x07delete\x7f",
    "C1 \x85\x9f",
    "not in XML \ufffe\uffff",
    "back\\slash",
    "back%5Cslash",
    "100%",
    "%41",
    "A",
    "a",
    "dots...",
    "...",
    "..data",
    ".hidden",
    "-rf",
    "?query#fragment&a=b;c",
    "'quotes\"<tag>",
    "e\u0301 and \xe9",
    "x" * 255,
    "ü" * 127 + "x",
)
TREE: Tree = {
    **KINDS,
    "types": dict.fromkeys(CONTENT_TYPES, b"x"),
    "names": {name: name.encode(errors="surrogateescape") for name in NAMES},
    "names of directories": {name: {"f": b"1"} for name in NAMES},
    "names of empty directories": {name: {} for name in NAMES},
}
TIMES_NS = (0, 1, 999_999_999_123_456_789, -1_500_000_000, 4_300_000_000_000_000_001)
MODES = (0o600, 0o644, 0o4755, 0o2750, 0o444)


def make_faithful_tree(root: Path) -> Path:
    """Create `root` with all of it; returns `root`."""
    make_tree(root, TREE)
    for number, path in enumerate(saved_entries(root)):
        if not path.is_symlink():
            path.chmod(MODES[number % len(MODES)] | (0o700 if path.is_dir() else 0))
        time = TIMES_NS[number % len(TIMES_NS)]
        os.utime(path, ns=(time, time), follow_symlinks=False)
    return root
