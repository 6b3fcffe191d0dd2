"""The project's commands, run as a person runs them: `make ...` in the project's own directory."""

import os
import signal
import subprocess
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from localstack.settings import PROJECT
from tests.e2e.support.apps import clean_environ, free_port
from tests.e2e.support.waiting import wait_until

# A test must never set up the environment that it runs in.
_MAKE = ("make", "--assume-old=.venv/.set-up", "--assume-old=node_modules/.set-up")


def stack_environ(data: Path | str = ":memory:") -> dict[str, str]:
    """Settings for a stack that is in nobody's way: free ports, blobs in `data`."""
    names = ("PORT", "AZURITE_BLOB_PORT", "AZURITE_QUEUE_PORT", "AZURITE_TABLE_PORT")
    return {**{name: str(free_port()) for name in names}, "AZURITE_DATA": str(data)}


def make(*arguments: str, environ: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run `make` to its end with `environ` on top of a clean environment."""
    return run([*_MAKE, *arguments], {**clean_environ(), **environ})


def run_line(line: str, environ: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a line of shell as pasted into a terminal in the project's directory."""
    return run(["bash", "-c", line], {**clean_environ(), **environ})


def run(
    command: Sequence[str], environ: Mapping[str, str], cwd: Path = PROJECT
) -> subprocess.CompletedProcess[str]:
    """Run a command of the project to its end, within 60 s, with `environ` as its whole environment."""
    return subprocess.run(  # noqa: S603 - tests say what is run
        command,
        cwd=cwd,
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@dataclass(frozen=True, slots=True)
class Foreground:
    """A `make start` that runs, with everything that it started."""

    process: subprocess.Popen[str]
    output: Path
    environ: Mapping[str, str]

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.environ['PORT']}"

    def part(self, word: str) -> psutil.Process:
        """Its topmost process that has `word` in its command line."""
        return next(process for process in self.parts() if word in " ".join(process.cmdline()))

    def parts(self) -> list[psutil.Process]:
        """Every process below `make`, parents first."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def interrupt(self, number: signal.Signals) -> None:
        """Send what a terminal sends on Ctrl-C: the signal to the whole foreground group."""
        os.killpg(self.process.pid, number)

    def wait(self, seconds: float = 20) -> int:
        """Its exit code, once it has ended."""
        return self.process.wait(seconds)


@contextmanager
def make_start(environ: Mapping[str, str], scratch: Path) -> Generator[Foreground]:
    """`make start` from the moment that it says how to use it; ended at the latest after the block."""
    output = scratch / f"start-{environ['PORT']}.log"
    with output.open("w") as log:
        process = subprocess.Popen(  # noqa: S603 - tests say what is run
            [*_MAKE, "start"],
            cwd=PROJECT,
            env={**clean_environ(), **environ},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
    started = Foreground(process, output, environ)
    try:
        wait_until(
            lambda: process.poll() is not None or "Ctrl-C" in output.read_text(),
            60,
            output.read_text,
        )
        yield started
    finally:
        if process.poll() is None:
            started.interrupt(signal.SIGTERM)
            process.wait(20)
