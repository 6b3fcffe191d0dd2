"""Command line: `python -m devhost start [--app DIR] [--port N] [--workers N] [--enable-auth]
[--no-crash-limit]`."""

import argparse
import logging
import sys
from pathlib import Path

from .host import run, say
from .pool import CALLS_LOGGER
from .settings import SettingsError, load_settings


def main() -> int:
    """Parses the command line and hosts the app; gives the exit code."""
    parser = argparse.ArgumentParser(prog="python -m devhost", description="A local Azure Functions host.")
    start = parser.add_subparsers(dest="command", required=True).add_parser("start", help="host an app")
    start.add_argument("--app", type=Path, default=Path(), metavar="DIR", help="the app (default: here)")
    start.add_argument(
        "--port", type=int, default=7071, metavar="N", help="0 takes a free one (default: 7071)"
    )
    start.add_argument("--workers", type=int, metavar="N", help="worker processes, 1 to 10 (default: 1)")
    start.add_argument("--enable-auth", action="store_true", help="demand function keys")
    start.add_argument(
        "--no-crash-limit",
        action="store_true",
        help="go on however often workers crash (default: stop after 3 crashes a worker in half an hour)",
    )
    arguments = parser.parse_args()
    logging.basicConfig(
        level=logging.WARNING, format="[%(asctime)s] %(levelname)s %(message)s", datefmt="%H:%M:%S"
    )
    try:
        settings = load_settings(arguments.app, arguments.workers)
    except SettingsError as error:
        say(str(error), sys.stderr)
        return 1
    logging.getLogger().setLevel(settings.host_log_level)
    logging.getLogger(CALLS_LOGGER).setLevel(settings.function_log_level)
    return run(
        settings,
        arguments.port,
        enable_auth=arguments.enable_auth,
        crash_limit=not arguments.no_crash_limit,
    )


if __name__ == "__main__":
    sys.exit(main())
