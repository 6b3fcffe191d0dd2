"""What a failed run says: the message that its caller reads."""

from collections.abc import Sequence

from sitebackup.messages import Findings, Written


def partial(entries: int, written: Written, manifest: str) -> str:
    """Say that some of `entries` were not saved."""
    failed = written.tally.failed
    text = f"{failed} of {entries} entries were not backed up"
    return f"{text}{_named(written.named, failed)}. All outcomes: {manifest}."


def mismatch(found: Findings) -> str:
    """Say that the container is not what was saved."""
    text = f"{found.wrong} of {found.checked} blobs are not what was saved"
    return f"{text}{_named(found.named, found.wrong)}."


def _named(named: Sequence[str], count: int) -> str:
    if not named:  # BACKUP_LOG_PATHS=false
        return ""
    more = f"; and {count - len(named)} more" if count > len(named) else ""
    return f": {'; '.join(named)}{more}"
