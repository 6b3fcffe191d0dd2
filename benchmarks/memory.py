"""How much memory a worker takes: while a large file uploads, and while a large tree is listed."""

import os
import subprocess
import sys
import threading
from types import TracebackType
from typing import Self

import psutil

from benchmarks.apps import running_app
from benchmarks.figures import Figure
from benchmarks.report import say
from benchmarks.storage import emulator, null_service
from benchmarks.trees import CACHE, MIB, many_files, temporary_files
from localstack.settings import PROJECT, STORAGE_SETTING

_SAMPLE_SECONDS = 0.01
_LISTING_SECONDS = 600.0


class ListingFailedError(Exception):
    """A listing that was to be measured did not list what is there."""


class PeakMemory:
    """The resident memory of a process, looked at a hundred times a second while a block runs."""

    def __init__(self, process: psutil.Process) -> None:
        self._process = process
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self.bytes = process.memory_info().rss

    @property
    def mebibytes(self) -> float:
        """The most that was seen."""
        return self.bytes / MIB

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._end.wait(_SAMPLE_SECONDS):
            try:
                self.bytes = max(self.bytes, self._process.memory_info().rss)
            except psutil.NoSuchProcess:
                return


def upload_memory(mebibytes: int) -> Figure:
    """Measure the worker's memory over idle while one file uploads; idle is after another backup."""
    with (
        temporary_files(1, mebibytes * MIB) as tree,
        emulator() as blobs,
        running_app(blobs.connection_string) as app,
    ):
        app.warm_up()
        idle = PeakMemory(app.worker()).mebibytes
        with PeakMemory(app.worker()) as peak:
            app.back_up(tree)
    return Figure(
        f"worker memory over idle while {mebibytes:,} MiB upload, MiB",
        peak.mebibytes - idle,
        None,
        "at most",
        200,
        f"idle {idle:.0f}, peak {peak.mebibytes:.0f} MiB",
    )


def listing_memory(files: int) -> list[Figure]:
    """Measure a worker's memory while it lists `files` empty files, and a tenth of them."""
    tenth, peak = _listing_peak(files // 10), _listing_peak(files)
    name = f"peak memory while {files:,} files are listed, MiB"
    return [
        Figure(name, peak, None, "at most", 250),
        Figure(f"{name}, against {files // 10:,}", peak, tenth, "at most", 1.2),
    ]


def _listing_peak(files: int) -> float:
    tree = many_files(files, 0, 0)
    command = [sys.executable, "-m", "benchmarks.listing", str(tree)]
    with null_service() as service:
        environ = {
            **os.environ,
            STORAGE_SETTING: service.connection_string,
            "BACKUP_ALLOWED_ROOTS": str(CACHE),
        }
        worker = subprocess.Popen(command, cwd=PROJECT, env=environ, stdout=subprocess.PIPE)  # noqa: S603 - the command is above
        try:
            with PeakMemory(psutil.Process(worker.pid)) as peak:
                output, _ = worker.communicate(timeout=_LISTING_SECONDS)
        finally:
            worker.kill()
            worker.wait()
    if worker.returncode or int(output) != files:
        raise ListingFailedError(f"{files} files, exit code {worker.returncode}, listed: {output.decode()}")
    say(f"Listing of {files:,} files: peak {peak.mebibytes:.0f} MiB")
    return peak.mebibytes
