"""A worker process: indexes the app and runs its functions, with Microsoft's worker library.

Started by `workers.py` as `python -m devhost.worker_main <socket fd> <app directory> <log level>`. Over the
socket it first answers with what it indexed, then runs each invocation that comes, many at once: `async`
functions on this event loop, the others in the library's thread pool, as in Azure. The end of the socket is
the order to stop; it also comes when the host is killed, so that no worker outlives its host.
"""

import asyncio
import atexit
import logging
import os
import select
import signal
import socket
import sys
import threading
import time
import traceback
from contextlib import suppress
from email.utils import formatdate
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Protocol, cast

import azure_functions_runtime

from .frames import Frame, encode, read_frame
from .worker_protos import PROTOS, ParameterBinding, StatusResult, TypedData

# A function that runs on when the host is gone gets this long before the process ends under it.
_GRACE_SECONDS = 2.0
# One line an invocation or a turn: of use to the authors of these libraries, noise at the terminal of an
# app's.
_CHATTY_LOGGERS = ("azure.functions", "azure.durable_functions", "durabletask")

_NO_STREAMING = (
    "This host has no HTTP streaming, which the app asks for by importing a web framework's extension "
    "(azurefunctions-extensions-http-fastapi). Run it with Azure Functions Core Tools."
)


class _Runtime(Protocol):
    """The part of `azure_functions_runtime` that is used here; the package carries no types."""

    def start_threadpool_executor(self) -> None: ...
    async def worker_init_request(self, request: object) -> Any: ...
    async def functions_metadata_request(self, request: object) -> Any: ...
    async def invocation_request(self, request: object) -> Any: ...


_runtime = cast(_Runtime, azure_functions_runtime)


def main() -> None:
    """Entry of the process."""
    connection = socket.socket(fileno=int(sys.argv[1]))
    app = Path(sys.argv[2])
    told_to_stop = threading.Event()
    atexit.register(_end_group, told_to_stop)  # the first one: after all that the app registers
    threading.Thread(target=_exit_with_host, args=(connection.fileno(),), daemon=True).start()
    logging.basicConfig(
        level=int(sys.argv[3]),
        format="[%(asctime)s] %(levelname)s %(message)s",
        datefmt="%H:%M:%S",
        stream=sys.stderr,
    )
    for name in _CHATTY_LOGGERS:
        logging.getLogger(name).setLevel(logging.WARNING)
    os.chdir(app)
    # In the order of Azure: a deployment's own packages, then the app's modules. The entry replaced is the
    # directory this package was started from.
    sys.path[0:1] = [str(app / ".python_packages/lib/site-packages"), str(app)]
    asyncio.run(_serve(connection, app))
    told_to_stop.set()


def _end_group(told_to_stop: threading.Event) -> None:
    """Ends this process with all that its functions have started: the host may be gone, and cannot do it."""
    if told_to_stop.is_set():
        logging.shutdown()
        sys.stdout.flush()
        os.killpg(0, signal.SIGKILL)


def _exit_with_host(descriptor: int) -> None:
    """Ends the process soon after the host closed its end, even while a function blocks the event loop."""
    poller = select.poll()
    poller.register(descriptor, 0)  # hang-ups are reported without being asked for
    poller.poll()
    time.sleep(_GRACE_SECONDS)
    os.killpg(0, signal.SIGKILL)


async def _serve(connection: socket.socket, app: Path) -> None:
    reader, writer = await asyncio.open_unix_connection(sock=connection)
    try:
        writer.write(encode(await _index(app)))
        running: set[asyncio.Task[None]] = set()
        while (frame := await read_frame(reader)) is not None:
            task = asyncio.create_task(_run(frame, writer))
            running.add(task)
            task.add_done_callback(running.discard)
    finally:
        writer.close()


async def _index(app: Path) -> Frame:
    """Loads the app. Header: `"id": "index"`, and `"functions": [{"id", "name", "bindings"}, ...]`
    or `"failure": {...}`."""
    _runtime.start_threadpool_executor()
    request = SimpleNamespace(
        request=SimpleNamespace(
            worker_init_request=SimpleNamespace(capabilities={}, function_app_directory=str(app))
        ),
        properties={"host": "127.0.0.1", "protos": PROTOS},
    )
    answer = await _runtime.worker_init_request(request)
    if answer.result.status == StatusResult.Failure:
        return Frame({"id": "index", "failure": _failure_of(answer)})
    if "HttpUri" in answer.capabilities:  # the address of a server of the worker's own
        return Frame({"id": "index", "failure": _failure(_NO_STREAMING, "")})
    index = await _runtime.functions_metadata_request(request)
    functions = [
        {"id": f.function_id, "name": f.name, "bindings": f.raw_bindings}
        for f in index.function_metadata_results or ()
    ]
    return Frame({"id": "index", "functions": functions})


