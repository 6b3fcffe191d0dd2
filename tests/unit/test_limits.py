"""The byte budget."""

import asyncio

import pytest

from sitebackup.engine.limits import ByteBudget


async def test_no_more_bytes_are_held_than_there_are() -> None:
    budget, held, most = ByteBudget(100), 0, 0

    async def use(size: int) -> None:
        nonlocal held, most
        async with budget.hold(size):
            held += size
            most = max(most, held)
            await asyncio.sleep(0)
            held -= size

    await asyncio.gather(*(use(size) for size in (60, 30, 50, 10, 100, 1, 40) * 20))
    assert 90 <= most <= 100
    assert held == 0


async def test_a_request_beyond_the_capacity_takes_all_of_it() -> None:
    budget = ByteBudget(100)
    assert await budget.acquire(1_000) == 100
    waiting = asyncio.create_task(budget.acquire(1))
    await asyncio.sleep(0)
    assert not waiting.done()
    budget.release(100)
    assert await waiting == 1


async def test_first_come_first_served() -> None:
    budget = ByteBudget(100)
    await budget.acquire(50)
    large = asyncio.create_task(budget.acquire(100))
    await asyncio.sleep(0)
    small = asyncio.create_task(budget.acquire(10))
    await asyncio.sleep(0)
    assert not small.done()
    budget.release(50)
    await large
    budget.release(100)
    await small


@pytest.mark.parametrize("before_its_turn", [True, False])
async def test_a_cancelled_request_gives_back_what_it_got(before_its_turn: bool) -> None:
    budget = ByteBudget(100)
    await budget.acquire(100)
    waiting = asyncio.create_task(budget.acquire(60))
    await asyncio.sleep(0)
    if before_its_turn:
        waiting.cancel()
        budget.release(100)
    else:
        budget.release(100)
        waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert await asyncio.wait_for(budget.acquire(100), 1) == 100
