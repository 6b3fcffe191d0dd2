"""One file -> one blob: content, MD5, and files that change, vanish or turn into something else."""

import asyncio
import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from azure.storage.blob import BlobClient

from localstack.azurite import Azurite
from sitebackup.activities.copier import SINGLE_PUT, SLACK, Copier
from sitebackup.blobs.account import Storage
from sitebackup.blobs.blocks import BLOCK
from sitebackup.blobs.container import Condition, Container, Properties
from sitebackup.concurrently import all_of
from sitebackup.engine.engine import Engine
from sitebackup.errors import BlobRefusedError, StorageUnavailableError
from sitebackup.records.entries import Entry
from sitebackup.records.outcomes import Outcome
from sitebackup.records.plans import Task
from sitebackup.tally import Tally
from sitebackup.tree.attributes import Attributes
from sitebackup.tree.place import Place
from sitebackup.tree.reading import read
from tests.storage.conftest import NewEngine
from tests.support.memory import MemoryContainer
from tests.support.tasks import place_of, save, saved

MEMORY = 4 * BLOCK


@pytest.fixture
def engine(container: Container, new_engine: NewEngine) -> Engine:
    return new_engine(container, memory=MEMORY)


def noise(size: int) -> bytes:
    return os.urandom(min(size, 65_536)) * (size // 65_536 + 1)


def name_of(path: Path) -> str:
    return str(path)[1:]


@pytest.mark.parametrize("size", [0, 1, SINGLE_PUT, SINGLE_PUT + 1, 3 * BLOCK, 5 * BLOCK + 17])
async def test_a_file_of_any_size_arrives_whole(
    engine: Engine, container: Container, tmp_path: Path, size: int
) -> None:
    path = tmp_path / "file"
    data = noise(size)[:size]
    path.write_bytes(data)
    entry = await saved(engine, path)
    assert await container.get(name_of(path)) == data
    assert entry.size == size
    assert entry.md5 == hashlib.md5(data, usedforsecurity=False).hexdigest()
    status = path.stat()
    assert (entry.mtime or "").endswith(f".{status.st_mtime_ns % 10**9:09d}Z")
    assert (entry.ctime or "").endswith(f".{status.st_ctime_ns % 10**9:09d}Z")
    assert (entry.inode, entry.mode) == (status.st_ino, f"{status.st_mode:o}")
    assert (entry.uid, entry.gid) == (status.st_uid, status.st_gid)


@pytest.mark.parametrize("size", [5, SINGLE_PUT + 5])
async def test_the_blob_carries_the_md5_of_the_file(
    storage: Storage, azurite: Azurite, new_engine: NewEngine, tmp_path: Path, size: int
) -> None:
    path = tmp_path / "file"
    path.write_bytes(noise(size)[:size])
    await saved(new_engine(storage.container("md5")), path)
    connection = azurite.connection_string
    with BlobClient.from_connection_string(connection, "md5", name_of(path)) as blob:
        expected = hashlib.md5(path.read_bytes(), usedforsecurity=False).digest()
        assert bytes(blob.get_blob_properties().content_settings.content_md5 or b"") == expected


@pytest.mark.parametrize(("listed", "now"), [(1, SINGLE_PUT + 1), (SINGLE_PUT + 1, 1)])
async def test_a_file_of_another_size_than_listed_is_copied_as_it_is_now(
    engine: Engine, container: Container, tmp_path: Path, listed: int, now: int
) -> None:
    path = tmp_path / "file"
    path.write_bytes(noise(now)[:now])
    assert (await saved(engine, path, size=listed)).size == now
    assert await container.get(name_of(path)) == path.read_bytes()


async def test_two_copies_of_a_large_file_at_once_leave_one_of_its_versions_whole(
    engine: Engine, container: Container, tmp_path: Path
) -> None:
    path = tmp_path / "file"
    data = noise(4 * BLOCK)
    path.write_bytes(data)
    done = await asyncio.gather(*(saved(engine, path) for _ in range(3)), return_exceptions=True)
    assert any(not isinstance(result, BaseException) for result in done)
    assert all(isinstance(result, StorageUnavailableError | Entry) for result in done)
    assert await container.get(name_of(path)) == data


class TouchedWhileRead(MemoryContainer):
    """A container whose blocks take so long to store that something happens to the file meanwhile."""

    def __init__(self, meanwhile: Callable[[], object]) -> None:
        super().__init__()
        self._meanwhile = meanwhile

    async def stage(self, name: str, block_id: str, data: bytes, md5: bytes) -> None:
        self._meanwhile()
        await super().stage(name, block_id, data, md5)


async def test_a_file_that_changes_once_while_it_is_read_is_read_again(
    new_engine: NewEngine, tmp_path: Path
) -> None:
    path = tmp_path / "file"
    path.write_bytes(noise(12 * BLOCK))
    changes = iter([noise(12 * BLOCK)])

    def change_once() -> None:
        for data in changes:
            path.write_bytes(data)

    container = TouchedWhileRead(change_once)
    await saved(new_engine(container, memory=BLOCK), path)
    assert await container.get(name_of(path)) == path.read_bytes()


async def test_a_file_that_is_cut_off_while_it_is_read_is_read_again_and_no_empty_block_is_sent(
    new_engine: NewEngine, tmp_path: Path
) -> None:
    path = tmp_path / "file"
    path.write_bytes(noise(12 * BLOCK))

    class RefusesEmptyBlocks(TouchedWhileRead):
        async def stage(self, name: str, block_id: str, data: bytes, md5: bytes) -> None:
            if not data:  # https://learn.microsoft.com/rest/api/storageservices/put-block
                raise BlobRefusedError("storage refuses the request (InvalidHeaderValue)")
            await super().stage(name, block_id, data, md5)

    container = RefusesEmptyBlocks(lambda: os.truncate(path, 100))
    assert (await saved(new_engine(container, memory=BLOCK), path)).size == 100
    assert await container.get(name_of(path)) == path.read_bytes()


async def test_a_write_whose_time_is_set_back_is_not_saved_torn(
    new_engine: NewEngine, tmp_path: Path
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"1" * 4 * BLOCK)
    before = path.stat()
    changes = iter([b"2" * 4 * BLOCK])

    def change_once() -> None:
        for data in changes:
            while path.stat().st_ctime_ns == before.st_ctime_ns:  # the clock of a file system has its ticks
                path.write_bytes(data)
                os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))

    container = TouchedWhileRead(change_once)
    entry = await saved(new_engine(container, memory=BLOCK), path)
    assert path.stat().st_mtime_ns == before.st_mtime_ns
    assert entry.mtime == Attributes.of(before).mtime
    assert entry.ctime == Attributes.of(path.stat()).ctime
    assert set(await container.get(name_of(path))) == set(b"2")


