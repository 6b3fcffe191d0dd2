"""What several activities check or leave out."""

import os
from collections.abc import Sequence
from typing import Any

from sitebackup.engine.engine import Engine
from sitebackup.errors import FatalError
from sitebackup.records.outcomes import Outcome
from sitebackup.request import BackupRequest, Input, RequestError, check_root
from sitebackup.tree.place import Place, is_directory
from sitebackup.tree.selecting import Selection


def anonymous(answer: dict[str, Any], engine: Engine) -> dict[str, Any]:
    """`answer`, without its names if none may get into a message: the host logs what a run fails with."""
    return answer if engine.settings.log_paths else answer | {"named": []}


def parse_input(request: Input) -> BackupRequest:
    """Read a run's input again."""
    try:
        return BackupRequest.parse(request)
    except RequestError as error:
        raise FatalError(str(error)) from error


def check_allowed(directory: str, engine: Engine) -> None:
    """Raise `FatalError` unless `directory` may be backed up. Plans are checked too: they may be old."""
    try:
        check_root(directory, engine.settings)
    except RequestError as error:
        raise FatalError(str(error)) from error


def find_place(root: str, engine: Engine) -> Place:
    """Find a root that may be backed up."""
    check_allowed(root, engine)
    if not is_directory(root):
        raise FatalError(f"'{root}' {'is not a directory' if os.path.lexists(root) else 'does not exist'}.")
    real = os.path.realpath(root)
    if Selection().forbids_root(real):
        raise FatalError(f"'{root}' is in a pseudo file system.")
    return Place(root, real)


def device_of(place: Place, engine: Engine) -> int:
    """Return the device of the tree at `place`, which may have been found by an earlier listing."""
    check_allowed(place.real, engine)
    try:
        return os.stat(place.real).st_dev
    except (FileNotFoundError, NotADirectoryError):
        raise FatalError(f"'{place.root}' is not where it was when the backup began.") from None


async def check_vanished(outcomes: Sequence[Outcome], place: Place, engine: Engine) -> None:
    """Tell files that vanished from a root that did: unmounted, or never mounted on this machine."""

    def is_there() -> bool:
        if not is_directory(place.real):
            return False
        with os.scandir(place.real) as entries:
            return any(entries)

    if any(outcome.outcome == "vanished" for outcome in outcomes) and not await engine.in_thread(is_there):
        raise FatalError(
            f"'{place.root}' is empty or not there any more, or not mounted on every machine that copies."
        )
