"""One backup through everything at once: workers killed, storage stopped, requests that go wrong.

The app runs in four worker processes, on an emulator that keeps its blobs on the disk, by way of the proxy of
the end-to-end tests. All the while workers are killed at random moments, the emulator is stopped and started
again, and one in so many requests meets the next kind of fault. In the end the container is held against
the tree by code that is not the app's: every name, every byte, nothing missing and nothing extra.

What is random comes from a seed; what meets what is up to the machine.
"""

import random
import threading
import time
from collections import Counter
from collections.abc import Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

import psutil
from durabletask.history import TaskScheduledEvent

from benchmarks.histories import histories
from benchmarks.trees import temporary_folder
from localstack.azurite import Azurite
from localstack.client import Document
from localstack.settings import EmulatorPorts
from sitebackup.names import COPY_FILE_TO_BLOB
from tests.e2e.support.apps import RunningApp, running_app
from tests.e2e.support.containers import Comparison, compare
from tests.e2e.support.proxy import Request, Trouble, storage_proxy
from tests.e2e.support.trees import Size, Tree, make_tree, total_bytes

WORKERS = 4

FAULTS = tuple(trouble for trouble in Trouble if trouble not in (Trouble.FORBIDDEN, Trouble.FORGOTTEN))
"""Every kind but the two that end a run, as they must: FORBIDDEN at once, FORGOTTEN when a blob is missed."""

_FAULT_RATE = 0.04
"""Share of the requests that meet a fault."""

_OUTAGE_SECONDS = 8.0
"""That storage is down, at most; starting it takes some more."""


_LARGE = 9 * 1024 * 1024
"""Bytes of one file in five hundred, which goes up in blocks; the others have up to 8 KiB."""

_RUN_SECONDS = 3_600


@dataclass(frozen=True, slots=True)
class Chaos:
    """What a run has to endure: its number of files, the workers killed, the stops of storage.

    `kill_seconds` pass between two kills, on average.
    """

    files: int
    kills: int
    stops: int
    kill_seconds: float = 3.0
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Endured:
    """How a run of `files` files went. The counts are of what happened while it ran, `faults` by kind.

    `attempts` at copying its batches. `end` is its last status document. `bytes` is what the tree has.
    """

    chaos: Chaos
    seconds: float
    kills: int
    stops: int
    faults: Counter[Trouble]
    batches: int
    attempts: int
    end: Document
    bytes: int
    found: Comparison

    def to_facts(self) -> dict[str, str]:
        """Return what there is to say, by what it is of."""
        asked, found = self.chaos, self.found
        faults = ", ".join(f"{count} {kind.name}" for kind, count in sorted(self.faults.items()))
        return {
            "files": f"{asked.files:,}, {self.bytes:,} bytes, seed {asked.seed}",
            "run": f"{self.end['runtimeStatus']} after {self.seconds:.0f} s, {WORKERS} workers",
            "workers killed while it ran": f"{self.kills} of {asked.kills}",
            "storage stopped while it ran": f"{self.stops} of {asked.stops}",
            "faults": f"{self.faults.total()}: {faults}",
            "attempts": f"{self.attempts} at {self.batches} batches",
            "files lost, wrong, extra": f"{len(found.lost)}, {len(found.wrong)}, {len(found.extra)}",
            "of these": ", ".join(map(str, [*found.lost, *found.wrong, *found.extra][:10])) or "none",
            "output": str(self.end["output"]),
        }

    @property
    def ok(self) -> bool:
        """Whether all of it happened while the run lasted, and everything is saved, and said to be."""
        happened = (self.kills, self.stops) == (self.chaos.kills, self.chaos.stops)
        completed = (self.end["runtimeStatus"], self.end["output"]) == ("Completed", self.bytes)
        whole = not (self.found.lost or self.found.extra or self.found.wrong)
        return happened and all(self.faults[kind] for kind in FAULTS) and completed and whole


def endure(chaos: Chaos) -> Endured:
    """Back up a tree through `chaos`."""
    with temporary_folder() as folder:
        root = make_tree(folder / "site", _tree(chaos))
        faults = _Faults(chaos)
        with _app(folder, faults) as (azurite, app):
            begin = time.monotonic()
            started = app.client.start(str(root))
            ordeal = _Ordeal(chaos, azurite, app, started)
            ordeal.go()
            faults.calm()
            with suppress(TimeoutError):
                app.client.wait(started, _RUN_SECONDS - (time.monotonic() - begin))
            seconds = time.monotonic() - begin
            batches = _batches_scheduled(app, started)
            return Endured(
                chaos=chaos,
                seconds=seconds,
                kills=ordeal.kills,
                stops=ordeal.stops,
                faults=faults.made,
                batches=len(batches),
                attempts=batches.total(),
                end=app.client.status(started),
                bytes=total_bytes(root),
                found=compare(app.container, root),
            )


