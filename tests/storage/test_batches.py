"""Batches that are not copied in one go: what is done stays done; a file that ends its worker is found."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import islice
from pathlib import Path

import pytest
from msgspec.structs import replace

from sitebackup.activities.batches import MOST_BREAKS
from sitebackup.activities.copying import copy_file_to_blob
from sitebackup.activities.running import run as run_activity
from sitebackup.blobs.container import Condition, Properties
from sitebackup.engine.engine import Engine
from sitebackup.errors import SourceUnavailableError, StorageUnavailableError
from sitebackup.messages import Copied, CopyRequest
from sitebackup.ranges import Share
from sitebackup.records.entries import Kind, from_line
from sitebackup.records.outcomes import Outcome
from sitebackup.records.plans import Task
from sitebackup.tally import Tally
from sitebackup.tree import reading
from sitebackup.tree.place import Place
from tests.storage.conftest import an_engine, goes_on
from tests.support.memory import MemoryContainer
from tests.support.tasks import plan_tasks


class WorkerEndedError(BaseException):
    """Stands for the end of the process: nothing after it is done."""


class Fragile(MemoryContainer):
    """A container of backups: `before` is called with the name of each blob before it is written."""

    def __init__(self, before: Callable[[str], None]) -> None:
        super().__init__()
        self._before = before
        self.written: list[str] = []
        self.has_ended = False

    async def put(
        self, name: str, data: bytes, properties: Properties, condition: Condition | None = None
    ) -> str:
        if self.has_ended:
            raise WorkerEndedError
        try:
            self._before(name.rpartition("/")[2])
        except WorkerEndedError:
            self.has_ended = True
            raise
        self.written.append(name.rpartition("/")[2])
        return await super().put(name, data, properties, condition)


@asynccontextmanager
async def a_process(backups: MemoryContainer, runs: MemoryContainer, root: Path) -> AsyncGenerator[Engine]:
    async with an_engine(backups, runs, root, list_budget=1) as engine:
        yield engine


async def plan_of(runs: MemoryContainer, root: Path, *batches: int) -> str:
    """Plan batches of so many files each, and return the plan's ID."""
    tasks = [Task(f"f{number:03d}", "file", 1) for number in range(sum(batches))]
    for task in tasks:
        (root / task.path).write_bytes(b"x")
    first = iter(tasks)
    return await plan_tasks(runs, root, *[list(islice(first, files)) for files in batches])


async def attempt(engine: Engine, plan: str, batch: int = 0, waits: int = 0) -> Copied:
    request = CopyRequest("run", plan, batch, waits).to_json()
    return Copied.from_json(await run_activity(copy_file_to_blob, request, lambda: engine, goes_on))


async def attempts_in_new_processes(
    backups: Fragile, runs: MemoryContainer, root: Path, plan: str
) -> tuple[Copied, int]:
    """Try until an attempt ends, each in a process of its own; return its answer, and how many broke."""
    for broken in range(100):
        backups.has_ended = False
        async with a_process(backups, runs, root) as engine:
            try:
                return await attempt(engine, plan), broken
            except (WorkerEndedError, BaseExceptionGroup):
                continue
    raise AssertionError("no attempt ended")


def outcomes(runs: MemoryContainer, plan: str) -> dict[str, str]:
    lines = runs.blobs[f"run/outcomes/{plan}-0.ndjson"][0].splitlines()
    entries: Iterable[dict[str, str]] = (json.loads(line)["entry"] for line in lines)
    return {entry["path"]: entry.get("reason", "saved") for entry in entries}


def new(files: int) -> Tally:
    """What so many new files of one byte count for."""
    return Tally(files=files, bytes=files, new=files)


def tally(answer: Copied) -> Tally:
    """What was copied, but for what was sent: some of that was sent by attempts that broke."""
    assert answer.tally.uploaded <= answer.tally.bytes
    return replace(answer.tally, uploaded=0)


@pytest.mark.parametrize("files", [1, 2, 500])
async def test_a_file_that_ends_its_worker_each_time_fails_by_itself_and_all_others_are_saved(
    runs: MemoryContainer, tmp_path: Path, files: int
) -> None:
    poison = f"f{files // 2:03d}"

    def end_at_poison(name: str) -> None:
        if name == poison:
            raise WorkerEndedError

    plan = await plan_of(runs, tmp_path, files)
    answer, broken = await attempts_in_new_processes(Fragile(end_at_poison), runs, tmp_path, plan)
    assert tally(answer) == new(files - 1) + Tally(failed=1)
    ends = outcomes(runs, plan)
    assert ends.pop(poison) == f"its worker ended while it was copied, {MOST_BREAKS} times"
    assert len(ends) == files - 1
    assert set(ends.values()) <= {"saved"}
    assert broken <= 6  # 500, 62, 7 and 1 at once, and that one three times


