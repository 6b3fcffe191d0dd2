"""What activities check before they touch a tree."""

import os

from sitebackup.engine.engine import Engine
from sitebackup.errors import FatalError
from sitebackup.messages import Input
from sitebackup.request import BackupRequest, RequestError, check_root
from sitebackup.tree.identity import marker
from sitebackup.tree.place import Place, has_entries, is_directory
from sitebackup.tree.selecting import Selection


def parse_input(request: Input) -> BackupRequest:
    """Read a run's input again. Raises `FatalError`."""
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
    """Find a root that may be backed up. Raises `FatalError` or `SourceUnavailableError`."""
    check_allowed(root, engine)
    if not is_directory(root):
        raise FatalError(f"'{root}' {'is not a directory' if os.path.lexists(root) else 'does not exist'}.")
    real = os.path.realpath(root)
    if Selection().forbids_root(real):
        raise FatalError(f"'{root}' is in a pseudo file system.")
    return Place(root, real, marker(real))


def check_place(place: Place, engine: Engine) -> None:
    """Raise `FatalError` unless the tree that an earlier step found is there still and may be backed up."""
    check_allowed(place.real, engine)
    if not is_directory(place.real):
        raise FatalError(f"'{place.root}' is not where it was when the backup began.")
    if marker(place.real) != place.marker:
        raise FatalError(
            f"'{place.root}' is not the tree that was listed: something else is mounted there now, or a"
            " machine that takes part in the backup has another tree at this path."
        )


def check_not_gone(place: Place) -> None:
    """Raise `FatalError` if nothing is left of a tree: files that vanished from it were unmounted."""
    if not is_directory(place.real) or not has_entries(place.real):
        raise FatalError(
            f"'{place.root}' is empty or not there any more, or not mounted on every machine that copies."
        )
