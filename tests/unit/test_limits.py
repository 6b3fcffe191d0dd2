"""The byte budget."""

import asyncio

import pytest

from sitebackup.engine.limits import ByteBudget, Slots


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


class Clock:
    """The event loop's clock, which a test can put forward."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ahead = 0.0
        loop = asyncio.get_running_loop()
        real = loop.time
        monkeypatch.setattr(loop, "time", lambda: real() + self.ahead)


async def serve(slots: Slots, requests: int) -> int:
    """Make so many requests, as many at once as may be; return how many that was at most."""
    now = most = 0

    async def request() -> None:
        nonlocal now, most
        async with slots:
            now += 1
            most = max(most, now)
            await asyncio.sleep(0)
            now -= 1

    await asyncio.gather(*(request() for _ in range(requests)))
    return most


async def test_while_the_service_is_not_busy_there_are_as_many_slots_as_may_be() -> None:
    assert await serve(Slots(32), 1_000) == 32


async def test_a_busy_service_is_asked_half_as_much_and_half_again_until_it_bears_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock(monkeypatch)
    slots = Slots(32)
    for expected in (16, 8, 4, 2, 1, 1):
        slots.fall()
        assert slots.slots == expected
        clock.ahead += 1


async def test_all_answers_to_what_was_in_flight_are_one_reason_to_slow_down() -> None:
    slots = Slots(32)
    for _ in range(32):
        slots.fall()
    assert slots.slots == 16


async def test_after_the_service_was_busy_the_slots_come_back_one_by_one() -> None:
    slots = Slots(32)
    slots.fall()
    assert await serve(slots, 16) <= 17
    assert slots.slots == 16
    await serve(slots, 20)
    assert 17 <= slots.slots <= 19
    await serve(slots, 1_000)
    assert await serve(slots, 100) == 32


async def test_requests_that_fail_or_give_up_bring_no_slots_back() -> None:
    slots = Slots(32)
    slots.fall()
    for failure in (ZeroDivisionError, asyncio.CancelledError):
        for _ in range(100):
            with pytest.raises(failure):
                async with slots:
                    raise failure
    assert slots.slots == 16


async def test_who_gives_up_waiting_for_a_slot_takes_none() -> None:
    slots = Slots(1)
    await slots.acquire()
    waiting = [asyncio.ensure_future(slots.acquire()) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    slots.release()
    waiting[1].cancel()
    await asyncio.gather(*waiting[:2], return_exceptions=True)
    await asyncio.wait_for(waiting[2], 1)
