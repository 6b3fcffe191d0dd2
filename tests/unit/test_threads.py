"""Threads for a disk: a silent one stops neither other trees nor the process, and its callers are told."""

import asyncio
import gc
import os
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import suppress
from pathlib import Path

import pytest

from localstack.settings import PROJECT
from sitebackup.engine.threads import Disk
from sitebackup.errors import SourceUnavailableError
from sitebackup.tree.reading import Stream
from sitebackup.tree.walking import Item, walk
from tests.support.fuse import mounted
from tests.support.walks import bare

SHORT = 0.5
"""Seconds of a deadline in tests."""

SILENT = r"^The disk or share has not answered for 0\.5 seconds$"


@pytest.fixture
def fifo(tmp_path: Path) -> Generator[Path]:
    """What nobody writes to: opening it takes for ever, as opening a file on a silent share does."""
    path = tmp_path / "fifo"
    os.mkfifo(path)
    yield path
    answer(path)


def answer(fifo: Path) -> None:
    """Let everybody go on who opens `fifo`."""
    with suppress(OSError):  # nobody does
        os.close(os.open(fifo, os.O_WRONLY | os.O_NONBLOCK))


def opened(path: Path) -> Callable[[], None]:
    return lambda: os.close(os.open(path, os.O_RDONLY))


@pytest.fixture
async def disk() -> AsyncGenerator[Disk]:
    disk = Disk(3, SHORT)
    yield disk
    disk.close()


async def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


def threads_besides(others: list[threading.Thread]) -> int:
    return len([thread for thread in threading.enumerate() if thread not in others])


async def test_a_silent_tree_does_not_stop_another_ones_listing_and_its_callers_are_told(
    disk: Disk, fifo: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "file").touch()
    silent = [asyncio.create_task(disk("/silent")(opened(fifo))) for _ in range(10)]
    await asyncio.sleep(0)
    assert await disk(str(other))(lambda: bare(walk(str(other)))) == [Item("file")]

    begun = time.monotonic()
    for told in await asyncio.gather(*silent, return_exceptions=True):
        assert isinstance(told, SourceUnavailableError)
    assert time.monotonic() - begun < 5 * SHORT
    assert await disk(str(other))(lambda: bare(walk(str(other)))) == [Item("file")]


async def test_no_caller_waits_for_a_tree_whose_threads_are_all_late(disk: Disk, fifo: Path) -> None:
    in_thread = disk("/silent")
    for _ in range(3):
        with pytest.raises(SourceUnavailableError, match=SILENT):
            await in_thread(opened(fifo))
    begun = time.monotonic()
    with pytest.raises(SourceUnavailableError, match=SILENT):
        await in_thread(lambda: None)
    assert time.monotonic() - begun < SHORT / 2


async def test_a_tree_that_answers_again_is_served_again(disk: Disk, fifo: Path) -> None:
    in_thread = disk("/silent")
    late = [asyncio.create_task(in_thread(opened(fifo))) for _ in range(3)]
    await asyncio.gather(*late, return_exceptions=True)
    answer(fifo)

    deadline = time.monotonic() + 10
    served = False
    while not served:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)
        with suppress(SourceUnavailableError):
            served = await in_thread(lambda: True)


async def test_one_late_thread_does_not_stop_the_others_of_its_tree(disk: Disk, fifo: Path) -> None:
    in_thread = disk("/half")
    with pytest.raises(SourceUnavailableError):
        await in_thread(opened(fifo))
    assert await asyncio.gather(*(in_thread(lambda: 1) for _ in range(50))) == [1] * 50


async def test_a_call_that_waits_for_its_turn_is_not_late(disk: Disk) -> None:
    async def slow() -> None:
        await disk("/slow")(lambda: time.sleep(SHORT / 4))

    await asyncio.gather(*(slow() for _ in range(18)))  # 3 at once: the last ones wait for 1.25 deadlines


async def test_threads_are_no_more_than_allowed_and_those_of_trees_that_are_done_with_end(disk: Disk) -> None:
    others = threading.enumerate()
    busy = threading.Barrier(3)
    for number in range(20):
        await asyncio.gather(*(disk(f"/tree{number}")(busy.wait) for _ in range(3)))
        await asyncio.gather(*(disk(f"/tree{number}")(lambda: None) for _ in range(20)))
    await until(lambda: threads_besides(others) == 3)
    disk.close()
    await until(lambda: threads_besides(others) == 0)


async def test_a_result_that_comes_too_late_is_dropped_and_an_open_file_closed(
    disk: Disk, fifo: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    streams: list[weakref.ref[Stream]] = []

    def open_late() -> Stream:
        opened(fifo)()
        stream = Stream(str(tmp_path / "file"), str(tmp_path))
        streams.append(weakref.ref(stream))
        return stream

    with pytest.raises(SourceUnavailableError):
        await disk("/silent")(open_late)
    before = descriptors(tmp_path / "file")
    answer(fifo)
    await until(lambda: bool(streams) and streams[0]() is None)
    await until(lambda: descriptors(tmp_path / "file") == before == 0)


def descriptors(path: Path) -> int:
    """How many descriptors of this process are open for `path`."""
    return sum(os.path.realpath(link) == str(path) for link in Path("/proc/self/fd").iterdir())


async def test_what_a_call_raises_its_caller_gets_and_nothing_of_it_stays_in_memory(disk: Disk) -> None:
    class Held:
        """Something that a call makes."""

    held: list[weakref.ref[Held]] = []

    def fail() -> None:
        local = Held()
        held.append(weakref.ref(local))
        raise ValueError("no")

    def make() -> Held:
        made = Held()
        held.append(weakref.ref(made))
        return made

    gc.disable()
    try:
        with pytest.raises(ValueError, match="no"):
            await disk("/tree")(fail)
        await disk("/tree")(make)
        await until(lambda: held[1]() is None)
    finally:
        gc.enable()


async def test_a_caller_that_gives_up_leaves_its_turn_to_others(disk: Disk, fifo: Path) -> None:
    in_thread = disk("/tree")
    running = [asyncio.create_task(in_thread(opened(fifo))) for _ in range(3)]
    await asyncio.sleep(0)
    ran: list[int] = []
    waiting = [asyncio.create_task(in_thread(lambda n=n: ran.append(n))) for n in range(3)]
    await asyncio.sleep(0)
    waiting[1].cancel()
    answer(fifo)
    await asyncio.gather(*running, *waiting, return_exceptions=True)
    assert sorted(ran) == [0, 2]


def test_a_silent_disk_does_not_keep_the_process_from_ending(fifo: Path) -> None:
    code = (
        "import asyncio, os\n"
        "from sitebackup.engine.threads import Threads\n"
        "async def main():\n"
        "    threads = Threads(2, 0.1)\n"
        "    try:\n"
        f"        await threads(lambda: os.open({str(fifo)!r}, os.O_RDONLY))\n"
        "    finally:\n"
        "        threads.close()\n"
        "asyncio.run(main())\n"
    )
    ended = subprocess.run(  # noqa: S603 - its own code
        [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, timeout=30, check=False
    )
    assert "SourceUnavailableError" in ended.stderr.splitlines()[-1]


async def test_a_share_whose_server_is_silent_is_told_within_the_deadline(disk: Disk, tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    root = str(tmp_path / "share")
    with mounted(tmp_path / "source", tmp_path / "share") as share:
        share.trouble = lambda operation, path: 0
        with pytest.raises(SourceUnavailableError, match=SILENT):
            await disk(root)(lambda: list(walk(root)))
        assert await disk("/other")(lambda: 1) == 1
