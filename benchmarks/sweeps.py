"""What the app's constants were chosen by: the same work with other values, near storage and far from it.

Near is the emulator. Far is the service that forgets, each answer ten milliseconds late: about what a small
write to a storage account of the same region takes.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.apps import running_app
from benchmarks.contest import Contender, contest
from benchmarks.report import show_grid
from benchmarks.storage import emulator, null_service
from benchmarks.trees import KIB, MIB, many_files, temporary_files
from localstack.settings import STORAGE_SETTING
from sitebackup.activities import copier, large
from sitebackup.blobs import blocks
from sitebackup.engine.process import ProcessEngine
from sitebackup.records.plans import Task
from sitebackup.settings import Settings
from sitebackup.tree.entries import Item
from sitebackup.tree.place import Place
from sitebackup.tree.walking import walk

_CONCURRENCIES = (8, 16, 32, 64, 100)
_DELAY_MS = 10
_ROUNDS = 3

type Sweep = Callable[[str, Callable[[], None]], dict[str, float]]
"""Measures at the storage of a connection string, emptied by a function: `{value: amount a second}`."""


@dataclass(frozen=True, slots=True)
class _Constants:
    """Of the app's constants, those that may change; in MiB, but for the number of blocks."""

    block: int = blocks.BLOCK // MIB
    blocks_at_once: int = large.BLOCKS_AT_ONCE
    single_put: int = copier.SINGLE_PUT // MIB

    def apply(self) -> None:
        """Make them the constants of this process."""
        blocks.BLOCK = self.block * MIB
        large.BLOCKS_AT_ONCE = self.blocks_at_once
        copier.SINGLE_PUT = self.single_put * MIB


_BLOCKS = {
    f"{block} MiB, {at_once} at once": _Constants(block=block, blocks_at_once=at_once)
    for block, at_once in ((4, 4), (4, 8), (4, 16), (8, 4), (8, 6), (8, 8), (16, 4))
}
_SINGLE_PUTS = {f"{size} MiB": _Constants(single_put=size) for size in (1, 4, 8, 16)}


def sweep() -> None:
    """Measure and print all of it."""
    _compare("Files at once: files/s, of 3,000 files of 1-8 KiB", _concurrency)
    _compare("Blocks: MiB/s, of one file of 256 MiB", partial(_copies, _BLOCKS, 1, 256))
    _compare("Put in one request up to: MiB/s, of 32 files of 8 MiB", partial(_copies, _SINGLE_PUTS, 32, 8))


def _compare(title: str, measure: Sweep) -> None:
    with emulator() as blobs:
        here = measure(blobs.connection_string, blobs.forget)
    with null_service(_DELAY_MS) as service:
        there = measure(service.connection_string, service.forget)
    show_grid(
        title, {value: {"Azurite": here[value], f"{_DELAY_MS} ms away": there[value]} for value in here}
    )


def _concurrency(storage: str, empty: Callable[[], None]) -> dict[str, float]:
    tree = many_files(3_000, 1 * KIB, 8 * KIB)
    with ExitStack() as hosts:
        contenders: dict[str, Contender] = {}
        for files in _CONCURRENCIES:
            app = hosts.enter_context(running_app(storage, BACKUP_CONCURRENCY=str(files)))
            app.warm_up()
            contenders[str(files)] = lambda app=app: app.back_up(tree).seconds
        results = contest("Files at once", contenders, _ROUNDS, empty)
    return {value: 3_000 / results.seconds(value) for value in contenders}


def _copies(
    variants: Mapping[str, _Constants], files: int, mebibytes: int, storage: str, empty: Callable[[], None]
) -> dict[str, float]:
    def run(constants: _Constants, tree: Path) -> float:
        constants.apply()
        try:
            return asyncio.run(_copy(storage, tree))
        finally:
            usual.apply()

    usual = _Constants()
    with temporary_files(files, mebibytes * MIB) as tree:
        contenders = {name: partial(run, constants, tree) for name, constants in variants.items()}
        results = contest("Constants", contenders, _ROUNDS, empty)
    return {name: files * mebibytes / results.seconds(name) for name in variants}


async def _copy(storage: str, tree: Path) -> float:
    """Copy the files of a tree as one batch is copied; returns the seconds."""
    engine = ProcessEngine(Settings.from_environment({}), {STORAGE_SETTING: storage})
    place = Place(str(tree), str(tree))
    one = copier.Copier(engine(), place)
    files = (entry for entry in walk(place.real) if isinstance(entry, Item) and entry.kind == "file")
    tasks = [Task(file.key, file.kind, file.size) for file in files]
    begin = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for task in tasks:
            group.create_task(one.save([task]))
    seconds = time.perf_counter() - begin
    await engine.close()
    return seconds
