"""What a system call fails with, as the reason why something is not saved. No reason names a path."""

import errno
import os
from collections.abc import Generator
from contextlib import contextmanager, suppress

from sitebackup.errors import (
    SourceError,
    SourceUnavailableError,
    VanishedError,
    has_vanished,
    may_pass,
    process_trouble,
)


@contextmanager
def reasons() -> Generator[None]:
    """Turn the failure of a system call into the app's own error.

    Raises `SourceError` or `SourceUnavailableError`, and `OSError` for what is the process's trouble.
    """
    try:
        yield
    except OSError as error:
        raise _reason(error) from None  # the cause has the path


def words(error: OSError) -> str:
    """Return what the system says of an error, without the path."""
    return error.strerror or type(error).__name__


def close(descriptor: int) -> None:
    """Close what was read; if that fails, as it does on a share that is gone, it was read all the same."""
    with suppress(OSError):
        os.close(descriptor)


def _reason(error: OSError) -> Exception:
    if (trouble := process_trouble(error)) is not None:
        return trouble
    if may_pass(error):
        return SourceUnavailableError(words(error))
    if has_vanished(error):
        return VanishedError("vanished since it was listed")
    if error.errno == errno.ELOOP:
        return SourceError("is a symbolic link now")
    return SourceError(words(error))
