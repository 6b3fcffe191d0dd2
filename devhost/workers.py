"""One worker process, seen from the host: starting it, calling functions in it, stopping it."""

import asyncio
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from .frames import Frame, encode, read_frame
from .functions import Function, parse_function
from .invocations import (
    Failure,
    Invocation,
    InvocationResult,
    InvocationTimeoutError,
    WorkerLostError,
    WorkerRecycledError,
)
from .settings import HostSettings

START_SECONDS = 60.0
"""A worker that has not loaded the app by then is given up; the Functions host allows as much."""

_PACKAGE_PARENT = Path(__file__).resolve().parent.parent
# Past the grace that a worker gives its own functions.
_STOP_SECONDS = 4.0
# A process that has closed its connection is on its way out; a killed one goes, unless the kernel holds it.
_EXIT_SECONDS = 1.0
_INDEX = "index"

_logger = logging.getLogger(__name__)


class IndexingError(Exception):
    """The worker could not load the app. Holds the worker's own message and traceback."""


class Worker:
    """A started worker; `start` makes one. It ends once, and whatever it holds then fails at that moment.

    It has ended when its process has, when its connection has, or when it was killed: whichever comes first.
    A child that a function forked may keep the connection open, and a process may take no signal for as long
    as the kernel waits for a disk.
    """

    def __init__(self, process: asyncio.subprocess.Process, writer: asyncio.StreamWriter) -> None:
        self.functions: list[Function] = []
        self.loss: WorkerLostError | None = None
        """Why it has ended, once it has."""
        self.on_end: Callable[[Worker, WorkerLostError], None] | None = None
        self._process = process
        self._writer = writer
        self._pending: dict[str, asyncio.Future[Frame]] = {}
        self._watching: asyncio.Task[None]

    @classmethod
    async def start(cls, settings: HostSettings) -> "Worker":
        """Spawns a worker and waits until it has indexed the app.

        Raises:
            IndexingError: the app doesn't load.
            WorkerLostError: the process could not be started, ended before it answered, or took too long.
        """
        try:
            process, connection = await _spawn(settings)
            reader, writer = await asyncio.open_unix_connection(sock=connection)
        except OSError as error:
            raise WorkerLostError(f"The worker could not be started: {error.strerror or error}.") from error
        worker = cls(process, writer)
        index = worker._expect(_INDEX)
        worker._watching = asyncio.create_task(worker._watch(reader))
        try:
            async with asyncio.timeout(START_SECONDS):
                worker.functions = _functions(await index)
        except TimeoutError:
            await worker.stop()
            raise WorkerLostError(f"The worker did not load the app within {START_SECONDS:g} s.") from None
        except BaseException:
            await worker.stop()
            raise
        return worker

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def busy(self) -> int:
        """Invocations in hand."""
        return len(self._pending)

    async def invoke(
        self, invocation: Invocation, inputs: Mapping[str, str], limit_seconds: float | None
    ) -> InvocationResult:
        """Runs a function.

        Raises:
            InvocationTimeoutError: it took longer than the limit; the worker is killed.
            WorkerRecycledError: the worker was killed because another function took longer.
            WorkerLostError: the worker ended meanwhile.
        """
        if self.loss is not None:
            raise self.loss
        header = {
            "id": invocation.id,
            "function": invocation.function.id,
            "parameter": invocation.function.trigger_parameter,
            "output": invocation.function.http_output,
            "refusals": {binding.name: binding.refusal() for binding in invocation.function.missing},
            "kind": invocation.kind,
            "http": invocation.http,
            "metadata": invocation.metadata,
            "inputs": inputs,
        }
        answer = self._expect(invocation.id)
        self._writer.write(encode(Frame(header, invocation.payload)))
        try:
            await asyncio.wait({answer}, timeout=limit_seconds)
        finally:
            self._pending.pop(invocation.id, None)
        if limit_seconds is not None and not answer.done():
            self.kill()
            raise InvocationTimeoutError(limit_seconds)
        return _result(answer.result())

    def kill(self) -> None:
        """Ends it at once. What it holds fails with WorkerRecycledError."""
        self._end(WorkerRecycledError(f"Worker {self.pid} was stopped."))

    async def stop(self) -> None:
        """Lets the process end by itself, then makes it. Returns when it is gone."""
        self._watching.cancel()
        self._writer.close()
        if not await self._exits_within(_STOP_SECONDS):
            self.kill()
            if not await self._exits_within(_EXIT_SECONDS):
                _logger.error("Worker %d was killed and is still there.", self.pid)
        self.kill()  # what its functions have started

    def _expect(self, identity: str) -> asyncio.Future[Frame]:
        future: asyncio.Future[Frame] = asyncio.get_running_loop().create_future()
        self._pending[identity] = future
        return future

    async def _watch(self, reader: asyncio.StreamReader) -> None:
        reading = asyncio.create_task(self._read_answers(reader))
        exiting = asyncio.create_task(self._process.wait())
        try:
            await asyncio.wait({reading, exiting}, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait({exiting}, timeout=_EXIT_SECONDS)
            # Whoever else holds the other end: what is there already is read, and then it is at its end.
            with suppress(OSError):
                self._writer.get_extra_info("socket").shutdown(socket.SHUT_RD)
            await asyncio.wait({reading})
            when = " while it started" if _INDEX in self._pending else ""
            how = _how(self._process.returncode)
            self._end(WorkerLostError(f"Worker {self.pid} ended{how}{when}."))
        finally:
            reading.cancel()
            exiting.cancel()

    async def _read_answers(self, reader: asyncio.StreamReader) -> None:
        while (frame := await read_frame(reader)) is not None:
            future = self._pending.pop(frame.header["id"], None)
            if future is not None and not future.done():
                future.set_result(frame)

    def _end(self, loss: WorkerLostError) -> None:
        with suppress(ProcessLookupError, PermissionError):  # the latter is what macOS says of a zombie
            os.killpg(self.pid, signal.SIGKILL)
        if self.loss is not None:
            return
        self.loss = loss
        self._writer.close()
        for future in self._pending.values():
            if not future.done():
                future.set_exception(loss)
        if self.on_end is not None:
            self.on_end(self, loss)

    async def _exits_within(self, seconds: float) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._process.wait()
        return self._process.returncode is not None


async def _spawn(settings: HostSettings) -> tuple[asyncio.subprocess.Process, socket.socket]:
    """A worker process, and the host's end of the connection to it. Raises OSError."""
    ours, theirs = socket.socketpair()
    with theirs:
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "devhost.worker_main",
                str(theirs.fileno()),
                str(settings.app),
                str(settings.function_log_level),
                cwd=_PACKAGE_PARENT,
                env=dict(settings.environment),
                stdin=asyncio.subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                # A group of its own: the terminal's Ctrl-C is the host's business, and what the worker's
                # functions start ends with it.
                start_new_session=True,
            )
        except BaseException:
            ours.close()
            raise
    return process, ours


def _how(exit_code: int | None) -> str:
    if exit_code is None:
        return ""
    if exit_code < 0:
        return f" by signal {-exit_code}"
    return f" with exit code {exit_code}"


def _functions(index: Frame) -> list[Function]:
    """Raises IndexingError."""
    if "failure" in index.header:
        failure = Failure(**index.header["failure"])
        raise IndexingError(f"{failure.message}\n{failure.stack}".rstrip())
    return [parse_function(metadata) for metadata in index.header["functions"]]


def _result(frame: Frame) -> InvocationResult:
    failure = frame.header.get("failure")
    if failure is not None:
        return InvocationResult(failure=Failure(**failure))
    return InvocationResult(
        kind=frame.header["kind"], payload=frame.payload, http=frame.header.get("http") or {}
    )
