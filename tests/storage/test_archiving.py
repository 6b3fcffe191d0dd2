"""What is overwritten or removed in the container of backups is in the history before."""

import hashlib
import os
import uuid
from collections.abc import Sequence
from pathlib import Path

import pytest
from msgspec.structs import replace

from localstack.azurite import Azurite
from sitebackup.activities.copier import SINGLE_PUT
from sitebackup.blobs.account import Storage, connect
from sitebackup.blobs.container import ABSENT, Blob, Condition, Container, Properties
from sitebackup.engine.engine import Engine
from sitebackup.errors import BlobRefusedError, StorageUnavailableError
from sitebackup.records.entries import Content, Entry
from sitebackup.tally import Tally
from tests.e2e.support.proxy import Request, Trouble, storage_proxy
from tests.storage.conftest import NewEngine
from tests.support.memory import MemoryContainer
from tests.support.tasks import remove, save, saved

SIZES = pytest.mark.parametrize("size", [3, SINGLE_PUT + 3])


@pytest.fixture(params=["memory", "azurite"])
def stores(request: pytest.FixtureRequest) -> tuple[Container, Container]:
    """A container of backups and one of the history, of each kind."""
    if request.param == "memory":
        return MemoryContainer(), MemoryContainer()
    storage: Storage = request.getfixturevalue("storage")
    return storage.container(f"backups-{uuid.uuid4().hex}"), storage.container(f"history-{uuid.uuid4().hex}")


@pytest.fixture
def backups(stores: tuple[Container, Container]) -> Container:
    return stores[0]


@pytest.fixture
def history(stores: tuple[Container, Container]) -> Container:
    return stores[1]


@pytest.fixture
def engine(new_engine: NewEngine, backups: Container, history: Container) -> Engine:
    return new_engine(backups, history)


def blob(path: Path) -> str:
    return str(path)[1:]


def md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


async def contents(container: Container) -> dict[str, bytes]:
    """What is in a container, by name."""
    return {found.name: await container.get(found.name) async for found in container.list("")}


async def versions(history: Container, path: Path) -> set[bytes]:
    """What the history has of a file: each under its MD5."""
    found = await contents(history)
    assert set(found) == {f"{blob(path)}/{md5(data)}" for data in found.values()}
    return set(found.values())


@SIZES
async def test_changed_content_is_archived_and_then_overwritten(
    engine: Engine, backups: Container, history: Container, tmp_path: Path, size: int
) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"1" * size)
    base = await saved(engine, path, run="first")
    path.write_bytes(b"2" * (size + 1))
    outcome = await save(engine, path, base, "second")
    assert outcome.tally == Tally(files=1, bytes=size + 1, changed=1, uploaded=size + 1)
    assert outcome.entry.since == "second"
    assert await contents(backups) == {blob(path): b"2" * (size + 1)}
    assert await versions(history, path) == {b"1" * size}


@SIZES
async def test_content_that_comes_back_is_in_the_history_once(
    engine: Engine, backups: Container, history: Container, tmp_path: Path, size: int
) -> None:
    path = tmp_path / "f"
    base: Entry | None = None
    for letter in (b"a", b"b", b"a", b"b"):
        path.write_bytes(letter * size)
        base = await saved(engine, path, base)
    assert await contents(backups) == {blob(path): b"b" * size}
    assert await versions(history, path) == {b"a" * size, b"b" * size}


@SIZES
async def test_other_attributes_beside_the_same_content_are_written_and_nothing_is_archived_or_sent(
    engine: Engine, backups: Container, history: Container, tmp_path: Path, size: int
) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"1" * size)
    base = await saved(engine, path, run="first")
    path.chmod(0o600)
    os.utime(path, ns=(1, 1))
    outcome = await save(engine, path, base, "second")
    found = await backups.find(blob(path))
    assert found is not None
    assert outcome.tally == Tally(files=1, bytes=size, changed=1)
    assert (outcome.entry.since, outcome.entry.etag) == ("first", found.etag)
    assert (found.metadata or {})["mode"] == "100600"
    assert (found.metadata or {})["mtime"] == "1970-01-01T00:00:00.000000001Z"
    assert await contents(history) == {}
    path.write_bytes(b"2" * size)
    await saved(engine, path, outcome.entry)
    assert await versions(history, path) == {b"1" * size}