@contextmanager
def _app(folder: Path, faults: "_Faults") -> Generator[tuple[Azurite, RunningApp]]:
    """The app, with its storage behind a proxy that makes `faults`."""
    with Azurite(EmulatorPorts(0, 0, 0), folder / "azurite") as azurite, storage_proxy(azurite) as proxy:
        settings = {
            "BACKUP_ALLOWED_ROOTS": str(folder),
            "BackupStorage": proxy.connection_string,
            "FUNCTIONS_WORKER_PROCESS_COUNT": str(WORKERS),
        }
        with proxy.rule("/", faults), running_app(azurite, settings, crash_limit=False) as app:
            yield azurite, app


def _tree(chaos: Chaos) -> Tree:
    dice = _dice(chaos, "sizes")
    directories: dict[str, dict[str, Size]] = {}
    for number in range(chaos.files):
        size = _LARGE if number % 500 == 0 else dice.randint(1, 8 * 1024)
        directories.setdefault(f"d{number // 100:03}", {})[f"f{number:05}"] = Size(size)
    return directories


def _dice(chaos: Chaos, purpose: str) -> random.Random:
    return random.Random(f"{purpose} {chaos.seed}")  # noqa: S311 - moments and sizes, no secret


class _Faults:
    """A rule for the proxy: some requests meet the next kind of fault.

    Until `calm` is called, one request goes through after the other, so slowly that those for the files alone
    take as long as all kills do: otherwise a fast machine would be done before.
    """

    def __init__(self, chaos: Chaos) -> None:
        self.made: Counter[Trouble] = Counter()
        self._dice = _dice(chaos, "faults")
        self._kinds = cycle(self._dice.sample(FAULTS, len(FAULTS)))
        self._kind = next(self._kinds)
        self._gap = chaos.kill_seconds * chaos.kills / chaos.files
        self._turn = 0.0
        self._is_calm = False
        self._lock = threading.Lock()

    def calm(self) -> None:
        """Let requests through as fast as they come, and whole once each kind of fault was made."""
        self._is_calm = True

    def __call__(self, request: Request) -> Trouble | None:
        with self._lock:
            now = time.monotonic()
            self._turn = now if self._is_calm else max(now, self._turn + self._gap)
            wait = self._turn - now
            trouble = self._draw(request)
        time.sleep(wait)
        return trouble

    def _draw(self, request: Request) -> Trouble | None:
        if self._dice.random() >= _FAULT_RATE or (self._is_calm and len(self.made) == len(FAULTS)):
            return None
        if self._kind is Trouble.DAMAGED and request.method != "PUT":
            return None  # it has no content; the next one may
        trouble, self._kind = self._kind, next(self._kinds)
        self.made[trouble] += 1
        return trouble


class _Ordeal:
    """What is done to one run while it lasts. `kills` and `stops`: how often so far."""

    def __init__(self, chaos: Chaos, azurite: Azurite, app: RunningApp, started: Document) -> None:
        self.kills = 0
        self.stops = 0
        self._chaos = chaos
        self._azurite = azurite
        self._app = app
        self._started = started

    def go(self) -> None:
        """Do all of it, or as much as the run lasts; returns with storage up again."""
        with ThreadPoolExecutor(1) as pool:
            killing = pool.submit(self._kill_workers)
            self._stop_storage(killing)  # in this thread: the emulator ends with the one that starts it
            killing.result()

    def _kill_workers(self) -> None:
        dice = _dice(self._chaos, "kills")
        while self.kills < self._chaos.kills:
            time.sleep(dice.uniform(0, 2 * self._chaos.kill_seconds))
            workers = self._app.workers()
            if not self._lasts():
                return
            if workers:
                with suppress(psutil.NoSuchProcess):
                    dice.choice(workers).kill()
                    self.kills += 1

    def _stop_storage(self, killing: Future[None]) -> None:
        dice = _dice(self._chaos, "stops")
        kills_each = self._chaos.kills / self._chaos.stops
        for number in range(self._chaos.stops):
            while self.kills < number * kills_each and not killing.done():
                time.sleep(0.05)
            time.sleep(dice.uniform(0, self._chaos.kill_seconds))
            if not self._lasts():
                return
            self._azurite.stop()
            self.stops += 1
            time.sleep(dice.uniform(0, _OUTAGE_SECONDS))
            self._azurite.start()

    def _lasts(self) -> bool:
        return self._app.client.status(self._started)["runtimeStatus"] in ("Pending", "Running")


def _batches_scheduled(app: RunningApp, started: Document) -> Counter[str]:
    """Return how often each batch was begun, by what was asked for."""
    if app.host is None:
        raise AssertionError("its host was started here")
    return Counter(
        event.input or ""
        for history in histories(app.host, started["id"])
        for event in history
        if isinstance(event, TaskScheduledEvent) and event.name == COPY_FILE_TO_BLOB
    )
