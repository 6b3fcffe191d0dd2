"""Requests at once: fewer while the service is busy."""

import asyncio

import pytest

from sitebackup.blobs.slots import Slots


async def serve(slots: Slots, requests: int, *, is_busy: bool = False) -> int:
    """Make so many requests, as many at once as may be; return how many that was at most."""
    now = most = 0

    async def request() -> None:
        nonlocal now, most
        async with slots:
            now += 1
            most = max(most, now)
            await asyncio.sleep(0)
            now -= 1
            slots.answered(is_busy=is_busy)

    await asyncio.gather(*(request() for _ in range(requests)))
    return most


async def test_while_the_service_is_not_busy_there_are_as_many_slots_as_may_be() -> None:
    assert await serve(Slots(32), 1_000) == 32


async def test_a_busy_service_is_asked_half_as_much_and_half_again_until_it_bears_it() -> None:
    slots = Slots(32)
    for expected in (16, 8, 4, 2, 1, 1):
        async with slots:
            slots.answered(is_busy=True)
        assert slots.slots == expected


async def test_all_answers_to_what_was_in_flight_are_one_reason_to_slow_down() -> None:
    slots = Slots(32)
    await serve(slots, 32, is_busy=True)
    assert slots.slots == 16
    await serve(slots, 16, is_busy=True)
    assert slots.slots == 8


async def test_after_the_service_was_busy_the_slots_come_back_one_by_one() -> None:
    slots = Slots(32)
    await serve(slots, 1, is_busy=True)
    assert await serve(slots, 16) <= 17
    assert slots.slots == 16
    await serve(slots, 20)
    assert 17 <= slots.slots <= 19
    await serve(slots, 1_000)
    assert await serve(slots, 100) == 32


async def test_requests_without_an_answer_bring_no_slots_back() -> None:
    slots = Slots(32)
    await serve(slots, 1, is_busy=True)
    for failure in (ZeroDivisionError, asyncio.CancelledError):
        for _ in range(100):
            with pytest.raises(failure):
                async with slots:
                    raise failure
    assert slots.slots == 16


async def test_while_a_request_waits_for_its_next_try_another_has_its_slot() -> None:
    slots = Slots(1)
    order: list[str] = []
    served = asyncio.Event()

    async def other(name: str) -> None:
        async with slots:
            order.append(name)
            served.set()
            await asyncio.sleep(0)

    async with slots:
        others = [asyncio.ensure_future(other(name)) for name in ("first", "second")]
        async with slots.lent():
            await asyncio.wait_for(served.wait(), 1)
        order.append("again")
    await asyncio.gather(*others)
    assert order == ["first", "again", "second"]


@pytest.mark.parametrize("turns", range(6))
async def test_a_request_that_is_given_up_while_it_waits_leaves_no_slot_behind(turns: int) -> None:
    slots = Slots(1)

    async def other() -> None:
        async with slots:
            await asyncio.sleep(0)
            await asyncio.sleep(0)

    async def request() -> None:
        async with slots:
            async with slots.lent():
                await asyncio.sleep(0)
            await asyncio.sleep(60)

    given_up = asyncio.ensure_future(request())
    others = [asyncio.ensure_future(other()) for _ in range(3)]
    for _ in range(turns):
        await asyncio.sleep(0)
    given_up.cancel()
    await asyncio.gather(given_up, *others, return_exceptions=True)
    assert await serve(slots, 10) == 1


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
