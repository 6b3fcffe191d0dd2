"""Whoever copies and removes one file at the same time, and wherever processes end, nothing is lost.

Several processes work for one path while the file changes. Each waits before every request and every look at
the disk. Hypothesis decides which one goes on, what happens to its request, and when the file changes. So
every interleaving of requests is possible, and every end of a process between two requests.

At every moment:
- each content that was ever in `backups` is there, or in the history under its MD5;
- nothing in the history changes;
- nothing is removed but the content that the run before saved;
- the content of each entry that a process has returned as saved is in one of the two.

In the end:
- if nothing is removed, and no content comes back: `backups` has nothing that is older than what any process
  has returned as saved, attributes included;
- a run that knows of no run before makes `backups` what the disk has.
"""

import asyncio
import hashlib
import os
import tempfile
from collections.abc import Awaitable, Callable, Generator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from enum import Enum, auto
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sitebackup.activities import copier
from sitebackup.engine.engine import Engine
from sitebackup.errors import StorageUnavailableError
from sitebackup.records.entries import Entry
from sitebackup.records.outcomes import Outcome
from sitebackup.settings import Settings
from tests.support.memory import MemoryContainer
from tests.support.tasks import remove, save, saved

SMALL, SINGLE_PUT, LARGE = 5, 40, 45
"""Bytes of a small file, that go up in one request, and of a large file."""

SIZES = st.sampled_from([SMALL, LARGE])


class Move(Enum):
    """What happens next: to the file, or to a process that waits."""

    GO = auto()
    """It goes on."""
    LOSE_ANSWER = auto()
    """Its request is carried out, and the answer is lost; it learns that storage does not answer."""
    SEND_TWICE = auto()
    """Its request is carried out, the answer is lost, and it is sent again."""
    END_BEFORE = auto()
    """It ends before its request."""
    END_AFTER = auto()
    """It ends when its request has been carried out."""
    WRITE = auto()
    TOUCH = auto()
    PUT_BACK = auto()
    """The file gets content that it had before."""
    DELETE = auto()


type Script = list[tuple[Move, int, int]]
"""Moves, in order: each with a number that says of what, and with how many turns a process then has."""


class Job(Enum):
    """What a process does."""

    SAVE = auto()
    """Save the file, as the run before knows it."""
    SAVE_UNKNOWN = auto()
    """Save it, of which no run before knows."""
    REMOVE = auto()


class EndedError(BaseException):
    """Stands for the end of a process."""


@dataclass(eq=False)
class Process:
    """A process; `turn` is set while it waits for one."""

    job: Job
    task: asyncio.Task[Outcome]
    turn: asyncio.Future[Move] | None = None
    has_ended: bool = False


_process: ContextVar[Process] = ContextVar("process")


@dataclass
class Disk:
    """The file. Its modification time says which version it is: so many seconds."""

    path: Path
    version: int = 0
    contents: list[bytes] = field(default_factory=list[bytes])

    def write(self, size: int) -> None:
        self._write(b"%04d" % len(self.contents) + b"." * size)

    def put_back(self, number: int) -> None:
        self._write(self.contents[number % len(self.contents)])

    def touch(self) -> None:
        if self.path.exists():
            self.version += 1
            os.utime(self.path, ns=(1, self.version * 10**9))

    def delete(self) -> None:
        self.path.unlink(missing_ok=True)

    def _write(self, data: bytes) -> None:
        self.contents.append(data)
        self.path.write_bytes(data)
        self.touch()


class Gated:
    """A container as the processes see it: they wait before each request."""

    def __init__(self, inner: MemoryContainer, after: Callable[[], None]) -> None:
        self.inner = inner
        self._after = after

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        method = getattr(self.inner, name)

        async def request(*given: Any) -> Any:
            arguments = [value.inner if isinstance(value, Gated) else value for value in given]
            move = await a_turn()
            try:
                result = await method(*arguments)
                if move is Move.SEND_TWICE:
                    result = await method(*arguments)
            finally:
                self._after()  # also if it was sent twice, and was refused then
            if move is Move.LOSE_ANSWER:
                raise StorageUnavailableError("the answer is lost")
            if move is Move.END_AFTER:
                end()
            return result

        return request