async def _run(frame: Frame, writer: asyncio.StreamWriter) -> None:
    try:
        answer = await _runtime.invocation_request(
            SimpleNamespace(request=SimpleNamespace(invocation_request=_invocation(frame)))
        )
        result = _result(frame, answer)
    except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 (the host waits, whatever happens)
        failure = _failure(f"{type(error).__name__}: {error}", traceback.format_exc())
        result = Frame({"id": frame.header["id"], "failure": failure})
    with suppress(ConnectionError):  # the host has ended: nobody waits for the answer
        writer.write(encode(result))
        await writer.drain()


def _invocation(frame: Frame) -> SimpleNamespace:
    """The library's InvocationRequest for a frame of `workers.py`."""
    header = frame.header
    inputs = [ParameterBinding(name=header["parameter"], data=_trigger_data(frame))]
    inputs += [
        ParameterBinding(name=name, data=TypedData(string=value)) for name, value in header["inputs"].items()
    ]
    return SimpleNamespace(
        invocation_id=str(header["id"]),
        function_id=header["function"],
        input_data=inputs,
        trigger_metadata={name: TypedData(json=value) for name, value in header["metadata"].items()},
        trace_context=SimpleNamespace(trace_parent="", trace_state="", attributes={}),
        retry_context=SimpleNamespace(retry_count=0, max_retry_count=0, exception=None),
    )


def _trigger_data(frame: Frame) -> TypedData:
    kind: str = frame.header["kind"]
    if kind == "bytes":
        return TypedData(bytes=frame.payload)
    if kind != "http":
        return TypedData(**{kind: frame.payload.decode()})
    return TypedData(http=SimpleNamespace(**frame.header["http"], body=TypedData(bytes=frame.payload)))


def _result(frame: Frame, answer: Any) -> Frame:
    """Header: `{"id"}` with `"failure": {"message", "stack"}`, or with `"kind"` of the payload and, for HTTP,
    `"http": {"status", "headers", "cookies"}`."""
    header: dict[str, object] = {"id": frame.header["id"], "kind": None}
    if answer.result.status == StatusResult.Failure:
        header["failure"] = _failure_of(answer)
        return Frame(header)
    outputs = {output.name: output.data for output in answer.output_data}
    for name, refusal in frame.header["refusals"].items():
        if name in outputs or (name == "$return" and answer.return_value is not None):
            header["failure"] = _failure(refusal, "")
            return Frame(header)
    value = outputs.get(frame.header["output"], answer.return_value)
    if value is None:
        return Frame(header)
    header["kind"] = value.kind
    if value.kind != "http":
        return Frame(header, _bytes(value.value))
    response = value.http
    header["http"] = {
        "status": int(response.status_code),
        "headers": response.headers,
        "cookies": [_cookie(cookie) for cookie in response.cookies or ()],
    }
    return Frame(header, _bytes(response.body.value))


def _bytes(value: object) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


def _cookie(cookie: Any) -> dict[str, object]:
    """A cookie as the keyword arguments of aiohttp's `set_cookie`. A value that isn't set is None."""

    def value_of(field: Any) -> Any:
        return None if field is None or field.value == "" else field.value

    expires, max_age = value_of(cookie.expires), value_of(cookie.max_age)
    return {
        "name": cookie.name,
        "value": cookie.value,
        "domain": value_of(cookie.domain),
        "path": value_of(cookie.path) or "/",
        "expires": None if expires is None else formatdate(expires.seconds, usegmt=True),
        "max_age": None if max_age is None else int(max_age),
        "secure": value_of(cookie.secure),
        "httponly": value_of(cookie.http_only),
        "samesite": cookie.same_site or None,
    }


def _failure_of(answer: Any) -> dict[str, str]:
    exception = answer.result.exception
    return _failure(exception.message, exception.stack_trace)


def _failure(message: str, stack: str) -> dict[str, str]:
    """A failure in text that can be sent on: an exception's may have lone surrogates, from a file's name."""
    return {"message": _valid(message), "stack": _valid(stack)}


def _valid(text: str) -> str:
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


if __name__ == "__main__":
    # A process that `multiprocessing` spawns imports its parent's main module first. That is of no use to a
    # function, and fails: this package is not on the path of an app's process.
    __spec__ = None
    del __file__
    main()
