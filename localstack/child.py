"""A child process whose output explains its failures, and that never outlives this process."""

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Self

from localstack.errors import StackError, UsageError

_STOP_SECONDS = 12.0  # the host promises to stop within 10
_TAIL_LINES = 20


class Child:
    """A running program. Make one with `start`; `stop` ends it, whatever state it is in."""

    def __init__(self, name: str, process: subprocess.Popen[bytes], log: IO[bytes] | None) -> None:
        self.name = name
        self._process = process
        self._log = log

    @classmethod
    def start(
        cls, name: str, command: Sequence[str], *, cwd: Path, environ: Mapping[str, str], quiet: bool
    ) -> Self:
        """Start `command`; `name` is what messages call it.

        A quiet child writes to an unnamed file that `output` reads; any other writes to this process's own
        standard streams. The child gets a session of its own, so that a Ctrl-C on the terminal reaches this
        process alone, which then stops its children in order. Call it from a thread that lives as long as the
        child should: Linux counts the death of that thread as the death of the parent.
        """
        log = tempfile.TemporaryFile() if quiet else None  # noqa: SIM115 - closed by stop()
        process = subprocess.Popen(  # noqa: S603 - the commands are this package's own
            command,
            cwd=cwd,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT if quiet else None,
            start_new_session=True,
            preexec_fn=_end_with_parent(),  # noqa: PLW1509 - it calls the kernel and nothing that takes a lock
        )
        return cls(name, process, log)

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    def output(self) -> str:
        """What a quiet child has written so far; empty for any other."""
        if self._log is None or self._log.closed:
            return ""
        # The child writes through the same file offset: read without moving it.
        descriptor = self._log.fileno()
        return os.pread(descriptor, os.fstat(descriptor).st_size, 0).decode(errors="replace")

    def ensure_alive(self) -> None:
        """Raise StackError with the last lines of its output if it has ended."""
        if not self.alive:
            raise self.failure(f"ended with exit code {self._process.returncode}")

    def wait_until(self, ready: Callable[[], bool], seconds: float) -> None:
        """Poll `ready` until it is true. Raises StackError if the child ends or `seconds` pass before."""
        deadline = time.monotonic() + seconds
        while not ready():
            self.ensure_alive()
            if time.monotonic() > deadline:
                raise self.failure(f"was not ready within {seconds:.0f} s")
            time.sleep(0.05)
        self.ensure_alive()

    def failure(self, what: str) -> StackError:
        """An error that says `what` happened to it and what it said last."""
        tail = "\n".join(self.output().rstrip().splitlines()[-_TAIL_LINES:])
        return StackError(f"{self.name} {what}." + (f" Its last output:\n{tail}" if tail else ""))

    def stop(self) -> None:
        """End it: politely, and after 12 s by force. Returns when it is gone."""
        if self.alive:
            self._process.terminate()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
            self._process.wait()
        if self._log is not None:
            self._log.close()


def _end_with_parent() -> Callable[[], None] | None:
    """What a child runs before its program so that it gets SIGTERM when this process dies, even of SIGKILL.

    Linux only (prctl(2), PR_SET_PDEATHSIG); elsewhere a child ends with this process in every other case.
    """
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl
    parent = os.getpid()

    def in_child() -> None:
        prctl(1, signal.SIGTERM)  # 1 is PR_SET_PDEATHSIG
        if os.getppid() != parent:  # it died between the fork and the call
            os._exit(1)

    return in_child


def ensure_port_is_free(port: int, variable: str) -> None:
    """Raise UsageError naming the variable that changes the port if something listens there already."""
    with socket.socket() as probe:
        # Without it the last connections of a server that has just stopped would count as busy.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise UsageError(
                f"Port {port} of 127.0.0.1 cannot be used ({error.strerror}). "
                f"Stop what listens there, or choose another port with {variable}=N."
            ) from error