@SIZES
async def test_a_link_in_the_place_of_a_file_and_the_other_way_around_archives_what_was_there(
    engine: Engine, backups: Container, history: Container, tmp_path: Path, size: int
) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"1" * size)
    base = await saved(engine, path)
    path.unlink()
    path.symlink_to("target")
    base = await saved(engine, path, base)
    assert base.kind == "link"
    path.unlink()
    path.write_bytes(b"target")  # what the link had as its content
    outcome = await save(engine, path, base)
    found = await backups.find(blob(path))
    assert outcome.tally == Tally(files=1, bytes=6, changed=1)
    assert found is not None
    assert "is_symlink" not in (found.metadata or {})
    assert await versions(history, path) == {b"1" * size}


class WorkerEndedError(BaseException):
    """Stands for the end of the process."""


@SIZES
async def test_a_worker_that_ends_between_archiving_and_writing_leaves_both_to_be_done_again(
    new_engine: NewEngine, tmp_path: Path, size: int
) -> None:
    class Fragile(MemoryContainer):
        """Ends the process before it overwrites anything, once."""

        has_ended = False

        async def put(
            self, name: str, data: bytes, properties: Properties, condition: Condition | None = None
        ) -> str:
            self._end(condition)
            return await super().put(name, data, properties, condition)

        async def commit(
            self,
            name: str,
            block_ids: Sequence[str],
            properties: Properties,
            condition: Condition | None = None,
        ) -> str:
            self._end(condition)
            return await super().commit(name, block_ids, properties, condition)

        def _end(self, condition: Condition | None) -> None:
            if condition != ABSENT and not self.has_ended:
                self.has_ended = True
                raise WorkerEndedError

    backups, history = Fragile(), MemoryContainer()
    path = tmp_path / "f"
    path.write_bytes(b"1" * size)
    base = await saved(new_engine(backups, history), path)
    path.write_bytes(b"2" * size)
    with pytest.raises((WorkerEndedError, BaseExceptionGroup)):
        await saved(new_engine(backups, history), path, base)
    assert await contents(backups) == {blob(path): b"1" * size}
    assert await versions(history, path) == {b"1" * size}
    await saved(new_engine(backups, history), path, base)
    assert await contents(backups) == {blob(path): b"2" * size}
    assert await versions(history, path) == {b"1" * size}


async def test_a_run_that_was_killed_after_it_wrote_is_met_and_what_it_wrote_is_archived(
    engine: Engine, backups: Container, history: Container, tmp_path: Path
) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"1")
    base = await saved(engine, path, run="first")
    path.write_bytes(b"2")
    await saved(engine, path, base, "killed")
    path.write_bytes(b"3")
    outcome = await save(engine, path, base, "third")
    assert outcome.tally == Tally(files=1, bytes=1, changed=1, uploaded=1)
    assert await contents(backups) == {blob(path): b"3"}
    assert await versions(history, path) == {b"1", b"2"}


@SIZES
async def test_what_an_earlier_attempt_has_written_is_not_written_again(
    engine: Engine, backups: Container, history: Container, tmp_path: Path, size: int
) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"1" * size)
    base = await saved(engine, path, run="first")
    path.write_bytes(b"2" * size)
    first = await save(engine, path, base, "second")
    again = await save(engine, path, base, "second")
    assert again.entry == replace(first.entry, recheck=again.entry.recheck)
    assert again.tally.changed == 1
    assert await contents(backups) == {blob(path): b"2" * size}
    assert await versions(history, path) == {b"1" * size}


async def test_a_file_that_failed_says_what_was_saved_of_it_and_is_compared_with_that_later(
    engine: Engine, history: Container, tmp_path: Path
) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"content")
    base = await saved(engine, path, run="first")
    path.rename(tmp_path / "aside")
    path.symlink_to("elsewhere")
    failed = (await save(engine, path, base, "second", kind="file")).entry
    previous = Content(7, md5(b"content"), base.etag or "", "first")
    assert (failed.outcome, failed.reason) == ("failed", "is a symbolic link now")
    assert failed.previous == previous
    again = (await save(engine, path, failed, "third", kind="file")).entry
    assert again.previous == previous
    path.unlink()
    vanished = (await save(engine, path, again, "fourth", kind="file", size=7)).entry
    assert (vanished.outcome, vanished.previous) == ("vanished", previous)
    (tmp_path / "aside").rename(path)
    outcome = await save(engine, path, again, "fifth")
    assert outcome.entry.since == "first"
    assert outcome.tally.uploaded == 0
    assert await contents(history) == {}


