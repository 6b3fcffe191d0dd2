"""One backup from start to end: `python -m localstack backup ROOT`, which `make backup` runs."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path

import httpx
from rich.filesize import decimal

from localstack.client import BackupClient, Document, RefusedError, failure
from localstack.errors import UsageError
from localstack.progress import Tally, progress_display
from localstack.settings import PROJECT, StackSettings, needs_emulator
from localstack.stack import Stack, running_stack


def backup(root: Path, settings: StackSettings, environ: Mapping[str, str]) -> int:
    """Back up `root` with a stack of its own; returns the exit code, 0 if the backup is complete, else 1.

    A relative `root` starts at the current directory, for make the project's.

    Standard output gets one line, the final status document as JSON; everything else goes to standard error.
    Raises UsageError if `root` cannot be backed up as things stand, StackError if the stack breaks,
    SettingError.
    """
    root = root.expanduser().resolve()
    if needs_emulator(environ):
        _ensure_outside(settings.data, root)
    _say("Starting the app and its storage ...")
    with running_stack(settings, _allowing(root, environ), quiet=True) as stack:
        document = _run(root, stack)
    _say(_summary(document))
    sys.stdout.write(json.dumps(document) + "\n")
    return 0 if document["runtimeStatus"] == "Completed" else 1


def _run(root: Path, stack: Stack) -> Document:
    """The final status document of a backup of `root`, with its progress shown on the way."""
    try:
        with BackupClient(stack.host.base_url) as client, progress_display() as show:
            document = started = client.start(str(root))
            for document in client.follow(started):
                stack.ensure_alive()
                show(Tally.of(document["customStatus"]))
            return document
    except RefusedError as error:
        raise UsageError(str(error)) from error
    except httpx.HTTPError as error:
        stack.ensure_alive()  # its end says more than the connection that broke with it
        raise stack.host.failure(f"did not answer as it should ({error})") from error


def _ensure_outside(data: Path | None, root: Path) -> None:
    """Raise UsageError if the emulator's folder is in the tree: the backup would read what it writes."""
    if data is not None and data.resolve().is_relative_to(root):
        raise UsageError(
            f"{root} contains {data}, where the backup goes. "
            f"Keep it elsewhere with AZURITE_DATA=PATH, outside of {root}."
        )


def _allowing(root: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """`environ` with `root` among the directories that may be backed up, unless it says itself which may.

    Who types the command is the only user of this host; by default the app allows itself and HOME alone.
    """
    if environ.get("BACKUP_ALLOWED_ROOTS") or any(
        root.is_relative_to(allowed.resolve()) for allowed in (PROJECT, Path.home())
    ):
        return dict(environ)
    return {**environ, "BACKUP_ALLOWED_ROOTS": str(root)}


def _summary(document: Document) -> str:
    if document["runtimeStatus"] != "Completed":
        return f"{document['runtimeStatus']}: {failure(document)}"
    status = document["customStatus"]
    tally = Tally.of(status)
    changes = f": {tally.changes}" if tally.changes else ""
    sums = f"Completed: {tally.files}, {decimal(document['output'])}, in container 'backups'{changes}."
    return "\n".join([sums, *status.get("notes", []), *filter(None, [status.get("hint")])])


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
