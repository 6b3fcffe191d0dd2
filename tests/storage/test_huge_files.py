"""Files that need blocks larger than others, and files that need too large ones."""

import asyncio
import os
import tempfile
import tracemalloc
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sitebackup.blobs.blocks import BLOCK, MAX_BLOCK, MAX_BLOCKS
from sitebackup.engine.engine import MEMORY
from sitebackup.errors import StorageUnavailableError
from sitebackup.tally import Tally
from tests.storage.conftest import NewEngine
from tests.support.memory import MemoryContainer
from tests.support.tasks import save, saved

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


def sparse(folder: Path, size: int) -> Path:
    """Make a file of `size` bytes, which takes no room."""
    path = folder / "file"
    path.touch()
    os.truncate(path, size)
    return path


@pytest.mark.parametrize("size", [MAX_BLOCKS * MAX_BLOCK + 1, 100 * 2**40])
async def test_a_file_that_needs_too_large_blocks_fails_by_itself_before_it_is_read(
    new_engine: NewEngine, folder: Path, size: int
) -> None:
    path = sparse(folder, size)
    (folder / "other").write_bytes(b"other")
    engine = new_engine(MemoryContainer())
    with traced() as peak:
        entry = (await asyncio.wait_for(save(engine, path), 5)).entry
    assert entry.outcome == "failed"
    assert entry.reason == "has more than 3,355,443,200,000 bytes, the most that can be backed up"
    assert peak() < MIB
    await saved(engine, folder / "other")


@pytest.mark.parametrize(
    ("block", "at_once"), [(BLOCK, 6), (BLOCK + 1, 6), (17 * MIB, 3), (33 * MIB, 1), (MAX_BLOCK, 1)]
)
async def test_whatever_size_its_blocks_have_a_file_takes_no_more_memory_than_the_process_allows(
    new_engine: NewEngine, folder: Path, block: int, at_once: int
) -> None:
    path = sparse(folder, MAX_BLOCKS * block)
    container = Gathers(at_once)
    engine = new_engine(container)
    with traced() as peak, pytest.raises(StorageUnavailableError):
        await asyncio.wait_for(save(engine, path), 60)
    assert container.sizes == {block}
    assert container.most == at_once * block <= MEMORY
    assert peak() < MEMORY + 16 * MIB  # the names of 50,000 blocks are some of it


async def test_a_large_file_that_was_touched_is_hashed_in_little_memory_and_not_sent(
    new_engine: NewEngine, folder: Path
) -> None:
    path = sparse(folder, 20 * BLOCK)
    container = MemoryContainer()
    engine = new_engine(container)
    base = await saved(engine, path, run="first")
    os.utime(path)
    container.stage = container.put = container.commit = None  # pyright: ignore[reportAttributeAccessIssue]
    with traced() as peak:
        outcome = await save(engine, path, base, "second")
    assert outcome.tally == Tally(files=1, bytes=20 * BLOCK, changed=1)
    assert outcome.entry.since == "first"
    assert outcome.entry.etag != base.etag
    assert peak() < 4 * MIB


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
