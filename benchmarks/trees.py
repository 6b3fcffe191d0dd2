"""The trees that are backed up: random content, many files in few directories.

Trees of many files are kept between runs, in the system's folder for temporary files; `delete` removes them.
Trees of much content are there only while they are used.
"""

import os
import random
import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.report import say
from benchmarks.shapes import Shape

KIB = 1024
MIB = 1024 * KIB

CACHE = Path(tempfile.gettempdir()).resolve() / "site-backup-benchmarks"
"""Everything that benchmarks write to the disk."""

DIRECTORIES = 50
"""Directories of a tree, unless it is to have more."""


def many_files(count: int, least: int, most: int, directories: int = DIRECTORIES) -> Path:
    """Return a tree of `count` files, spread evenly over directories, each of `least` to `most` bytes."""
    shape = Shape(count, directories)
    tree = CACHE / f"{count}-files-of-{least}-{most}-in-{directories}"
    if not tree.exists():
        say(f"Making {count:,} files of {least} to {most} bytes ...")
        unfinished = Path(tempfile.mkdtemp(dir=_cache()))
        _write_files(unfinished, shape, least, most)
        unfinished.rename(tree)
    return tree


def change(tree: Path, files: int) -> None:
    """Give so many files of a tree new content of the same size, evenly spread over it."""
    paths = sorted(path for path in tree.glob("*/*") if path.is_file())
    for path in paths[:: max(1, len(paths) // files)][:files]:
        _write_random(path, path.stat().st_size)


@contextmanager
def temporary_files(count: int, size: int) -> Generator[Path]:
    """A tree of `count` files of `size` bytes each, deleted in the end."""
    with temporary_folder() as tree:
        for number in range(count):
            _write_random(tree / f"{number:03}.bin", size)
        yield tree


@contextmanager
def temporary_folder() -> Generator[Path]:
    """A folder, deleted in the end."""
    with tempfile.TemporaryDirectory(dir=_cache()) as folder:
        yield Path(folder)


def delete() -> None:
    """Delete what is kept."""
    shutil.rmtree(CACHE, ignore_errors=True)


def _cache() -> Path:
    CACHE.mkdir(exist_ok=True)
    return CACHE


def _write_files(tree: Path, shape: Shape, least: int, most: int) -> None:
    chance = random.Random(shape.files)  # noqa: S311 - content that does not compress, no secret
    for directory in range(shape.directories):
        os.mkdir(f"{tree}/{shape.directory(directory)}")  # noqa: PTH102 - for a million files, half a minute less than with paths
    for number in range(shape.files):
        descriptor = os.open(f"{tree}/{shape[number]}", os.O_WRONLY | os.O_CREAT, 0o644)
        if most:
            os.write(descriptor, chance.randbytes(chance.randint(least, most)))
        os.close(descriptor)


def _write_random(path: Path, size: int) -> None:
    with path.open("wb") as file:
        for begin in range(0, size, 8 * MIB):
            file.write(os.urandom(min(8 * MIB, size - begin)))