async def test_a_file_whose_worker_ended_twice_by_chance_is_saved(
    runs: MemoryContainer, tmp_path: Path
) -> None:
    chances = iter([True] * (MOST_BREAKS - 1))

    def end_by_chance(_: str) -> None:
        if next(chances, False):
            raise WorkerEndedError

    plan = await plan_of(runs, tmp_path, 1)
    answer, broken = await attempts_in_new_processes(Fragile(end_by_chance), runs, tmp_path, plan)
    assert (tally(answer), broken) == (new(1), MOST_BREAKS - 1)


async def test_workers_that_end_at_random_make_no_file_of_a_large_batch_fail(
    runs: MemoryContainer, tmp_path: Path
) -> None:
    count = 0

    def end_now_and_then(_: str) -> None:
        nonlocal count
        count += 1
        if count % 37 == 0:
            raise WorkerEndedError

    plan = await plan_of(runs, tmp_path, 300)
    backups = Fragile(end_now_and_then)
    answer, broken = await attempts_in_new_processes(backups, runs, tmp_path, plan)
    assert tally(answer) == new(300)
    assert broken > 2
    assert len(backups.blobs) == 300


@pytest.mark.parametrize("beside", [1, 3])
async def test_files_copied_beside_one_that_ends_its_worker_each_time_are_saved(
    tmp_path: Path, beside: int
) -> None:
    class Slow(Fragile):
        """Takes a while for each blob, in which f000 ends the process."""

        async def put(
            self, name: str, data: bytes, properties: Properties, condition: Condition | None = None
        ) -> str:
            await asyncio.sleep(0.1 if name.endswith("f000") else 0.2)
            return await super().put(name, data, properties, condition)

    def end_at_poison(name: str) -> None:
        if name == "f000":
            runs.has_ended = True
            raise WorkerEndedError

    runs = Fragile(lambda _: None)
    plan = await plan_of(runs, tmp_path, *[1] * (1 + beside))
    backups, answers = Slow(end_at_poison), dict[int, Copied]()
    for _ in range(10):
        backups.has_ended = runs.has_ended = False
        async with a_process(backups, runs, tmp_path) as engine:
            undone = [batch for batch in range(1 + beside) if batch not in answers]
            ends = await asyncio.gather(
                *(attempt(engine, plan, batch) for batch in undone), return_exceptions=True
            )
            answers |= {
                batch: end for batch, end in zip(undone, ends, strict=True) if isinstance(end, Copied)
            }
    assert tally(answers.pop(0)) == Tally(failed=1)
    assert [tally(answer) for answer in answers.values()] == [new(1)] * beside


async def test_what_is_done_of_a_batch_stays_done_when_storage_fails_for_the_rest(
    runs: MemoryContainer, tmp_path: Path
) -> None:
    fails = {"f007", "f100"}

    def refuse(name: str) -> None:
        if name in fails:
            raise StorageUnavailableError("down")

    plan = await plan_of(runs, tmp_path, 300)
    backups = Fragile(refuse)
    async with a_process(backups, runs, tmp_path) as engine:
        answer = await attempt(engine, plan)
        assert answer == Copied(shares=(Share(plan, 0, 1),), troubles=("down",), advanced=True)
        fails.clear()
        assert tally(await attempt(engine, plan)) == new(300)
    assert len(backups.written) == 300, "a file that was saved was sent again"


async def test_a_batch_that_is_done_is_not_copied_again(runs: MemoryContainer, tmp_path: Path) -> None:
    plan = await plan_of(runs, tmp_path, 20)
    backups = MemoryContainer()
    async with a_process(backups, runs, tmp_path) as engine:
        first = await attempt(engine, plan)
        (tmp_path / "f000").write_bytes(b"changed")
        assert await attempt(engine, plan) == first
    assert {data for data, _ in backups.blobs.values()} == {b"x"}


@pytest.mark.parametrize("processes", [1, 2 * MOST_BREAKS])
async def test_storage_that_fails_for_a_while_is_no_file_that_ends_its_worker(
    tmp_path: Path, processes: int
) -> None:
    is_up, outages = True, 2 * MOST_BREAKS

    def fail(_: str) -> None:
        nonlocal is_up
        if outages:
            is_up = False
            raise StorageUnavailableError("down")

    class Deaf(MemoryContainer):
        """Takes that an attempt begins, and not how it ended."""

        async def put(
            self, name: str, data: bytes, properties: Properties, condition: Condition | None = None
        ) -> str:
            if not is_up:
                raise StorageUnavailableError("down")
            return await super().put(name, data, properties, condition)

    deaf = Deaf()
    plan = await plan_of(deaf, tmp_path, 1)
    async with AsyncExitStack() as stack:
        engines = [
            await stack.enter_async_context(a_process(Fragile(fail), deaf, tmp_path))
            for _ in range(processes)
        ]
        for waits in range(2 * MOST_BREAKS):
            assert (await attempt(engines[waits % processes], plan, waits=waits)).troubles
            is_up, outages = True, outages - 1
        assert tally(await attempt(engines[0], plan, waits=2 * MOST_BREAKS)) == new(1)


