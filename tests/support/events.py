"""What the app logs. Queries and alerts are tested on these events, which are held to those of a real run."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

type Event = dict[str, Any]

type Logged = tuple[float, str, Event]
"""How many hours ago, the event's name, the event."""

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
OTHER_LINES = ("Executed 'Functions.E2_CopyFileToBlob'", 'the backup.ended {"status": "Completed"}', "")

ROOT = "a0b1c2d3e4f50617"

PHASE: Event = {
    "instanceId": "4f1c",
    "seconds": 1.5,
    "rootId": ROOT,
    "phase": "copying",
    "filesFound": 3,
    "files": 2,
    "bytes": 10,
    "failed": 0,
    "vanished": 0,
    "skipped": 0,
    "new": 2,
    "changed": 0,
    "unchanged": 0,
    "gone": 0,
    "uploaded": 10,
}

BACKUP: Event = {
    "instanceId": "4f1c",
    "seconds": 9.8,
    "rootId": ROOT,
    "status": "Completed",
    "filesFound": 3,
    "files": 3,
    "bytes": 12,
    "failed": 0,
    "vanished": 1,
    "skipped": 2,
    "new": 1,
    "changed": 1,
    "unchanged": 1,
    "gone": 4,
    "uploaded": 7,
}

VERIFICATION: Event = {
    "instanceId": "77ad",
    "seconds": 3.0,
    "rootId": ROOT,
    "runId": "4f1c",
    "deep": True,
    "status": "Completed",
    "checked": 3,
    "bytes": 12,
    "missing": 0,
    "changed": 0,
    "extra": 1,
}


def backup(hours: float, **differs: object) -> Logged:
    """The end of a backup so many hours ago; `differs` from the sample."""
    return hours, "backup.ended", BACKUP | differs


def phase(hours: float, **differs: object) -> Logged:
    """A phase of a backup that began so many hours ago."""
    return hours, "backup.phase", PHASE | differs


def verification(hours: float, **differs: object) -> Logged:
    """The end of a verification so many hours ago."""
    return hours, "verification.ended", VERIFICATION | differs


def log_of(*events: Logged) -> list[tuple[datetime, str]]:
    """The times and the lines of a log with these events in it, and with lines that are none."""
    lines = [(NOW - timedelta(hours=hours), f"{name} {json.dumps(event)}") for hours, name, event in events]
    return [*lines, *((NOW, line) for line in OTHER_LINES)]
