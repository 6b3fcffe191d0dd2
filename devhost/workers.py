"""One worker process, seen from the host: starting it, calling functions in it, stopping it."""

import asyncio
import itertools
import signal
import socket
import sys
from collections.abc import Mapping
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

_PACKAGE_PARENT = Path(__file__).resolve().parent.parent
# Past the grace that a worker gives its own functions.
_STOP_SECONDS = 4.0


class IndexingError(Exception):
    """The worker could not load the app. Holds the worker's own message and traceback."""


class Worker:
    """A started worker. `start` makes one; it is of no use once `closed` is set."""

    def __init__(self, process: asyncio.subprocess.Process, writer: asyncio.StreamWriter) -> None:
        self.closed = asyncio.Event()
        self.functions: list[Function] = []
        self.killed = False
        """The host ended it on purpose: no crash."""
        self._process = process
        self._writer = writer
        self._ids = itertools.count(1)
        self._pending: dict[int, asyncio.Future[InvocationResult]] = {}
        self._reading: asyncio.Task[None] | None = None

    @classmethod
    async def start(cls, settings: HostSettings) -> "Worker":
        """Spawns a worker and waits until it has indexed the app.

        Raises:
            IndexingError: the app doesn't load.
            WorkerLostError: the process died before it answered.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "devhost.worker_main",
                str(theirs.fileno()),
                str(settings.app),
                cwd=_PACKAGE_PARENT,
                env=dict(settings.environment),
                stdin=asyncio.subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,  # the terminal's Ctrl-C is the host's business
            )
        reader, writer = await asyncio.open_unix_connection(sock=ours)
        worker = cls(process, writer)
        try:
            await worker._receive_index(reader)
        except BaseException:
            await worker.stop()
            raise
        worker._reading = asyncio.create_task(worker._read_results(reader))
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
        if self.closed.is_set():
            raise self._loss()
        number = next(self._ids)
        future: asyncio.Future[InvocationResult] = asyncio.get_running_loop().create_future()
        self._pending[number] = future
        header = {
            "id": number,
            "function": invocation.function.id,
            "parameter": invocation.function.trigger_parameter,
            "output": invocation.function.http_output,
            "kind": invocation.kind,
            "http": invocation.http,
            "inputs": inputs,
        }
        self._writer.write(encode(Frame(header, invocation.payload)))
        try:
            await asyncio.wait({future}, timeout=limit_seconds)
        finally:
            del self._pending[number]
        if limit_seconds is not None and not future.done():
            self.kill()
            raise InvocationTimeoutError(limit_seconds)
        return future.result()

    def kill(self) -> None:
        """Ends the process at once. What it held fails with WorkerRecycledError."""
        self.killed = True
        self._kill_process()

    async def stop(self) -> None:
        """Lets the process end by itself, then makes it; on return it is gone."""
        self.killed = True
        self._writer.close()
        try:
            async with asyncio.timeout(_STOP_SECONDS):
                await self._process.wait()
        except TimeoutError:
            self.kill()
            await self._process.wait()

    def _kill_process(self) -> None:
        if self._process.returncode is None:
            self._process.send_signal(signal.SIGKILL)

    async def _receive_index(self, reader: asyncio.StreamReader) -> None:
        frame = await read_frame(reader)
        if frame is None:
            raise WorkerLostError(
                f"The worker ended with exit code {await self._process.wait()} while it started."
            )
        if "failure" in frame.header:
            failure = Failure(**frame.header["failure"])
            raise IndexingError(f"{failure.message}\n{failure.stack}".rstrip())
        self.functions = [parse_function(metadata) for metadata in frame.header["functions"]]

    async def _read_results(self, reader: asyncio.StreamReader) -> None:
        while (frame := await read_frame(reader)) is not None:
            future = self._pending.get(frame.header["id"])
            if future is not None and not future.done():
                future.set_result(_result(frame))
        if not self.killed:
            self._kill_process()  # it is dead, or it hangs on its way out
        await self._process.wait()
        self.closed.set()
        for future in self._pending.values():
            if not future.done():
                future.set_exception(self._loss())

    def _loss(self) -> WorkerLostError:
        if self.killed:
            return WorkerRecycledError(
                f"worker {self.pid} was stopped, because another function ran too long."
            )
        return WorkerLostError(f"worker {self.pid} ended.")


def _result(frame: Frame) -> InvocationResult:
    failure = frame.header.get("failure")
    if failure is not None:
        return InvocationResult(failure=Failure(**failure))
    return InvocationResult(
        kind=frame.header["kind"], payload=frame.payload, http=frame.header.get("http") or {}
    )
