"""Command line: `python -m durable_sdk {worker,backup}`.

Exit codes: 0 done (a backup is complete, a worker was stopped), 1 failed, 2 usage, 128 + n ended by signal n.
"""

import argparse
import json
import logging
import os
import signal
import sys
import threading
from contextlib import ExitStack
from pathlib import Path
from types import FrameType
from typing import Any

import grpc

from durable_sdk.backup import BackupLostError, Document, run_backup
from durable_sdk.connection import SETTING, ConnectionStringError, TaskHub, connect
from durable_sdk.worker import running_worker
from sitebackup.settings import SettingError

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class _Stopped(BaseException):
    """A signal asked for the end. Not an Exception: nothing but `main` should catch it."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def main() -> int:
    """Run the command; returns its exit code."""
    arguments = _parser().parse_args()
    for number in _STOP_SIGNALS:
        signal.signal(number, _stop)
    try:
        with connect(os.environ) as hub:
            return _work(hub) if arguments.command == "worker" else _back_up(hub, arguments.root)
    except (ConnectionStringError, SettingError) as error:
        _say(str(error))
        return 2
    except BackupLostError as error:
        _say(str(error))
        return 1
    except grpc.RpcError as error:
        _say(f"The task hub does not answer: {_reason(error)}")
        return 1
    except _Stopped as stopped:
        return 128 + stopped.number


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m durable_sdk",
        description="The backup on the Durable Task SDK, without Azure Functions.",
        epilog=f"{SETTING} names the scheduler; without it, the task hub is in the memory of the process.",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("worker", help="run orchestrations and activities until SIGINT or SIGTERM")
    backup = commands.add_parser(
        "backup", help="back up a directory, follow it, print its final status as JSON"
    )
    backup.add_argument("root", metavar="ROOT", help="the directory, on the machines where the workers are")
    return parser


def _work(hub: TaskHub) -> int:
    """Run a worker until a signal; what it holds then is finished first."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    if hub.in_memory:
        _say("The task hub is in this process, for development. To take part from other terminals here:")
        _say(f"  export {SETTING}='{hub.connection_string}'")
    try:
        with running_worker(hub, os.environ):
            threading.Event().wait()
    except _Stopped:
        pass  # how a worker is meant to end
    return 0


def _back_up(hub: TaskHub, root: str) -> int:
    """Run one backup, with a worker beside it if the task hub is in memory and has no other."""
    root = str(Path(root).absolute())
    with ExitStack() as resources:
        if hub.in_memory:
            # Who types the command is the only user of this hub: the directory is theirs to name.
            allowed = os.environ.get("BACKUP_ALLOWED_ROOTS") or root
            resources.enter_context(running_worker(hub, {**os.environ, "BACKUP_ALLOWED_ROOTS": allowed}))
        client = resources.enter_context(hub.client())
        document = run_backup(client, root, _Progress())
    sys.stdout.write(json.dumps(document) + "\n")
    return 0 if document["runtimeStatus"] == "Completed" else 1


class _Progress:
    """Writes which backup it is, and a line whenever it has moved."""

    def __init__(self) -> None:
        self._line = ""

    def __call__(self, document: Document) -> None:
        if not self._line:
            _say(f"Backup {document['instanceId']}")
        line = _progress(document)
        if line != self._line:
            self._line = line
            _say(line)


def _progress(document: Document) -> str:
    status: dict[str, Any] | None = document["customStatus"]
    if status is None:
        return f"{document['runtimeStatus']}: no worker has taken it yet"
    files, size = status["files"], status["bytes"]
    trouble = f", waiting: {status['waitingFor']}" if "waitingFor" in status else ""
    return (
        f"{status['phase']}: {files['done']:,} of {files['total']:,} files, "
        f"{size['done']:,} of {size['total']:,} bytes, {files['failed']:,} failed{trouble}"
    )


def _reason(error: grpc.RpcError) -> str:
    """What gRPC says, without its debug text."""
    return f"{error.code().name}, {error.details()}" if isinstance(error, grpc.Call) else str(error)


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def _stop(number: int, _frame: FrameType | None) -> None:
    """The first signal ends the command in order, the second at once."""
    for stop_signal in _STOP_SIGNALS:
        signal.signal(stop_signal, lambda again, _: os._exit(128 + again))
    raise _Stopped(number)


if __name__ == "__main__":
    sys.exit(main())
