"""Files that need blocks larger than others, and files that need too large ones."""

import asyncio
import os
import tempfile
import tracemalloc
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from sitebackup.activities.copier import Copied, Copier
from sitebackup.blobs.blocks import BLOCK, MAX_BLOCK, MAX_BLOCKS
from sitebackup.engine.engine import MEMORY, Engine
from sitebackup.errors import SourceError, StorageUnavailableError
from sitebackup.settings import Settings
from sitebackup.tree.place import Place
from sitebackup.tree.walking import Item
from tests.support.memory import MemoryContainer

MIB = 1024 * 1024


class Gathers(MemoryContainer):
    """A container that stores no block before it has `at_once` of them, and is away after the next round."""

    def __init__(self, at_once: int) -> None:
        super().__init__()
        self._gathered = asyncio.Barrier(at_once)
        self._left = 2 * at_once
        self._in_flight = 0
        self.most = 0
        self.sizes: set[int] = set()

    async def stage(self, name: str, block_id: str, data: bytes, md5: bytes) -> None:
        self._in_flight += len(data)
        self.most = max(self.most, self._in_flight)
        self.sizes.add(len(data))
        await self._gathered.wait()
        await asyncio.sleep(
            0.05
        )  # as long as no block takes, and the threads let go of what they have hashed
        self._in_flight -= len(data)
        self._left -= 1
        if self._left == 0:
            raise StorageUnavailableError("away")


@pytest.fixture
def folder() -> Generator[Path]:
    """A directory in memory: not every disk takes a file of 100 TiB, not even an empty one."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as path:
        yield Path(path)


@asynccontextmanager
async def a_copier(container: MemoryContainer, place: Place) -> AsyncGenerator[Copier]:
    engine = Engine(
        Settings((), concurrency=8, list_budget=1),
        container,
        MemoryContainer(),
        MemoryContainer(),
        MemoryContainer(),
    )
    try:
        yield Copier(engine, place)
    finally:
        engine.close()


def sparse(folder: Path, size: int) -> tuple[Place, Item]:
    """Make a file of `size` bytes, which takes no room."""
    (folder / "file").touch()
    os.truncate(folder / "file", size)
    return Place(str(folder), str(folder)), Item("file", "file", size)


@pytest.mark.parametrize("size", [MAX_BLOCKS * MAX_BLOCK + 1, 100 * 2**40])
async def test_a_file_that_needs_too_large_blocks_fails_by_itself_before_it_is_read(
    folder: Path, size: int
) -> None:
    place, item = sparse(folder, size)
    (folder / "other").write_bytes(b"other")
    async with a_copier(MemoryContainer(), place) as copier:
        with traced() as peak:
            [failed] = await asyncio.wait_for(copier.copy([item]), 5)
        [other] = await copier.copy([Item("other", "file", 5)])
    assert isinstance(failed, SourceError)
    assert str(failed) == "has more than 3,355,443,200,000 bytes, the most that can be backed up"
    assert peak() < MIB
    assert isinstance(other, Copied)


@pytest.mark.parametrize(
    ("block", "at_once"), [(BLOCK, 6), (BLOCK + 1, 6), (17 * MIB, 3), (33 * MIB, 1), (MAX_BLOCK, 1)]
)
async def test_whatever_size_its_blocks_have_a_file_takes_no_more_memory_than_the_process_allows(
    folder: Path, block: int, at_once: int
) -> None:
    place, item = sparse(folder, MAX_BLOCKS * block)
    container = Gathers(at_once)
    async with a_copier(container, place) as copier:
        with traced() as peak:
            [end] = await asyncio.wait_for(copier.copy([item]), 60)
    assert isinstance(end, StorageUnavailableError)
    assert container.sizes == {block}
    assert container.most == at_once * block <= MEMORY
    assert peak() < MEMORY + 16 * MIB  # the names of 50,000 blocks are some of it


@contextmanager
def traced() -> Generator[Callable[[], int]]:
    """Gives, when the block has ended, the most memory that Python had at once in it, in bytes."""
    peaks: list[int] = []
    tracemalloc.start()
    try:
        yield peaks.pop
    finally:
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