async def a_turn() -> Move:
    """Wait until it is this process's turn; return what happens then."""
    process = _process.get()
    if process.has_ended:
        raise EndedError
    process.turn = asyncio.get_running_loop().create_future()
    move = await process.turn
    if move is Move.END_BEFORE:
        end()
    return move


def end() -> None:
    """End this process."""
    _process.get().has_ended = True
    raise EndedError


def md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


class Play:
    """Processes at work for one file."""

    def __init__(self, path: Path) -> None:
        self.disk = Disk(path)
        self.backups = MemoryContainer()
        self.history = MemoryContainer()
        self.entries: list[Entry] = []
        self.base: Entry | None = None
        self._size = 0
        self._blob = str(path)[1:]
        self._there: bytes | None = None
        self._ever: set[bytes] = set()
        self._kept: dict[str, bytes] = {}
        self._wrong: list[str] = []
        self._engine = self._an_engine(self.backups, self.history)

    async def begin(self, size: int) -> None:
        """Save the file for the first time."""
        self._size = size
        self.disk.write(size)
        self.base = await saved(self._engine, self.disk.path, run="first")
        self._check()
        assert not self._wrong

    async def run(self, jobs: Sequence[Job], script: Script) -> None:
        """Have the jobs done. A process that ends, or is in trouble, is followed by another one.

        Fails if anything was wrong at any moment.
        """
        moves = iter(script)
        processes = [self._start(job) for job in jobs]
        while processes:
            await _until_all_wait(processes)
            for process in [process for process in processes if process.task.done()]:
                processes.remove(process)
                if not self._has_done(process):
                    processes.append(self._start(process.job))
            waiting = [process for process in processes if process.turn is not None]
            if waiting:
                move, number, turns = next(moves, (Move.GO, 0, 1))
                if not self._change(move, number):
                    await _give_turns(waiting[number % len(waiting)], move, turns)
        assert not self._wrong

    async def mirror(self) -> bytes | None:
        """Save the file once more, knowing nothing; return what is in `backups` then."""
        await saved(self._engine, self.disk.path)
        self._check()
        assert not self._wrong
        return self._there

    def _start(self, job: Job) -> Process:
        async def work() -> Outcome:
            _process.set(process)
            gated = [Gated(container, self._check) for container in (self.backups, self.history)]
            engine = self._an_engine(*gated)
            if job is Job.REMOVE:
                assert self.base is not None
                return await remove(engine, self.disk.path, self.base)
            base = self.base if job is Job.SAVE else None
            return await save(engine, self.disk.path, base, kind="file", size=self._size)

        process = Process(job, asyncio.create_task(work()))
        return process

    def _an_engine(self, backups: Any, history: Any) -> Engine:
        limits = Settings((), concurrency=8, list_budget=1)
        engine = Engine(limits, backups, MemoryContainer(), history, MemoryContainer())

        async def in_turn(function: Callable[[], Any]) -> Any:
            if _process.get(None) is not None:
                await a_turn()
            return function()

        engine.disk = lambda _: in_turn  # pyright: ignore[reportAttributeAccessIssue, reportUnknownLambdaType]
        return engine

    def _change(self, move: Move, number: int) -> bool:
        """Change the file, if that is the move."""
        match move:
            case Move.WRITE:
                self.disk.write((self._size, self._size, SMALL, LARGE)[number % 4])
            case Move.TOUCH:
                self.disk.touch()
            case Move.PUT_BACK:
                self.disk.put_back(number)
            case Move.DELETE:
                self.disk.delete()
            case _:
                return False
        return True

    def _has_done(self, process: Process) -> bool:
        error = process.task.exception()
        if error is not None:
            assert process.has_ended or isinstance(error, StorageUnavailableError)
            return False
        entry = process.task.result().entry
        if entry.is_saved:
            self.entries.append(entry)
            self._check()
        return True

    def _check(self) -> None:
        """Note what is wrong now. A process would take a failure for its own."""
        before, now = self._there, self.backups.blobs.get(self._blob)
        self._there = None if now is None else now[0]
        if self._there is not None:
            self._ever.add(self._there)
        kept = {name: data for name, (data, _) in self.history.blobs.items()}
        ever = {f"{self._blob}/{md5(data)}": data for data in self._ever}
        is_removed = before is not None and self._there is None
        was_known = self.base is not None and md5(before or b"") == self.base.md5
        checks = {
            "something else was removed": not is_removed or was_known,
            "the history has changed": kept | self._kept == kept,
            "the history has something under the name of something else": kept.items() <= ever.items(),
            "something is lost": set(ever.values()) - set(kept.values()) <= {self._there},
            "what was saved was never there": all(
                f"{self._blob}/{entry.md5}" in ever for entry in self.entries
            ),
        }
        self._kept = kept
        self._wrong += [words for words, is_right in checks.items() if not is_right]