async def test_a_strangers_blob_is_archived_under_its_etag_if_it_has_no_md5_and_then_overwritten(
    engine: Engine, backups: Container, history: Container, tmp_path: Path
) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"ours")
    await backups.stage(blob(path), "block-00000", b"a stranger's", hashlib.md5(b"a stranger's").digest())  # noqa: S324
    etag = await backups.commit(blob(path), ["block-00000"], Properties())
    outcome = await save(engine, path)
    assert outcome.tally == Tally(files=1, bytes=4, new=1, uploaded=4)
    assert await contents(backups) == {blob(path): b"ours"}
    assert await contents(history) == {f"{blob(path)}/{etag.strip('"')}": b"a stranger's"}


async def test_something_else_in_the_place_of_a_version_lets_nothing_be_overwritten_or_removed(
    engine: Engine, backups: Container, history: Container, tmp_path: Path
) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"precious")
    base = await saved(engine, path)
    await history.put(f"{blob(path)}/{md5(b'precious')}", b"damaged", Properties())
    path.write_bytes(b"new")
    changed = (await save(engine, path, base)).entry
    path.unlink()
    gone = (await remove(engine, path, base)).entry
    assert {changed.outcome, gone.outcome} == {"failed"}
    assert changed.previous == gone.previous == base.content
    assert await contents(backups) == {blob(path): b"precious"}


async def test_an_immutable_history_that_refuses_before_it_says_what_is_there_is_no_failure(
    new_engine: NewEngine, tmp_path: Path
) -> None:
    class Immutable(MemoryContainer):
        async def copy_from(
            self, source: MemoryContainer, source_name: str, etag: str, name: str
        ) -> Blob | None:
            if name in self.blobs:
                raise BlobRefusedError("storage refuses the blob (BlobImmutableDueToPolicy)")
            return await super().copy_from(source, source_name, etag, name)

    backups, history = MemoryContainer(), Immutable()
    engine = new_engine(backups, history)
    path = tmp_path / "f"
    base: Entry | None = None
    for data in (b"1", b"2", b"1", b"2"):
        path.write_bytes(data)
        base = await saved(engine, path, base)
    assert await versions(history, path) == {b"1", b"2"}


async def test_what_is_gone_is_archived_and_removed(
    engine: Engine, backups: Container, history: Container, tmp_path: Path
) -> None:
    file, link, folder = tmp_path / "f", tmp_path / "l", tmp_path / "d"
    file.write_bytes(b"1")
    link.symlink_to("f")
    folder.mkdir()
    bases = {path: await saved(engine, path) for path in (file, link, folder)}
    file.unlink()
    link.unlink()
    folder.rmdir()
    for path, base in bases.items():
        outcome = await remove(engine, path, base)
        assert (outcome.entry.outcome, outcome.tally) == ("gone", Tally(gone=1))
        assert await remove(engine, path, base) == outcome, "an answer was lost, and it is asked for again"
    assert await contents(backups) == {}
    assert sorted((await contents(history)).values()) == [b"", b"1", b"f"]


async def test_what_is_there_again_is_kept(
    engine: Engine, backups: Container, history: Container, tmp_path: Path
) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"1")
    base = await saved(engine, path)
    outcome = await remove(engine, path, base)
    assert outcome.tally == Tally(kept=1)
    assert (outcome.entry.outcome, outcome.entry.reason) == ("kept", "is there again")
    assert outcome.entry.previous == base.content
    assert await contents(backups) == {blob(path): b"1"}
    assert await contents(history) == {}


@pytest.mark.parametrize("now", [b"2", b"1"])
async def test_what_another_run_has_put_in_the_place_of_what_is_gone_stays(
    engine: Engine, backups: Container, tmp_path: Path, now: bytes
) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"1")
    base = await saved(engine, path, run="first")
    path.write_bytes(now)
    os.utime(path, ns=(1, 1))
    await saved(engine, path, run="another")
    path.unlink()
    assert (await remove(engine, path, base)).tally == Tally(gone=1)
    assert await contents(backups) == {blob(path): now}


