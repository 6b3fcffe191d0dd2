"""Nothing in the container of backups is overwritten by content that is older than what is there."""

import asyncio
import os
import random
import uuid
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from localstack.azurite import Azurite
from sitebackup.activities.copier import SINGLE_PUT, Copier
from sitebackup.blobs.account import Storage, connect
from sitebackup.blobs.blocks import BLOCK
from sitebackup.blobs.container import Condition, Properties
from sitebackup.digests import md5
from sitebackup.engine.engine import Engine
from sitebackup.errors import BlobMissingError, ConditionNotMetError
from sitebackup.records.outcomes import Outcome
from sitebackup.records.plans import Task
from sitebackup.settings import Settings
from sitebackup.tree import reading
from tests.e2e.support.proxy import Request, Trouble, storage_proxy
from tests.storage.conftest import NewEngine
from tests.support.memory import MemoryContainer
from tests.support.tasks import place_of, save, saved


class Watched(MemoryContainer):
    """Counts writes. The first one waits at a gate while `is_gated`."""

    def __init__(self) -> None:
        super().__init__()
        self.writes = 0
        self.is_gated = False
        self.reached = asyncio.Event()
        self.gate = asyncio.Event()

    async def put(
        self, name: str, data: bytes, properties: Properties, condition: Condition | None = None
    ) -> str:
        await self._wait()
        return await super().put(name, data, properties, condition)

    async def commit(
        self,
        name: str,
        block_ids: Sequence[str],
        properties: Properties,
        condition: Condition | None = None,
    ) -> str:
        await self._wait()
        return await super().commit(name, block_ids, properties, condition)

    async def _wait(self) -> None:
        self.writes += 1
        if self.is_gated:
            self.is_gated = False
            self.reached.set()
            await self.gate.wait()


@pytest.fixture
def backups() -> Watched:
    return Watched()


@pytest.fixture
def engine(backups: Watched, new_engine: NewEngine) -> Engine:
    return new_engine(backups)


def blob(path: Path) -> str:
    return str(path)[1:]


@pytest.mark.parametrize("size", [10, SINGLE_PUT + 10])
@pytest.mark.parametrize("is_there", [False, True])
async def test_a_write_that_arrives_late_does_not_put_older_content_back(
    engine: Engine, backups: Watched, tmp_path: Path, size: int, is_there: bool
) -> None:
    path = tmp_path / "f"
    if is_there:
        path.write_bytes(b"0" * size)
        await saved(engine, path)
    path.write_bytes(b"1" * size)
    backups.is_gated = True
    late = asyncio.ensure_future(saved(engine, path))
    await backups.reached.wait()
    path.write_bytes(b"2" * size)
    await saved(engine, path)

    backups.gate.set()

    await late
    assert await backups.get(blob(path)) == b"2" * size


@pytest.mark.parametrize("seed", range(5))
async def test_whoever_copies_at_once_what_is_saved_in_the_end_is_what_is_on_the_disk(
    engine: Engine, backups: Watched, tmp_path: Path, seed: int
) -> None:
    dice = random.Random(seed)  # noqa: S311 - an order, no secret
    paths = [tmp_path / f"f{number}" for number in range(20)]
    for path in paths:
        path.write_bytes(b"first")

    async def run() -> None:
        for path in dice.sample(paths, len(paths)):
            await save(engine, path)
            await asyncio.sleep(dice.random() / 500)

    async def change() -> None:
        for _ in range(100):
            dice.choice(paths).write_bytes(dice.randbytes(dice.randint(1, 50)))
            await asyncio.sleep(dice.random() / 500)

    await asyncio.gather(run(), run(), change(), run())
    await run()
    assert {path: await backups.get(blob(path)) for path in paths} == {
        path: path.read_bytes() for path in paths
    }


async def test_what_is_there_already_is_not_written_again(
    engine: Engine, backups: Watched, tmp_path: Path
) -> None:
    tasks: list[Task] = []
    for number in range(100):
        (tmp_path / f"f{number}").write_bytes(b"%d" % number)
        tasks.append(Task(f"f{number}", "file", 2))
    first = await Copier(engine, place_of(tmp_path)).save(tasks)
    backups.writes = 0
    copier = Copier(engine, place_of(tmp_path))
    again = [end for task in tasks for end in await copier.save([task])]
    assert [end.entry for end in again if isinstance(end, Outcome)] == [
        end.entry for end in first if isinstance(end, Outcome)
    ]
    assert backups.writes == 1, "the first write tells that there are blobs"


async def test_content_that_was_read_before_the_blob_was_seen_is_never_written(
    engine: Engine, backups: Watched, tmp_path: Path
) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"old")
    backups.is_gated = True
    late = asyncio.ensure_future(saved(engine, path))
    await backups.reached.wait()
    await backups.put(blob(path), b"a stranger's", Properties())
    path.write_bytes(b"new")
    backups.gate.set()
    await late
    assert await backups.get(blob(path)) == b"new"


@pytest.mark.parametrize("refusal", [ConditionNotMetError("412"), BlobMissingError("404")])
async def test_a_blob_that_is_deleted_before_it_is_overwritten_is_written_anew_and_ends_nothing(
    new_engine: NewEngine, tmp_path: Path, refusal: Exception
) -> None:
    class Deleted(MemoryContainer):
        """Loses a blob just before the first write under its ETag."""

        is_over = False

        async def put(
            self, name: str, data: bytes, properties: Properties, condition: Condition | None = None
        ) -> str:
            if condition is not None and condition.etag is not None and not self.is_over:
                self.is_over = True
                del self.blobs[name]
                raise refusal
            return await super().put(name, data, properties, condition)

    path = tmp_path / "f"
    path.write_bytes(b"old")
    backups = Deleted()
    engine = new_engine(backups)
    await saved(engine, path)
    path.write_bytes(b"new")
    await saved(engine, path)
    assert backups.is_over
    assert await backups.get(blob(path)) == b"new"


