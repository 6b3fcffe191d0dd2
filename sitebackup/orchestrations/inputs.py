"""Reading the input of a public orchestration, which the door has checked, unless another door was used."""

from collections.abc import Callable
from typing import Any

from sitebackup.errors import BackupFailedError
from sitebackup.request import RequestError


def read_request[T](parse: Callable[[Any], T], request: Any) -> T:
    """Return what `parse` makes of `request`; raises `BackupFailedError` for what cannot be read."""
    try:
        return parse(request)
    except RequestError as error:
        raise BackupFailedError(error.message) from error
