"""Command line of the local stack: `python -m localstack {start,backup,restore,list,get}`."""

import argparse
import json
import os
import shlex
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import FrameType

from localstack.backup import backup
from localstack.blobs import get_blob, list_blobs
from localstack.errors import StackError, UsageError
from localstack.restore import restore
from localstack.settings import PROJECT, StackSettings, app_environ
from localstack.stack import running_stack
from sitebackup.settings import SettingError

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class _Interrupted(BaseException):
    """A signal asked for the end. Not an Exception: nothing but `main` should catch it."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def main() -> int:
    """Run the command; returns its exit code: 0 done, 1 failed, 2 usage, 128 + n ended by signal n."""
    arguments = _parser().parse_args()
    for number in _STOP_SIGNALS:
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # nohup ignores it
            signal.signal(number, _interrupt)
    try:
        return _run(arguments)
    except (StackError, UsageError) as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    except SettingError as error:
        sys.stderr.write(f"{error}\n")
        return UsageError.exit_code
    except BrokenPipeError:  # who reads the output has seen enough, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except _Interrupted as error:
        return 128 + error.number


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m localstack", description="The app on this machine.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("start", help="run emulator and host in the foreground")
    one = commands.add_parser("backup", help="back up one directory and stop again")
    one.add_argument("root", metavar="ROOT", type=Path)
    back = commands.add_parser("restore", help="restore the tree of a backup into an empty directory")
    back.add_argument("run", metavar="RUN", help="the backup's instance ID")
    back.add_argument("directory", metavar="DIRECTORY", type=Path)
    commands.add_parser("list", help="list the blobs that backups have left, with their sizes in bytes")
    get = commands.add_parser("get", help="write one blob to standard output")
    get.add_argument("blob", metavar="BLOB", help="its name, as 'list' shows it")
    return parser


def _run(arguments: argparse.Namespace) -> int:
    settings, environ = StackSettings.from_environ(os.environ), app_environ()
    match arguments.command:
        case "start":
            return _start(settings, environ)
        case "backup":
            return backup(arguments.root, settings, environ)
        case "restore":
            return restore(arguments.run, arguments.directory, settings, environ)
        case "list":
            return list_blobs(settings, environ)
        case _:
            return get_blob(arguments.blob, settings, environ)


def _start(settings: StackSettings, environ: Mapping[str, str]) -> int:
    try:
        with running_stack(settings, environ, quiet=False) as stack:
            sys.stdout.write(_usage(stack.host.base_url, environ))
            sys.stdout.flush()
            while True:
                stack.ensure_alive()
                time.sleep(0.2)
    except _Interrupted:
        return 0  # how a stack in the foreground is meant to end


def _usage(base_url: str, environ: Mapping[str, str]) -> str:
    """How to start a backup, of a directory that this host allows: by default of the app's own sources."""
    allowed = environ.get("BACKUP_ALLOWED_ROOTS", "").split(os.pathsep)[0]
    body = json.dumps(allowed or str(PROJECT / "sitebackup"))
    return (
        "Back up a directory, from another terminal:\n\n"
        f"  curl -i {base_url}/orchestrators/E2_BackupSiteContent"
        f" -H 'Content-Type: application/json' -d {shlex.quote(body)}\n\n"
        "Ctrl-C stops the stack.\n"
    )


def _interrupt(number: int, _frame: FrameType | None) -> None:
    # One signal is enough: `timeout` and `make` send several, and a stop in progress has its own time limit.
    for stop_signal in _STOP_SIGNALS:
        signal.signal(stop_signal, signal.SIG_IGN)
    raise _Interrupted(number)


if __name__ == "__main__":
    sys.exit(main())
