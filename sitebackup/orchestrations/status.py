"""How far a backup is: the instance's custom status for its caller, events in the log for its operator.

An event is one line, its name and a JSON object with the instance, the phase and counts, never a name:

    backup.phase {"instanceId": "4f1c...", "phase": "copying", "seconds": 1.2, "files": 3000, ...}
    backup.ended {"instanceId": "4f1c...", "status": "Completed", "seconds": 9.8, "files": 3000, ...}

All of it is in the text because the Functions host keeps nothing else of a Python log record.
"""

import json
import logging
from typing import Any

from durabletask.task import OrchestrationContext

from sitebackup.tally import Tally

_log = logging.getLogger(__name__)


class Status:
    """Counts what was found and what is done, and publishes both with every change.

    `manifest` is the container and blob of the manifest, once there is one.
    """

    def __init__(self, ctx: OrchestrationContext) -> None:
        self._ctx = ctx
        self._log = ctx.create_replay_safe_logger(_log)
        self._started = ctx.current_utc_datetime
        self._phase = ""
        self._trouble: str | None = None
        self.manifest: str | None = None
        self.found = Tally()
        self.done = Tally()

    @property
    def failed(self) -> int:
        """Entries that could not be saved."""
        return self.found.failed + self.done.failed

    @property
    def entries(self) -> int:
        """Entries that were to be saved."""
        return self.found.files + self.found.links + self.found.directories + self.found.failed

    def enter(self, phase: str) -> None:
        """Begin a phase: listing, copying, finishing, done."""
        self._phase = phase
        self._publish()
        self._event("backup.phase", phase=phase)

    def ended(self, status: str) -> None:
        """Tell the log, once a run, how it ended: as `Completed` or `Failed`."""
        self._event("backup.ended", status=status)

    def listed(self, answer: dict[str, Any]) -> None:
        """Add the tally of a listing."""
        self.found += Tally.from_json(answer)
        self.wait_for(answer)

    def copied(self, answer: dict[str, Any]) -> None:
        """Add the tally of a copy."""
        self.done += Tally.from_json(answer)
        self.wait_for(answer)

    def wait_for(self, answer: dict[str, Any]) -> None:
        """Say what trouble an answer has, if any: what is undone for it waits."""
        self._trouble = next(iter(answer.get("troubles", [])), None)
        self._publish()

    def _event(self, name: str, **state: str) -> None:
        event = {
            "instanceId": self._ctx.instance_id,
            **state,
            "seconds": (self._ctx.current_utc_datetime - self._started).total_seconds(),
            "filesFound": self.found.files,
            "files": self.done.files,
            "bytes": self.done.bytes,
            "failed": self.failed,
            "vanished": self.found.vanished + self.done.vanished,
            "skipped": self.found.skipped,
        }
        self._log.info("%s %s", name, json.dumps(event))

    def _publish(self) -> None:
        found, done = self.found, self.done
        status: dict[str, Any] = {
            "phase": self._phase,
            "files": {
                "total": found.files,
                "done": done.files,
                "failed": self.failed,
                "vanished": found.vanished + done.vanished,
                "skipped": found.skipped,
            },
            "bytes": {"total": found.bytes, "done": done.bytes},
            "links": done.links,
            "emptyDirectories": done.directories,
        }
        if self._trouble is not None:
            status["waitingFor"] = self._trouble
        if self.manifest is not None:
            status["manifest"] = self.manifest
        self._ctx.set_custom_status(status)
