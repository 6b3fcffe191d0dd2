"""The commands of `durable_sdk` as processes: workers that run, backups that end."""

import json
import re
import subprocess
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from durable_sdk.backup import Document
from durable_sdk.connection import SETTING
from localstack.settings import PROJECT
from tests.e2e.support.commands import run
from tests.e2e.support.waiting import wait_until

_COMMAND = (sys.executable, "-m", "durable_sdk")


@dataclass(frozen=True, slots=True)
class Worker:
    """A worker process; `log` is what it writes."""

    process: subprocess.Popen[bytes]
    log: Path

    @property
    def output(self) -> str:
        return self.log.read_text()

    @property
    def connection_string(self) -> str:
        """How others reach the task hub in its memory."""
        found = re.search(f"{SETTING}='(.*)'", self.output)
        assert found, self.output
        return found[1]

    @property
    def copies(self) -> int:
        """How many times it has begun to copy a file."""
        return self.output.count(": Copying '")


@contextmanager
def running_worker(environ: Mapping[str, str], log: Path) -> Generator[Worker]:
    """A worker once it waits for work; it has a task hub of its own unless `environ` names one."""
    with log.open("wb") as stream:
        process = subprocess.Popen(  # noqa: S603 - the command is the project's own
            [*_COMMAND, "worker"], cwd=PROJECT, env=environ, stdin=subprocess.DEVNULL, stderr=stream
        )
    worker = Worker(process, log)
    try:
        wait_until(lambda: "Waiting for work items" in worker.output, 30, lambda: worker.output)
        yield worker
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(20)
            finally:
                process.kill()
                process.wait()


def back_up(root: Path, environ: Mapping[str, str]) -> tuple[int, Document]:
    """Run the backup command; its exit code and the document that it prints."""
    done = run([*_COMMAND, "backup", str(root)], environ)
    lines = done.stdout.splitlines()
    assert len(lines) == 1, done
    return done.returncode, json.loads(lines[0])
