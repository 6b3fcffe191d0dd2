"""Whether work ends when its run is over, and how often the task hub is asked."""

import asyncio

import pytest

from sitebackup.engine import watch
from sitebackup.engine.watch import RunOverError, RunWatch


class Hub:
    """A task hub that knows one thing: whether runs are over. `asked`: how often it was asked."""

    def __init__(self) -> None:
        self.is_over = False
        self.asked = 0

    async def ask(self, _: str) -> bool:
        self.asked += 1
        return self.is_over


async def nothing() -> str:
    return "done"


async def test_work_of_a_run_that_goes_on_is_done() -> None:
    assert await RunWatch().guard("run", nothing(), Hub().ask) == "done"


async def test_work_of_a_run_that_is_over_ends_and_further_work_does_not_begin() -> None:
    hub = Hub()
    hub.is_over = True
    runs = RunWatch()
    with pytest.raises(RunOverError):
        await asyncio.wait_for(runs.guard("run", asyncio.sleep(60), hub.ask), 5)
    for _ in range(1_000):
        with pytest.raises(RunOverError):
            await runs.guard("run", nothing(), hub.ask)
    assert hub.asked == 1


async def test_a_run_that_ends_while_work_is_under_way_ends_it_at_the_next_question(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(watch, "PERIOD", 0.05)
    hub = Hub()
    work = asyncio.ensure_future(RunWatch().guard("run", asyncio.sleep(60), hub.ask))
    await asyncio.sleep(0.2)
    assert hub.asked > 1
    hub.is_over = True
    with pytest.raises(RunOverError):
        await asyncio.wait_for(work, 5)


async def test_a_thousand_activities_of_one_run_ask_once() -> None:
    hub = Hub()
    runs = RunWatch()
    await asyncio.gather(*(runs.guard("run", asyncio.sleep(0.01), hub.ask) for _ in range(1_000)))
    for _ in range(100):
        await runs.guard("run", nothing(), hub.ask)
    assert hub.asked == 1


async def test_a_task_hub_that_does_not_answer_ends_nothing() -> None:
    async def fail(_: str) -> bool:
        raise OSError("no connection")

    assert await RunWatch().guard("run", asyncio.sleep(0.05, "done"), fail) == "done"


async def test_a_host_that_cancels_an_activity_cancels_its_work() -> None:
    ended = False

    async def work() -> None:
        nonlocal ended
        try:
            await asyncio.sleep(60)
        finally:
            ended = True

    task = asyncio.ensure_future(RunWatch().guard("run", work(), Hub().ask))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended


async def test_a_run_that_is_started_anew_under_its_id_is_asked_about_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(watch, "PERIOD", 0.05)
    hub, runs = Hub(), RunWatch()
    hub.is_over = True
    with pytest.raises(RunOverError):
        await asyncio.wait_for(runs.guard("run", asyncio.sleep(60), hub.ask), 5)
    hub.is_over = False
    await asyncio.sleep(0.1)
    assert await runs.guard("run", asyncio.sleep(0.2, "done"), hub.ask) == "done"