async def test_other_times_beside_the_same_content_are_saved(
    engine: Engine, backups: Watched, tmp_path: Path
) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"same")
    await saved(engine, path)
    os.utime(path, ns=(1, 1))
    await saved(engine, path)
    found = await backups.find(blob(path))
    assert found is not None
    assert (found.metadata or {})["mtime"] == "1970-01-01T00:00:00.000000001Z"


@pytest.mark.parametrize("size", [10, SINGLE_PUT + BLOCK])
async def test_a_blob_that_never_stays_still_fails_its_file_and_is_left_as_it_is(
    new_engine: NewEngine, tmp_path: Path, size: int
) -> None:
    class Taken(MemoryContainer):
        """Another writer is always faster."""

        async def put(
            self, name: str, data: bytes, properties: Properties, condition: Condition | None = None
        ) -> str:
            await super().put(name, b"another's", Properties())
            return await super().put(name, data, properties, condition)

        async def commit(
            self,
            name: str,
            block_ids: Sequence[str],
            properties: Properties,
            condition: Condition | None = None,
        ) -> str:
            await super().put(name, b"another's", Properties())
            return await super().commit(name, block_ids, properties, condition)

    path = tmp_path / "f"
    path.write_bytes(bytes(size))
    backups = Taken()
    engine = new_engine(backups)
    entry = (await save(engine, path)).entry
    assert (entry.outcome, entry.reason) == ("failed", "its blob was changed by another writer, 3 times")
    assert await backups.get(blob(path)) == b"another's"


@pytest.mark.parametrize("size", [5, SINGLE_PUT + 5])
async def test_a_write_whose_answer_is_lost_is_not_taken_for_another_writers_and_sent_again(
    new_engine: NewEngine, azurite: Azurite, tmp_path: Path, size: int
) -> None:
    path = tmp_path / "f"
    path.write_bytes(os.urandom(size))
    sent: Counter[str] = Counter()

    def lose_the_first_answer(request: Request) -> Trouble | None:
        part = "block" if "comp=block&" in f"{request.query}&" else "blob"
        sent[part] += request.method == "PUT"
        is_first = request.method == "PUT" and part == "blob" and sent[part] == 1
        return Trouble.ANSWER_RESET if is_first else None

    with storage_proxy(azurite) as proxy:
        storage = connect({"AzureWebJobsStorage": proxy.connection_string})
        container = storage.container(f"test-{uuid.uuid4().hex}")
        await container.put("warm", b"", Properties())  # the container is there
        engine = new_engine(container)
        try:
            with proxy.rule(blob(path), lose_the_first_answer):
                entry = await saved(engine, path)
            found = await container.find(blob(path))
        finally:
            await storage.close()
    assert found is not None
    assert (entry.etag, entry.md5) == (found.etag, (found.md5 or b"").hex())
    assert sent == Counter({"blob": 2, "block": 2 if size > SINGLE_PUT else 0})


@pytest.mark.parametrize("data", [b"", b"small"])
async def test_blocks_that_a_broken_attempt_left_are_no_other_writer(
    new_engine: NewEngine, storage: Storage, tmp_path: Path, data: bytes
) -> None:
    path = tmp_path / "f"
    path.write_bytes(data)
    container = storage.container(f"test-{uuid.uuid4().hex}")
    left = b"of when it was large"
    await container.stage(blob(path), f"{uuid.uuid4().hex}-00000", left, md5(left))
    engine = new_engine(container)
    await saved(engine, path)
    assert await container.get(blob(path)) == data


@pytest.mark.parametrize("log_paths", [True, False])
async def test_what_nobody_expects_of_one_item_is_the_end_of_that_item_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, log_paths: bool
) -> None:
    class Odd(MemoryContainer):
        async def put(
            self, name: str, data: bytes, properties: Properties, condition: Condition | None = None
        ) -> str:
            if name.endswith("f1"):
                raise ZeroDivisionError(f"at {name}")
            return await super().put(name, data, properties, condition)

    tasks = [Task(f"f{number}", "file", 1) for number in range(3)]
    for task in tasks:
        (tmp_path / task.path).write_bytes(b"x")
    caplog.set_level("INFO")
    settings = Settings((), concurrency=8, list_budget=1, log_paths=log_paths)
    engine = Engine(settings, Odd(), MemoryContainer(), MemoryContainer(), MemoryContainer())
    ends = await Copier(engine, place_of(tmp_path)).save(tasks)
    engine.close()
    assert [end.entry.reason for end in ends if isinstance(end, Outcome)] == [
        None,
        "an unexpected zero division error",
        None,
    ]
    (said,) = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert "ZeroDivisionError" in said
    assert "raise ZeroDivisionError(" in said, "it does not say where it happened"
    assert ("f1" in caplog.text) == log_paths


async def test_an_empty_directory_that_was_huge_once_is_saved_again(
    engine: Engine, backups: Watched, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "d").mkdir()

    def large(_: str) -> int:
        return SINGLE_PUT + 1  # a directory keeps the size that it had when it was full (ext4)

    monkeypatch.setattr(reading, "size_of", large)
    for _ in range(2):
        await saved(engine, tmp_path / "d")
