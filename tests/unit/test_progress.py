"""How far the work for a run is, told to its orchestration while it is under way."""

import asyncio
import json
import logging
from itertools import pairwise
from typing import Any

import pytest

from sitebackup.activities.running import run
from sitebackup.blobs.container import Condition, Properties
from sitebackup.engine.engine import Engine
from sitebackup.engine.progress import Progress
from sitebackup.errors import StorageUnavailableError
from sitebackup.messages import Progress as News
from sitebackup.settings import Settings
from sitebackup.tally import Tally
from tests.support.memory import MemoryContainer
from tests.support.virtual_time import run_at_once

HOUR = 3_600
FILE = Tally(files=1, bytes=10)


class Told:
    """An orchestration: what it was told, and when, in seconds."""

    def __init__(self) -> None:
        self.news: list[tuple[float, News]] = []

    async def hear(self, _: str, news: News) -> None:
        self.news.append((now(), news))

    @property
    def gaps(self) -> list[tuple[float, float]]:
        """When it was told, and for how long it was not before."""
        return [
            (after, after - before) for before, after in pairwise([0.0, *(when for when, _ in self.news)])
        ]


def now() -> float:
    return asyncio.get_running_loop().time()


def process(runs: MemoryContainer, name: str = "p") -> Progress:
    """What a process counts, on the clock of the test."""
    return Progress(runs, name, clock=now)


async def work(progress: Progress, told: Told, seconds: float, every: float = 1.0, run: str = "run") -> None:
    """Find a file and copy one, again and again."""
    with progress.published(run, told.hear):
        for _ in range(round(seconds / every)):
            await asyncio.sleep(every)
            progress.add(run, found=FILE + FILE, done=FILE)


def test_a_run_is_told_every_five_seconds_or_twentieth_of_its_time_and_less_than_170_times_in_six_hours() -> (
    None
):
    told, runs = Told(), MemoryContainer()

    async def main() -> None:
        await asyncio.gather(
            *(work(process(runs, f"p{n}"), told, 6 * HOUR, every=2 + n / 10) for n in range(4))
        )

    run_at_once(main())
    assert len(told.news) < 165
    assert [gap for when, gap in told.gaps if gap > max(5.5, when / 20)] == []
    assert told.news[-1][0] > 5.7 * HOUR
    done = [news.done.files for _, news in told.news]
    assert done == sorted(set(done))
    copied = sum(int(told.news[-1][0] / (2 + n / 10)) for n in range(4))
    assert abs(done[-1] - copied) <= 10
    assert told.news[-1][1].found.files == 2 * done[-1]


def test_a_single_process_tells_as_often() -> None:
    told = Told()
    run_at_once(work(process(MemoryContainer()), told, HOUR))
    assert [gap for when, gap in told.gaps if gap > max(5, when / 20)] == []
    assert 60 < len(told.news) < 130


def test_short_work_leaves_nothing_behind() -> None:
    told, runs = Told(), MemoryContainer()

    async def main() -> None:
        await work(process(runs), told, seconds=1.2, every=0.1)
        await asyncio.sleep(60)

    run_at_once(main())
    assert (told.news, runs.blobs) == ([], {})


def test_what_is_left_when_the_work_is_over_is_not_written_any_more() -> None:
    """The end of a run deletes these blobs; and it is work for the run in a process, too."""
    told, runs = Told(), MemoryContainer()

    async def main() -> None:
        progress = process(runs)
        await work(progress, told, seconds=11, every=0.1)
        runs.blobs.clear()
        with progress.published("run", told.hear):
            await asyncio.sleep(60)

    run_at_once(main())
    assert told.news
    assert runs.blobs == {}


def test_a_process_goes_on_counting_where_it_was_when_there_is_work_again() -> None:
    told, runs = Told(), MemoryContainer()

    async def main() -> None:
        progress = process(runs)
        for _ in range(3):
            await work(progress, told, seconds=20)
            await asyncio.sleep(HOUR)
        for number in range(100):
            await work(progress, Told(), seconds=1, run=f"other-{number}")

    run_at_once(main())
    assert told.news[-1][1].done.files > 40
    assert json.loads(runs.blobs["run/progress/p.json"][0])["done"]["files"] >= 55


def test_runs_are_counted_apart() -> None:
    told, other, runs = Told(), Told(), MemoryContainer()

    async def main() -> None:
        progress = process(runs)
        await asyncio.gather(work(progress, told, 30), work(progress, other, 30, every=0.5, run="other"))

    run_at_once(main())
    assert told.news[-1][1].done.files < 31
    assert other.news[-1][1].done.files > 40


def test_nothing_that_fails_in_it_fails_the_work() -> None:
    class Broken(MemoryContainer):
        async def put(
            self, name: str, data: bytes, properties: Properties, condition: Condition | None = None
        ) -> str:
            if now() < 60:
                raise StorageUnavailableError("no answer")
            return await super().put(name, data, properties, condition)

    told = Told()

    async def hear(run: str, news: News) -> None:
        if now() < 100:
            raise ValueError("The task hub does not answer.")
        await told.hear(run, news)

    async def main() -> None:
        progress = process(Broken())
        with progress.published("run", hear):
            for _ in range(150):
                await asyncio.sleep(1)
                progress.add("run", done=FILE)

    run_at_once(main())
    assert 100 <= told.news[0][0] < 110


def test_what_an_activity_counts_is_told_while_it_works() -> None:
    told = Told()

    async def body(_: Any, engine: Engine) -> dict[str, Any]:
        for _ in range(20):
            await asyncio.sleep(1)
            engine.progress.add("run", done=FILE)
        return {}

    async def goes_on(_: str) -> bool:
        return False

    async def main() -> None:
        runs, others = MemoryContainer(), MemoryContainer()
        engine = Engine(Settings(("/",), concurrency=1, list_budget=1), others, runs, others, others)
        engine.progress = process(runs)
        await run(body, {"run": "run"}, lambda: engine, goes_on, told.hear)
        engine.close()

    run_at_once(main())
    assert told.news[-1][1].done.files > 10


def test_a_process_that_ends_ends_it_too(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        progress = process(MemoryContainer())
        with progress.published("run", Told().hear):
            progress.add("run", done=FILE)
            progress.close()
            await asyncio.sleep(10)
        assert asyncio.all_tasks() == {asyncio.current_task()}
        with progress.published("run", Told().hear):
            await asyncio.sleep(0)

    with caplog.at_level(logging.WARNING):
        run_at_once(main())
    assert caplog.records == []


def test_a_process_may_be_closed_after_its_loop() -> None:
    async def main() -> Progress:
        progress = process(MemoryContainer())
        with progress.published("run", Told().hear):
            await asyncio.sleep(0)
        return progress

    run_at_once(main()).close()