async def _until_all_wait(processes: Sequence[Process]) -> None:
    """Let the event loop go on until each process waits for its turn, or has ended."""
    while any(process.turn is None and not process.task.done() for process in processes):  # noqa: ASYNC110
        await asyncio.sleep(0)


async def _give_turns(process: Process, move: Move, turns: int) -> None:
    """Let a process make a move, and go on for some turns, as long as it has not ended."""
    for _ in range(turns):
        if process.turn is None:
            return
        turn, process.turn = process.turn, None
        turn.set_result(move)
        move = Move.GO
        await _until_all_wait([process])


FAULTS = [Move.LOSE_ANSWER, Move.SEND_TWICE, Move.END_BEFORE, Move.END_AFTER]


def scripts(*changes: Move) -> st.SearchStrategy[Script]:
    kinds = st.sampled_from([*[Move.GO] * 8, *FAULTS, *changes])
    return st.lists(st.tuples(kinds, st.integers(0, 11), st.integers(1, 8)), max_size=40)


def jobs(*kinds: Job) -> st.SearchStrategy[list[Job]]:
    return st.lists(st.sampled_from(kinds), min_size=2, max_size=3)


@pytest.fixture(scope="module", autouse=True)
def small_limits() -> Generator[None]:
    """Files of a few bytes are large already."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(copier, "SINGLE_PUT", SINGLE_PUT)
        patch.setattr(copier, "SLACK", 8)
        yield


def play(size: int, scene: Callable[[Play], Awaitable[None]]) -> None:
    """Play a scene with a file of its own."""

    async def played(play: Play) -> None:
        await play.begin(size)
        await scene(play)

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(played(Play(Path(folder, "f"))))


async def check(play: Play, jobs: Sequence[Job], script: Script) -> None:
    """Play a script, and fail unless it ends as it should."""
    await play.run(jobs, script)
    moves = {move for move, _, _ in script}
    if Job.REMOVE not in jobs and not moves & {Move.PUT_BACK, Move.DELETE}:
        (_, about) = play.backups.blobs[str(play.disk.path)[1:]]
        assert all(about.metadata["mtime"] >= (entry.mtime or "") for entry in play.entries)
    if play.disk.path.exists():
        assert await play.mirror() == play.disk.path.read_bytes()


@settings(max_examples=400, deadline=None)
@given(
    SIZES,
    jobs(Job.SAVE, Job.SAVE_UNKNOWN, Job.REMOVE),
    scripts(Move.WRITE, Move.TOUCH, Move.PUT_BACK, Move.DELETE),
)
def test_nothing_that_was_ever_saved_is_lost(size: int, jobs: list[Job], script: Script) -> None:
    play(size, lambda play: check(play, jobs, script))


@settings(max_examples=400, deadline=None)
@given(SIZES, jobs(Job.SAVE, Job.SAVE_UNKNOWN), scripts(Move.WRITE, Move.WRITE, Move.TOUCH))
def test_whoever_comes_late_nothing_older_replaces_what_is_newer(
    size: int, jobs: list[Job], script: Script
) -> None:
    play(size, lambda play: check(play, jobs, script))


@pytest.mark.parametrize("late", Job)
@pytest.mark.parametrize("other", Job)
@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_wherever_a_process_stands_still_while_another_does_all_its_work_nothing_is_lost(
    late: Job, other: Job, size: int
) -> None:
    before = [Move.WRITE, Move.TOUCH, Move.DELETE]
    meanwhile = [Move.WRITE, Move.TOUCH, Move.PUT_BACK, Move.DELETE]
    for turns, first, then in product(range(9), before, meanwhile):
        script = [(first, 0, 1), (Move.GO, 0, turns), (then, 0, 1), (Move.GO, 1, 100)]
        play(size, lambda play, script=script: check(play, [late, other], script))
