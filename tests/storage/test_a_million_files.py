"""A million files, listed and planned by the real activities and driven by the real orchestrations.

Only the disk is synthetic: it shows a walk a tree that is described, not made. The copies are not made
either; each notes which files it was to copy.
"""

import asyncio
import os
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from sitebackup import names
from sitebackup.activities import listing
from sitebackup.activities.running import run as run_activity
from sitebackup.engine.engine import Engine
from sitebackup.messages import Answer, Copied, CopyRequest, Findings, ManifestRequest, Written
from sitebackup.records.packing import MAX_BYTES, MAX_FILES
from sitebackup.settings import Settings
from sitebackup.tally import Tally
from sitebackup.tree import walking
from tests.storage.conftest import goes_on
from tests.support.hub import Hub
from tests.support.memory import MemoryContainer
from tests.support.site import compared

MILLION = 1_000_000
SIZE = 9_000
"""Bytes in each file: full batches, still below `MAX_BYTES`."""

NO_DESCRIPTOR = 1 << 30
"""No process has so many files open: closing such a descriptor closes nothing."""


def wide(directory: str) -> tuple[list[str], int]:
    """100 directories with 100 directories with 100 files each."""
    depth = directory.count("/") + 1 if directory else 0
    return ([f"d{n}" for n in range(100)], 0) if depth < 2 else ([], 100)


def flat(directory: str) -> tuple[list[str], int]:
    """One directory with a million files."""
    return [], MILLION


type Shape = Callable[[str], tuple[list[str], int]]
"""The directories and the number of files in a directory."""


@dataclass(frozen=True, slots=True)
class Name:
    """An entry of a directory as `os.scandir` gives it."""

    name: str
    is_directory: bool

    def is_dir(self, *, follow_symlinks: bool) -> bool:
        return self.is_directory and not follow_symlinks

    def is_file(self, *, follow_symlinks: bool) -> bool:
        return not self.is_directory and not follow_symlinks


class Disk:
    """What a walk uses of the module `os`, with a tree of that shape at `root`; its files are like `file`."""

    def __init__(self, shape: Shape, root: Path, file: Path) -> None:
        self._root = str(root)
        self._directory, self._file = root.lstat(), file.lstat()
        self._opened = [""]

        @cache
        def entries(directory: str) -> list[Name]:
            below, files = shape(directory)
            return [*(Name(name, True) for name in below), *(Name(f"f{n}", False) for n in range(files))]

        self._entries = entries

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def open(self, path: str, _flags: int) -> int:
        self._opened.append(path.removeprefix(self._root).strip("/"))
        return NO_DESCRIPTOR + len(self._opened) - 1

    def fstat(self, _descriptor: int) -> os.stat_result:
        return self._directory

    def stat(self, _name: str, *, dir_fd: int, follow_symlinks: bool) -> os.stat_result:
        assert dir_fd > NO_DESCRIPTOR
        assert not follow_symlinks
        return self._file

    @contextmanager
    def scandir(self, descriptor: int) -> Generator[Iterator[Name]]:
        yield iter(self._entries(self._opened[descriptor - NO_DESCRIPTOR]))


def lies_within(_descriptor: int, _directory: str) -> bool:
    return True


@pytest.mark.timeout(240)
@pytest.mark.parametrize("shape", [wide, flat])
def test_every_file_is_in_exactly_one_batch_and_no_history_grows_with_the_tree(
    shape: Shape, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, file = tmp_path / "root", tmp_path / "file"
    root.mkdir()
    file.write_bytes(b"x" * SIZE)
    monkeypatch.setattr(walking, "os", Disk(shape, root, file))
    monkeypatch.setattr(walking, "lies_within", lies_within)
    runs = MemoryContainer()
    seen: set[str] = set()
    copied = 0
    with asyncio.Runner() as runner:
        settings = Settings((str(root),), concurrency=1, list_budget=20_000)

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

        def write(request: Any) -> Any:
            if not ManifestRequest.from_json(request).is_last:
                return Written().to_json()
            tally = Tally(files=copied, bytes=copied * SIZE)
            return Written(tally=tally, manifest="manifests/run/index.json").to_json()

        hub = Hub(
            {
                names.GET_FILE_LIST: get_file_list,
                names.COPY_FILE_TO_BLOB: copy,
                names.WRITE_MANIFEST: write,
                names.VERIFY_MANIFEST: lambda _: compared(Findings(checked=copied)),
                names.END_RUN: lambda _: Answer().to_json(),
            },
            keep_turns=False,
            at_once=20,
        )
        run = hub.run(names.BACKUP_SITE_CONTENT, str(root))
        engine.close()

    assert run.output == MILLION * SIZE
    assert copied == len(seen) == MILLION
    assert max(instance.longest_history for instance in hub.instances) <= 1_000
    events = [event.SerializeToString() for instance in hub.instances for event in instance.history]
    assert len(events) / MILLION <= 0.02
    assert max(map(len, events)) < 64 * 1024
    assert not any(b"/f" in event for event in events), "a file's name is in a history"