async def test_a_note_whose_answer_was_lost_is_not_taken_for_another_attempts(tmp_path: Path) -> None:
    class Twice(MemoryContainer):
        """Carries out each write about attempts, and again, as when the first answer is lost."""

        async def put(
            self, name: str, data: bytes, properties: Properties, condition: Condition | None = None
        ) -> str:
            etag = await super().put(name, data, properties, condition)
            return await super().put(name, data, properties, condition) if "/attempts/" in name else etag

    chances = iter([True])

    def end_once(_: str) -> None:
        if next(chances, False):
            raise WorkerEndedError

    runs = Twice()
    plan = await plan_of(runs, tmp_path, 20)
    answer, broken = await attempts_in_new_processes(Fragile(end_once), runs, tmp_path, plan)
    assert (tally(answer), answer.troubles, broken) == (new(20), (), 1)


async def test_a_file_that_takes_longer_than_an_activity_may_fails_by_itself(
    runs: MemoryContainer, tmp_path: Path
) -> None:
    class Slow(MemoryContainer):
        async def put(
            self, name: str, data: bytes, properties: Properties, condition: Condition | None = None
        ) -> str:
            if name.endswith("f003"):
                await asyncio.sleep(60)
            return await super().put(name, data, properties, condition)

    plan = await plan_of(runs, tmp_path, 20)
    async with a_process(Slow(), runs, tmp_path) as engine:
        engine.activity_seconds = 1.0
        tries = 0
        while (answer := await attempt(engine, plan)).troubles:
            tries += 1
            assert tries < 10
    assert tally(answer) == new(19) + Tally(failed=1)
    assert outcomes(runs, plan)["f003"] == "took longer than 1 seconds"


async def test_a_file_that_the_disk_never_reads_fails_when_nobody_will_try_again(
    runs: MemoryContainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = await plan_of(runs, tmp_path, 3)
    read = reading.read

    def read_but_one(place: Place, path: str, kind: Kind, most: int) -> object:
        if path == "f001":
            raise SourceUnavailableError("Input/output error")
        return read(place, path, kind, most)

    monkeypatch.setattr(reading, "read", read_but_one)
    async with a_process(MemoryContainer(), runs, tmp_path) as engine:
        assert (await attempt(engine, plan)).troubles == ("Input/output error",)
        request = CopyRequest("run", plan, 0, last=True).to_json()
        answer = await run_activity(copy_file_to_blob, request, lambda: engine, goes_on)
    assert tally(Copied.from_json(answer)) == new(2) + Tally(failed=1)
    assert outcomes(runs, plan)["f001"] == "Input/output error"


async def test_removals_that_are_not_carried_out_in_one_go_are_gone_on_with(
    runs: MemoryContainer, history: MemoryContainer, tmp_path: Path
) -> None:
    class Deaf(MemoryContainer):
        """Does not answer when f005 is to be deleted."""

        is_deaf = True

        async def delete(self, name: str, condition: Condition | None = None) -> bool:
            if name.endswith("f005") and self.is_deaf:
                raise StorageUnavailableError("down")
            return await super().delete(name, condition)

    backups = Deaf()
    plan = await plan_of(runs, tmp_path, 20)
    async with an_engine(backups, runs, tmp_path, history=history) as engine:
        await attempt(engine, plan)
        lines = runs.blobs[f"run/outcomes/{plan}-0.ndjson"][0].splitlines()
        saved = [from_line(line, Outcome).entry for line in lines]
        for entry in saved[1:]:
            (tmp_path / entry.path).unlink()
        gone = await plan_tasks(
            runs, tmp_path, [Task(base.path, "file", base=base, gone=True) for base in saved]
        )
        answer = await attempt(engine, gone)
        assert (answer.troubles, answer.advanced) == (("down",), True)
        backups.is_deaf = False
        assert tally(await attempt(engine, gone)) == Tally(gone=19, kept=1)
    assert outcomes(runs, gone)["f000"] == "is there again"
    assert [name.rpartition("/")[2] for name in backups.blobs] == ["f000"]
    assert len(history.blobs) == 19
