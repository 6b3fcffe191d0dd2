"""What the caller of a backup sees while it runs: the instance's custom status."""

from typing import Any

from durabletask.task import OrchestrationContext

from sitebackup.tally import Tally


class Status:
    """Counts what was found and what is done, and publishes both with every change.

    `manifest` is the container and blob of the manifest, once there is one.
    """

    def __init__(self, ctx: OrchestrationContext) -> None:
        self._ctx = ctx
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

    def listed(self, answer: dict[str, Any]) -> None:
        """Add the tally of a listing."""
        self.found += Tally.from_json(answer)
        self._publish()

    def copied(self, answer: dict[str, Any]) -> None:
        """Add the tally of a copy."""
        self.done += Tally.from_json(answer)
        self._publish()

    def wait(self, trouble: str | None) -> None:
        """Say what the backup waits for, or that it goes on."""
        self._trouble = trouble
        self._publish()

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
