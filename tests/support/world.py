"""Whole runs in this process, on containers in memory, with trouble at any request.

Microsoft's replay engine runs the orchestrations (`tests.support.hub`), and each activity runs with an engine
of its own, as if in a process of its own. What goes wrong comes from a seed: storage that does not answer,
an answer that is lost, a process that is killed before or after a request, and one that is only believed to
be dead, and goes on much later.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path
from typing import Any

from sitebackup import names
from sitebackup.activities.running import Body, run
from sitebackup.engine.engine import Engine
from sitebackup.errors import StorageUnavailableError
from sitebackup.registry import ACTIVITIES
from sitebackup.settings import Settings
from tests.support.hub import Hub, Instance
from tests.support.memory import MemoryContainer


class Fault(Enum):
    """What happens to a request."""

    NO_ANSWER = auto()
    LOST_ANSWER = auto()
    KILLED_BEFORE = auto()
    KILLED_AFTER = auto()
    LATE = auto()
    """The process stands still before the request, is given up, and sends it much later."""


class Killed(BaseException):
    """The process of an activity is dead: it sends no further request."""


@dataclass
class _Process:
    """The process of one activity."""

    given_up: asyncio.Event = field(default_factory=asyncio.Event)
    is_dead: bool = False


_process: ContextVar[_Process] = ContextVar("process")


class World:
    """The containers, and runs on them. `rate`: the share of requests that something happens to.

    `between` is called before each activity. It may start another run, which ends before the activity begins.
    """

    def __init__(self, root: Path, seed: int = 0, rate: float = 0.0) -> None:
        self.backups = MemoryContainer()
        self.history = MemoryContainer()
        self.catalog = MemoryContainer()
        self.runs = MemoryContainer()
        self.rate = rate
        self.faults: list[Fault] = []
        self.between: Callable[[], None] = lambda: None
        self._root = root
        self._random = random.Random(seed)  # noqa: S311 - what goes wrong, no secret
        self._late: list[asyncio.Future[None]] = []
        self._working: set[asyncio.Task[Any]] = set()
        self._loop = asyncio.new_event_loop()
        self._numbers = 0

    def backup(self, root: Path | None = None, **options: Any) -> Instance:
        """Back up the root, or another one that is below it or above it, to the end of the run."""
        self._numbers += 1
        activities = {name: self._activity(body) for name, body in ACTIVITIES.items()}
        hub = Hub(activities, seed=self._random.randrange(1 << 30), keep_turns=False)
        request = {"rootDirectory": str(root or self._root), **options}
        return hub.run(names.BACKUP_SITE_CONTENT, request, f"run-{self._numbers}")

    def wake_the_late(self) -> None:
        """Let every process that was given up go on to its end, in any order."""
        while self._late:
            self._random.shuffle(self._late)
            late = self._late.pop()
            if not late.done():
                late.set_result(None)
            self._loop.run_until_complete(asyncio.sleep(0.002))
        if self._working:
            self._loop.run_until_complete(asyncio.wait(list(self._working), timeout=30))

    def close(self) -> None:
        """Close the event loop."""
        for task in self._working:
            task.cancel()
        if self._working:
            self._loop.run_until_complete(asyncio.wait(list(self._working), timeout=30))
        self._loop.close()

    def _activity(self, body: Body) -> Any:
        def activity(request: Any) -> Any:
            self.between()
            return self._loop.run_until_complete(self._perform(body, request))

        return activity

    async def _perform(self, body: Body, request: Mapping[str, Any]) -> Any:
        process = _Process()
        _process.set(process)
        work = asyncio.create_task(self._work(body, request))
        self._working.add(work)
        work.add_done_callback(self._working.discard)
        given_up = asyncio.create_task(process.given_up.wait())
        await asyncio.wait({work, given_up}, return_when=asyncio.FIRST_COMPLETED)
        given_up.cancel()
        if not work.done():
            raise RuntimeError("the worker ended")
        if (error := work.exception()) is not None:
            if process.is_dead:
                raise RuntimeError("the worker ended")
            raise error
        return work.result()

    async def _work(self, body: Body, request: Mapping[str, Any]) -> Any:
        engine = Engine(
            Settings((str(self._root.parent),), concurrency=4, list_budget=12),
            backups=self._troubled(self.backups),
            runs=self._troubled(self.runs),
            history=self._troubled(self.history),
            catalog=self._troubled(self.catalog),
        )
        try:
            return await run(body, request, lambda: engine, _goes_on)
        finally:
            engine.close()

    def _troubled(self, container: MemoryContainer) -> Any:
        return _Troubled(container, self)

    async def before(self) -> Fault | None:
        """Decide what happens to a request, and make happen what comes before it."""
        process = _process.get()
        if process.is_dead:
            raise Killed
        await asyncio.sleep(0)
        if self._random.random() >= self.rate:
            return None
        fault = self._random.choice(list(Fault))
        self.faults.append(fault)
        if fault is Fault.NO_ANSWER:
            raise StorageUnavailableError("no answer")
        if fault is Fault.KILLED_BEFORE:
            self._kill(process)
        if fault is Fault.LATE:
            late = self._loop.create_future()
            self._late.append(late)
            process.given_up.set()
            await late
        return fault

    def after(self, fault: Fault | None) -> None:
        """Make happen what comes after a request."""
        if fault is Fault.LOST_ANSWER:
            raise StorageUnavailableError("the answer is lost")
        if fault is Fault.KILLED_AFTER:
            self._kill(_process.get())

    def _kill(self, process: _Process) -> None:
        process.is_dead = True
        raise Killed


class _Troubled:
    """A container as an activity sees it."""

    def __init__(self, inner: MemoryContainer, world: World) -> None:
        self.inner = inner
        self._world = world

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.inner, name)

        async def call(*args: Any, **options: Any) -> Any:
            fault = await self._world.before()
            result = await method(*map(_inner, args), **options)
            self._world.after(fault)
            return result

        async def items(*args: Any, **options: Any) -> AsyncIterator[Any]:
            fault = await self._world.before()
            async for item in method(*args, **options):
                yield item
            self._world.after(fault)

        return items if name in ("list", "pages") else call


def _inner(value: Any) -> Any:
    return value.inner if isinstance(value, _Troubled) else value


async def _goes_on(_: str) -> bool:
    return False
