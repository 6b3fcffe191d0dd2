"""What a run says in words: why it failed, and what its caller should know."""

from collections.abc import Sequence

from sitebackup.messages import Findings
from sitebackup.tally import Tally

_HINT_FROM = 100
"""Files that were read again, from which on a run says why, if nothing had changed in many of them."""


def partial(entries: int, failed: int, named: Sequence[str], manifest: str) -> str:
    """Say that some of `entries` were not saved."""
    text = f"{failed} of {entries} entries were not backed up"
    return f"{text}{_named(named, failed)}. All outcomes: {manifest}."


def mismatch(found: Findings) -> str:
    """Say that the container is not what was saved."""
    text = f"{found.wrong} of {found.checked} blobs are not what was saved"
    return f"{text}{_named(found.named, found.wrong)}."


def shrunk(vanished: int, entries: int) -> str:
    """Say that too much of what a first backup found was gone before it was saved."""
    return f"{vanished} of {entries} entries vanished while the backup ran: more than half."


def too_many_gone(gone: int, before: int, most: int) -> str:
    """Say that too much of what the run before had is gone."""
    return (
        f"{gone} of the {before} entries of the run before are gone, and {most} may be. Nothing was removed"
        f" from the backup. If that is right, set maxDelete to {gone} or more."
    )


def hint(copied: Tally) -> str | None:
    """Say which option helps, if more than a fifth of the files that were read again were read in vain."""
    again = copied.changed + copied.unchanged
    if again < _HINT_FROM or copied.touched * 5 <= again:
        return None
    return (
        f"{copied.touched} of the {again} files that were read again have the content that they had. Only"
        " their ctime or inode is another one. If that is so in every run, set changeDetection to 'mtime'."
    )


def _named(named: Sequence[str], count: int) -> str:
    if not named:  # BACKUP_LOG_PATHS=false
        return ""
    more = f"; and {count - len(named)} more" if count > len(named) else ""
    return f": {'; '.join(named)}{more}"