async def test_a_file_that_never_stops_changing_fails_and_leaves_no_blob(
    new_engine: NewEngine, tmp_path: Path
) -> None:
    path = tmp_path / "file"
    path.write_bytes(noise(4 * BLOCK))

    def grow() -> None:
        with path.open("ab") as file:
            file.write(b"more")

    container = TouchedWhileRead(grow)
    entry = (await save(new_engine(container, memory=BLOCK), path)).entry
    assert (entry.outcome, entry.reason) == ("failed", "changed while being read, 3 times")
    assert container.blobs == {}


def test_a_modification_time_that_no_calendar_has_is_the_epochs() -> None:
    for seconds in (-(2**40), 2**40, 2**60):
        assert Attributes(seconds * 10**9, 0, 0, 0, 0, 0, 0).mtime == "1970-01-01T00:00:00.000000000Z"


def test_a_file_that_has_more_content_than_its_size_says_is_not_saved_empty() -> None:
    assert Path("/proc/version").stat().st_size == 0
    assert read(Place("/proc", "/proc"), "version", "file", SLACK) is None


async def test_an_empty_directory_that_has_become_a_link_has_failed_and_not_vanished(
    engine: Engine, tmp_path: Path
) -> None:
    (tmp_path / "current").symlink_to("release")
    assert (await save(engine, tmp_path / "current", kind="directory")).entry.outcome == "failed"


@pytest.mark.parametrize("size", [1, SINGLE_PUT + 1])
async def test_a_file_that_is_gone_has_vanished(engine: Engine, tmp_path: Path, size: int) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "gone", tmp_path / "file" / "gone"):
        outcome = await save(engine, path, kind="file", size=size)
        assert outcome == Outcome(
            Entry(path.name, "file", outcome="vanished", reason="vanished since it was listed"),
            Tally(vanished=1),
        )


async def test_what_took_a_files_place_is_not_opened_as_a_file(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc/passwd")
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "directory").mkdir()
    for name, reason in (("link", "symbolic link"), ("fifo", "fifo"), ("directory", "directory")):
        entry = (await asyncio.wait_for(save(engine, tmp_path / name, kind="file", size=1), 5)).entry
        assert (entry.outcome, entry.reason) == ("failed", f"is a {reason} now")


async def test_a_name_that_storage_cannot_hold_is_the_files_own_failure(
    engine: Engine, tmp_path: Path
) -> None:
    (tmp_path / "f").touch()
    [end] = await Copier(engine, Place("/" + "long/" * 250, str(tmp_path))).save([Task("f", "file")])
    assert isinstance(end, Outcome)
    assert end.entry.outcome == "failed"
    assert "longer than 1024" in (end.entry.reason or "")


async def test_of_items_that_are_read_together_each_has_its_own_end(
    engine: Engine, container: Container, tmp_path: Path
) -> None:
    (tmp_path / "whole").write_bytes(b"whole")
    (tmp_path / "grown").write_bytes(noise(SINGLE_PUT + 1))
    (tmp_path / "link").symlink_to("whole")
    (tmp_path / "empty").mkdir()
    tasks = [
        Task("whole", "file", 5),
        Task("gone", "file", 5),
        Task("grown", "file", 5),
        Task("link", "link"),
        Task("empty/", "directory"),
        Task("link", "file", 5),
    ]

    done = await Copier(engine, place_of(tmp_path)).save(tasks)

    ends = [end.entry.reason or end.entry.size for end in done if isinstance(end, Outcome)]
    grown = (tmp_path / "grown").stat().st_size
    assert ends == [5, "vanished since it was listed", grown, 5, 0, "is a symbolic link now"]
    assert await container.get(name_of(tmp_path / "link")) == b"whole"
    assert await container.get(name_of(tmp_path / "grown")) == (tmp_path / "grown").read_bytes()


async def test_memory_is_given_back_when_storage_fails(new_engine: NewEngine, tmp_path: Path) -> None:
    class Down(MemoryContainer):
        async def put(
            self, name: str, data: bytes, properties: Properties, condition: Condition | None = None
        ) -> str:
            raise StorageUnavailableError("down")

        async def stage(self, name: str, block_id: str, data: bytes, md5: bytes) -> None:
            await asyncio.sleep(0)
            raise StorageUnavailableError("down")

    engine = new_engine(Down(), memory=MEMORY)
    path = tmp_path / "file"
    for size in (10, 20 * BLOCK):
        path.write_bytes(noise(size))
        with pytest.raises(StorageUnavailableError):
            await save(engine, path)
    assert await asyncio.wait_for(engine.memory.acquire(MEMORY), 1) == MEMORY
    await asyncio.wait_for(all_of(engine.transfers.acquire() for _ in range(8)), 1)
