"""How far a backup is: the instance's custom status for its caller, events in the log for its operator."""

from typing import Any

from durabletask.task import OrchestrationContext

from sitebackup.messages import Copied, Listed
from sitebackup.orchestrations.events import Events
from sitebackup.tally import Tally


class Status:
    """Counts what was found and what is done, and publishes both with every change.

    `manifest` is the container and blob of the manifest, once there is one.
    """

    def __init__(self, ctx: OrchestrationContext, root_id: str) -> None:
        self._ctx = ctx
        self._root_id = root_id
        self._events = Events(ctx)
        self._phase = ""
        self._trouble: str | None = None
        self.manifest: str | None = None
        self.found = Tally()
        self.done = Tally()

    def enter(self, phase: str) -> None:
        """Begin a phase: listing, copying, finishing, done."""
        self._phase = phase
        self._publish()
        self._event("backup.phase", phase=phase)

    def ended(self, status: str) -> None:
        """Tell the log, once a run, how it ended: as `Completed` or `Failed`."""
        self._event("backup.ended", status=status)

    def listed(self, answer: Listed) -> None:
        """Add what a listing found."""
        self.found += answer.tally
        self.wait_for(next(iter(answer.troubles), None))

    def copied(self, answer: Copied) -> None:
        """Add what was copied."""
        self.done += answer.tally
        self.wait_for(next(iter(answer.troubles), None))

    def wait_for(self, trouble: str | None) -> None:
        """Say what is waited for, if anything."""
        self._trouble = trouble
        self._publish()

    def _event(self, name: str, **state: str) -> None:
        self._events.log(
            name,
            rootId=self._root_id,
            **state,
            filesFound=self.found.files,
            files=self.done.files,
            bytes=self.done.bytes,
            failed=self.found.failed + self.done.failed,
            vanished=self.found.vanished + self.done.vanished,
            skipped=self.found.skipped,
        )

    def _publish(self) -> None:
        found, done = self.found, self.done
        status: dict[str, Any] = {
            "phase": self._phase,
            "files": {
                "total": found.files,
                "done": done.files,
                "failed": found.failed + done.failed,
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
