"""A function app in the local host, one worker process: this project's, or the tutorial's."""

import os
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.histories import histories
from benchmarks.trees import CACHE, KIB, many_files
from benchmarks.uploads import CONCURRENCY
from localstack.client import BackupClient, Document
from localstack.host import Host
from localstack.settings import PROJECT, STORAGE_SETTING

TUTORIAL = Path(__file__).resolve().parent / "tutorial_app"
"""The tutorial's shape: one activity a file."""

MEASURED = Path(__file__).resolve().parent / "measured_app"
"""This project's app, with a note of how long each activity takes (`benchmarks.measured`)."""

_RUN_SECONDS = 1_800
_POLL_SECONDS = 0.1
"""Seconds between two looks at a status: each takes the host some milliseconds of what is measured."""


class BackupFailedError(Exception):
    """A backup that was to be measured did not complete."""


@dataclass(frozen=True, slots=True)
class Run:
    """A backup: the seconds from the POST until `Completed` was seen, its instance, and its custom status."""

    seconds: float
    instance_id: str
    status: Document

    def ensure_changed(self, files: int) -> None:
        """Raise `BackupFailedError` unless so many files have changed and no others came or went."""
        counts = self.status["files"]
        found = [counts[what] for what in ("new", "changed", "gone")]
        if found != [0, files, 0] or not counts["unchanged"]:
            raise BackupFailedError(f"It was to find {files} changed files and none new or gone: {counts}")


class App:
    """An app that serves."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def warm_up(self) -> None:
        """Have it load and connect what the first backup of a process loads and connects."""
        self.back_up(many_files(300, 1 * KIB, 8 * KIB))

    def back_up(self, tree: Path) -> Run:
        """Back up a tree. Raises `BackupFailedError` unless that completes."""
        with BackupClient(self._host.base_url) as client:
            begin = time.perf_counter()
            started = client.start(str(tree))
            for document in client.follow(started, _POLL_SECONDS):
                seconds = time.perf_counter() - begin
                status = document["runtimeStatus"]
                if status == "Completed":
                    return Run(seconds, started["id"], document["customStatus"])
                if seconds > _RUN_SECONDS or status not in ("Pending", "Running"):
                    raise BackupFailedError(f"{status} after {seconds:.0f} s: {document['output']}")
        raise AssertionError("a backup has an end")

    def worker(self) -> psutil.Process:
        """Return the process in which its functions run."""
        (worker,) = psutil.Process(self._host.pid).children(recursive=True)
        return worker

    def events(self, run: Run) -> list[int]:
        """Return the number of events in each history of a run: its own, and its sub-orchestrations'."""
        return [len(history) for history in histories(self._host, run.instance_id)]


@contextmanager
def running_app(storage: str, app: Path = PROJECT, **settings: str) -> Generator[App]:
    """Run an app that writes to `storage`, with further app settings."""
    environ = {
        **os.environ,
        STORAGE_SETTING: storage,
        "BACKUP_ALLOWED_ROOTS": str(CACHE),
        "BACKUP_CONCURRENCY": str(CONCURRENCY),
        "PYTHON_THREADPOOL_THREAD_COUNT": str(CONCURRENCY),
        "FUNCTIONS_WORKER_PROCESS_COUNT": "1",
        "PYTHONPATH": str(PROJECT),  # for an app elsewhere that is this one
        **settings,
    }
    with Host(0, environ, quiet=True, app=app) as host:
        yield App(host)
