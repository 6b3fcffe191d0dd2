"""A million files, listed and planned by the real activities and driven by the real orchestrations.

Only the disk is synthetic: `walk` yields what it would for a tree that is described, not made. The copies
are not made either; each notes which files it was to copy.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sitebackup import names
from sitebackup.activities import listing
from sitebackup.activities.running import run as run_activity
from sitebackup.engine.engine import Engine
from sitebackup.messages import Compared, Copied, CopyRequest, Findings, Written
from sitebackup.records.packing import MAX_BYTES, MAX_FILES
from sitebackup.settings import Settings
from sitebackup.tally import Tally
from sitebackup.tree.walking import Entry, Item, Left
from tests.storage.conftest import goes_on
from tests.support.hub import Hub
from tests.support.memory import MemoryContainer

MILLION = 1_000_000
SIZE = 9_000
"""Bytes in each file: full batches, still below `MAX_BYTES`."""


def wide(directory: str) -> tuple[list[str], int]:
    """100 directories with 100 directories with 100 files each."""
    depth = directory.count("/") + 1 if directory else 0
    return ([f"d{n}" for n in range(100)], 0) if depth < 2 else ([], 100)


def flat(directory: str) -> tuple[list[str], int]:
    """One directory with a million files."""
    return [], MILLION


type Shape = Callable[[str], tuple[list[str], int]]
"""The directories and the number of files in a directory."""


def synthetic_walk(shape: Shape, directories: Iterable[str], budget: float) -> Iterator[Entry]:
    pending, seen = list(directories), 0
    while pending:
        if seen >= budget:
            yield from map(Left, pending)
            return
        directory = pending.pop()
        below, files = shape(directory)
        seen += 1 + files
        pending += [f"{directory}/{name}" if directory else name for name in below]
        yield from (Item(f"{directory}/f{n}", "file", SIZE) for n in range(files))


@pytest.mark.timeout(240)
@pytest.mark.parametrize("shape", [wide, flat])
def test_every_file_is_in_exactly_one_batch_and_no_history_grows_with_the_tree(
    shape: Shape, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def walk(_root: str, directories: Iterable[str], budget: float, _selection: object) -> Iterator[Entry]:
        return synthetic_walk(shape, directories, budget)

    monkeypatch.setattr(listing, "walk", walk)
    runs = MemoryContainer()
    seen: set[str] = set()
    copied = 0
    with asyncio.Runner() as runner:
        settings = Settings((str(tmp_path),), concurrency=1, list_budget=20_000)

        async def connect() -> Engine:
            return Engine(settings, MemoryContainer(), runs, MemoryContainer(), MemoryContainer())

        engine = runner.run(connect())

        def get_file_list(request: Any) -> Any:
            return runner.run(run_activity(listing.get_file_list, request, lambda: engine, goes_on))

        def copy(request: Any) -> Any:
            nonlocal copied
            asked = CopyRequest.from_json(request)
            _, files = runner.run(engine.plans.read_batch(asked.run, asked.plan, asked.batch))
            assert 0 < len(files) <= MAX_FILES
            assert sum(file.size for file in files) <= MAX_BYTES
            seen.update(file.path for file in files)
            copied += len(files)
            return Copied(tally=Tally(files=len(files), bytes=sum(file.size for file in files))).to_json()

        hub = Hub(
            {
                names.GET_FILE_LIST: get_file_list,
                names.COPY_FILE_TO_BLOB: copy,
                names.WRITE_MANIFEST: lambda _: Written(manifest="run/manifest.ndjson").to_json(),
                names.VERIFY_MANIFEST: lambda _: Compared(findings=Findings(checked=copied)).to_json(),
            },
            keep_turns=False,
            at_once=20,
        )
        run = hub.run(names.BACKUP_SITE_CONTENT, str(tmp_path))
        engine.close()

    assert run.output == MILLION * SIZE
    assert copied == len(seen) == MILLION
    assert max(instance.longest_history for instance in hub.instances) <= 1_000
    events = [event.SerializeToString() for instance in hub.instances for event in instance.history]
    assert len(events) / MILLION <= 0.02
    assert max(map(len, events)) < 64 * 1024
    assert not any(b"/f" in event for event in events), "a file's name is in a history"
