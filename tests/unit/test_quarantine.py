"""Work that may end its process, and all other work."""

import asyncio

import pytest

from sitebackup.engine.quarantine import Quarantine


async def test_nothing_else_is_done_while_one_is_alone_and_the_others_are_together() -> None:
    quarantine, others, alone = Quarantine(), 0, 0
    most = 0

    async def be_together() -> None:
        nonlocal others, most
        async with quarantine.together():
            others += 1
            most = max(most, others)
            assert alone == 0
            await asyncio.sleep(0)
            others -= 1

    async def be_alone() -> None:
        nonlocal alone
        async with quarantine.alone():
            alone += 1
            assert (others, alone) == (0, 1)
            await asyncio.sleep(0)
            alone -= 1

    async with asyncio.timeout(10):
        await asyncio.gather(*(work() for work in [be_together, be_alone, be_together] * 20))
    assert most > 1


async def test_who_wants_to_be_alone_comes_after_others_that_begin_meanwhile() -> None:
    quarantine, order = Quarantine(), list[str]()

    async def be_alone() -> None:
        async with quarantine.alone():
            order.append("alone")

    async with quarantine.together():
        waiting = asyncio.create_task(be_alone())
        await asyncio.sleep(0)
        async with asyncio.timeout(10), quarantine.together():
            order.append("another")
    await waiting
    assert order == ["another", "alone"]


@pytest.mark.parametrize("turn", ["alone", "together"])
async def test_one_that_is_cancelled_while_it_waits_is_in_nobodys_way(turn: str) -> None:
    quarantine = Quarantine()

    async def wait() -> None:
        async with quarantine.alone() if turn == "alone" else quarantine.together():
            raise AssertionError("its turn never came")

    async with quarantine.alone():
        waiting = asyncio.create_task(wait())
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    async with asyncio.timeout(10):
        async with quarantine.together():
            pass
        async with quarantine.alone():
            pass