@pytest.mark.parametrize("first", ["file", "directory"])
async def test_a_file_and_an_empty_directory_that_take_each_others_place_share_a_blob_and_lose_nothing(
    engine: Engine, backups: Container, tmp_path: Path, first: str
) -> None:
    path = tmp_path / "x"

    def make(kind: str) -> None:
        path.touch() if kind == "file" else path.mkdir()

    make(first)
    base = await saved(engine, path)
    path.unlink() if first == "file" else path.rmdir()
    make("directory" if first == "file" else "file")
    entry = await saved(engine, path)
    assert entry.path != base.path
    assert (await remove(engine, path, base)).tally == Tally(gone=1)
    found = await backups.find(blob(path))
    assert found is not None
    assert found.etag == entry.etag


async def test_a_blob_that_storage_does_not_let_go_has_failed_and_is_still_to_be_found(
    new_engine: NewEngine, tmp_path: Path
) -> None:
    class Leased(MemoryContainer):
        async def delete(self, name: str, condition: Condition | None = None) -> bool:
            raise BlobRefusedError("storage refuses the blob (LeaseIdMissing)")

    backups = Leased()
    engine = new_engine(backups)
    path = tmp_path / "f"
    path.write_bytes(b"1")
    base = await saved(engine, path)
    path.unlink()
    outcome = await remove(engine, path, base)
    assert outcome.tally == Tally(failed=1)
    assert "LeaseIdMissing" in (outcome.entry.reason or "")
    assert outcome.entry.previous == base.content


async def test_a_disk_that_does_not_say_whether_something_is_there_lets_nothing_be_removed(
    engine: Engine, backups: Container, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"1")
    base = await saved(engine, path)
    path.unlink()
    for code, text in ((5, "Input/output error"), (13, "Permission denied")):

        def lstat(_: str, code: int = code, text: str = text) -> os.stat_result:
            raise OSError(code, text)

        with monkeypatch.context() as patch:
            patch.setattr(os, "lstat", lstat)
            if code == 5:
                with pytest.raises(Exception, match=text):
                    await remove(engine, path, base)
            else:
                assert (await remove(engine, path, base)).tally == Tally(failed=1)
    assert await contents(backups) == {blob(path): b"1"}


@pytest.mark.parametrize("lost", ["copy", "put", "metadata", "delete"])
async def test_whichever_answer_is_lost_the_work_is_done_once(
    new_engine: NewEngine, azurite: Azurite, tmp_path: Path, lost: str
) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"1")
    counts: dict[str, int] = {}

    def lose_the_first_answer(request: Request) -> Trouble | None:
        part = (
            "metadata"
            if "comp=metadata" in request.query
            else "copy"
            if request.method == "PUT" and "/history-" in request.path
            else request.method.lower()
        )
        counts[part] = counts.get(part, 0) + 1
        return Trouble.ANSWER_RESET if (part, counts[part]) == (lost, 1) else None

    with storage_proxy(azurite) as proxy:
        storage = connect({"AzureWebJobsStorage": proxy.connection_string})
        backups = storage.container(f"backups-{uuid.uuid4().hex}")
        history = storage.container(f"history-{uuid.uuid4().hex}")
        await history.put("warm", b"", Properties())
        engine = new_engine(backups, history)
        try:
            base = await saved(engine, path)
            os.utime(path, ns=(1, 1))
            with proxy.rule(blob(path), lose_the_first_answer):
                base = await saved(engine, path, base)
                path.write_bytes(b"2")
                base = await saved(engine, path, base)
                assert await contents(backups) == {blob(path): b"2"}
                path.unlink()
                assert (await remove(engine, path, base)).tally == Tally(gone=1)
            kept = await contents(history)
            left = await contents(backups)
        finally:
            await storage.close()
    assert left == {}
    assert kept == {"warm": b"", **{f"{blob(path)}/{md5(data)}": data for data in (b"1", b"2")}}
    once = {"metadata": 1, "copy": 2, "put": 1, "delete": 1}
    assert {part: counts[part] for part in once} == {**once, lost: once[lost] + 1}


async def test_storage_that_does_not_archive_lets_nothing_be_overwritten(
    new_engine: NewEngine, tmp_path: Path
) -> None:
    class Down(MemoryContainer):
        async def copy_from(
            self, source: MemoryContainer, source_name: str, etag: str, name: str
        ) -> Blob | None:
            raise StorageUnavailableError("down")

    backups = MemoryContainer()
    engine = new_engine(backups, Down())
    path = tmp_path / "f"
    path.write_bytes(b"1")
    base = await saved(engine, path)
    path.write_bytes(b"2")
    with pytest.raises(StorageUnavailableError):
        await save(engine, path, base)
    assert await contents(backups) == {blob(path): b"1"}
