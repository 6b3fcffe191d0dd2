"""Small trees of any shape, with names whose order is easy to get wrong."""

import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import strategies as st

type Tree = dict[str, "Tree | str"]
"""Directories as dictionaries; "file" and "link" are what they say."""

NAMES = st.text("ab.-0 é\U0001f600\udcff\x01", min_size=1, max_size=2).filter(
    lambda name: name not in {".", ".."}
)
LEAVES: st.SearchStrategy[Tree | str] = st.sampled_from(["file", "link"])
TREES = st.dictionaries(
    NAMES,
    st.recursive(LEAVES, lambda below: st.dictionaries(NAMES, below, max_size=5), max_leaves=12),
    max_size=6,
)


@contextmanager
def made(tree: Tree) -> Generator[Path]:
    """Make a tree while the block runs."""
    with TemporaryDirectory() as root:
        make(Path(root), tree)
        yield Path(root)


def make(directory: Path, tree: Tree) -> None:
    for name, below in tree.items():
        path = directory / name
        if isinstance(below, dict):
            path.mkdir()
            make(path, below)
        elif below == "link":
            path.symlink_to("..")
        else:
            path.touch()


def keys_of(root: Path) -> list[str]:
    """Return the keys of what is under `root`, as Python's own walk finds it, in order."""
    keys = [""]
    for directory, below, files in os.walk(root):
        for name in [*below, *files]:
            path = Path(directory, name)
            is_directory = path.is_dir() and not path.is_symlink()
            keys.append(f"{path.relative_to(root)}{'/' * is_directory}")
    return sorted(keys)
