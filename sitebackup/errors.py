"""The failure policy, as types.

Trouble with a source file is an outcome of that file (`SourceError`, `BlobRefusedError`): recorded, reported,
never the end of the other files. Trouble with the destination, or with the disk as a whole, leaves work
undone. An `UnavailableError` may pass: the orchestration waits and has that work done again. A `FatalError`
cannot: the orchestration ends. An activity answers both as data (`activities.running`).
"""

import errno
import os


def process_trouble(error: OSError) -> OSError | None:
    """Return what a system call failed with if that is the process's trouble, not the file's.

    It comes without the path, because it may get into a history.
    """
    if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOMEM):
        return OSError(error.errno, error.strerror)
    return None


# What a device, a server or the way to it fails with; by name, because no system has them all.
# EIO: what a share that is mounted "soft" says while its server is silent. ESTALE: the server began anew, or
# lost the file, which the next opening tells. ENOTCONN, ECONNABORTED: a FUSE mount's program is gone.
# EAGAIN: another program has a lease on the file, which the kernel is taking back. EBUSY is none of them: a
# program has locked that one file for as long as it likes.
_MAY_PASS = {
    *("EIO", "EREMOTEIO", "ESTALE", "EAGAIN", "EWOULDBLOCK", "ETIMEDOUT", "EHOSTDOWN", "EHOSTUNREACH"),
    *("ENETDOWN", "ENETUNREACH", "ENETRESET", "ENOTCONN", "ESHUTDOWN"),
    *("ECONNREFUSED", "ECONNRESET", "ECONNABORTED"),
}


def may_pass(error: OSError) -> bool:
    """Tell whether a system call failed because a disk or share does not answer now."""
    return errno.errorcode.get(error.errno or 0) in _MAY_PASS


def has_vanished(error: OSError) -> bool:
    """Tell whether a path is not there any more, by what opening it failed with.

    A directory that has become something else is no directory, but it is there.
    """
    if isinstance(error, NotADirectoryError):
        return is_gone(error.filename)
    return isinstance(error, FileNotFoundError)


def is_gone(path: str) -> bool:
    """Tell whether nothing is at `path`; if that cannot be told, something is."""
    try:
        os.lstat(path)
    except OSError as error:
        return isinstance(error, FileNotFoundError | NotADirectoryError)
    return False


def printable(text: str) -> str:
    """Return `text` with what is not UTF-8 in it escaped: a log or a history cannot hold it."""
    return text.encode(errors="backslashreplace").decode()


class BackupError(Exception):
    """Any of the app's own errors. Its text may travel."""

    def __init__(self, text: str) -> None:
        super().__init__(printable(text))


class SourceError(BackupError):
    """One file cannot be backed up; the message is the reason that its outcome records."""


class VanishedError(SourceError):
    """The file was there when the tree was listed and is not there now. Reported, no failure."""


class BlobRefusedError(SourceError):
    """Storage refuses this one blob, whatever its content (its name, a lease, an immutability policy)."""


class UnavailableError(BackupError):
    """A trouble that may pass: what it left undone is done again later."""


class SourceUnavailableError(UnavailableError):
    """The disk or share does not answer now."""


class StorageUnavailableError(UnavailableError):
    """Storage did not answer, or asked to come back later, for longer than the client retries."""


class ConditionNotMetError(BackupError):
    """A write was not carried out: its blob is there, or is not the one that its condition names any more."""


class SourceConditionNotMetError(BackupError):
    """A copy was not carried out: the blob to copy is not the one that its condition names any more."""


class FatalError(BackupError):
    """Nothing in this run can succeed: bad credentials, a forbidden container, a root that is not there."""


class BlobMissingError(FatalError):
    """A blob that must be there is not."""


class BackupFailedError(BackupError):
    """The end of a run that did not save everything; the message is the `output` that the caller reads."""
