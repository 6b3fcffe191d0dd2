"""A backup's tree given back: `python -m localstack restore RUN DIRECTORY`, which `make restore` runs."""

import asyncio
import json
import sys
from collections.abc import Mapping
from pathlib import Path

from rich.filesize import decimal

from localstack.azurite import reachable_emulator
from localstack.errors import StackError, UsageError
from localstack.settings import StackSettings, names_other_backup_storage, with_emulator
from sitebackup.activities import restoring as domain
from sitebackup.engine.process import ProcessEngine
from sitebackup.errors import FatalError, StorageUnavailableError, printable
from sitebackup.records.manifest import Summary
from sitebackup.settings import Settings

_RETRIES = 7
"""Times that a request is tried again: nobody repeats a restore's work for it, so it waits four minutes."""


def restore(run: str, directory: Path, settings: StackSettings, environ: Mapping[str, str]) -> int:
    """Give the tree that `run` saved back in an empty directory; returns the exit code, 0 if all of it came.

    Standard output gets one line, JSON: the counts of what came back. What failed goes to standard error.
    Raises UsageError if there is no such run or the directory is not empty, StackError if storage fails,
    SettingError.
    """
    try:
        if names_other_backup_storage(environ):
            summary = asyncio.run(_restore(run, directory, environ))
        else:
            with reachable_emulator(settings) as connection_string:
                emulator = with_emulator(environ, connection_string)
                summary = asyncio.run(_restore(run, directory, emulator))
    except FatalError as error:
        raise UsageError(str(error)) from error
    except StorageUnavailableError as error:
        raise StackError(str(error)) from error
    for name in summary.named:
        sys.stderr.write(f"{printable(name)}\n")
    tally = summary.tally
    sys.stderr.write(
        f"{tally.files} files, {decimal(tally.bytes)}, {tally.links} links and"
        f" {tally.directories} directories are in {directory}; {tally.failed} entries failed.\n"
    )
    sys.stdout.write(json.dumps({"run": run, "directory": str(directory), **tally.to_json()}) + "\n")
    return 1 if tally.failed else 0


async def _restore(run: str, directory: Path, environ: Mapping[str, str]) -> Summary:
    engine = ProcessEngine(Settings.from_environment(environ), environ, retries=_RETRIES)
    try:
        return await domain.restore(run, str(directory), engine())
    finally:
        await engine.close()
