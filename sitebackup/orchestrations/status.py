"""How far a backup is: the instance's custom status for its caller, events in the log for its operator."""

from typing import Any

import msgspec
from durabletask.task import OrchestrationContext

from sitebackup.messages import Compared, Copied, Listed, Progress
from sitebackup.orchestrations import words
from sitebackup.orchestrations.events import Events
from sitebackup.tally import Tally

_AT_WORK = ("listing", "copying", "removing")
"""Phases in which news says more than the answers."""


class Status:
    """Counts what was found and what is done, and publishes both with every change.

    `found` and `done` are what the answers of activities add up to. `manifest` is the container and blob of
    the manifest, once there is one. `by_ctime`: whether a file counts as changed by its ctime and inode too.
    """

    def __init__(self, ctx: OrchestrationContext, root_id: str, *, by_ctime: bool = True) -> None:
        self._ctx = ctx
        self._root_id = root_id
        self._by_ctime = by_ctime
        self._events = Events(ctx)
        self._phase = ""
        self._trouble: str | None = None
        self._news = Progress()
        self._copied = Tally()
        self._checked = 0
        self._notes: tuple[str, ...] = ()
        self.manifest: str | None = None
        self.found = Tally()
        self.done = Tally()

    def enter(self, phase: str) -> None:
        """Begin a phase: listing, copying, removing, finishing, done."""
        self._phase = phase
        self._publish()
        self._event("backup.phase", phase=phase)

    def ended(self, status: str) -> None:
        """Tell the log, once a run, how it ended: as `Completed` or `Failed`."""
        self._event("backup.ended", status=status)

    def listed(self, answer: Listed) -> None:
        """Add what a listing found."""
        self.found += answer.tally + answer.pending
        self.done += answer.tally
        self._notes = tuple(dict.fromkeys((*self._notes, *answer.notes)))
        self.wait_for(next(iter(answer.troubles), None))

    def copied(self, answer: Copied) -> None:
        """Add what was copied or removed."""
        self._copied += answer.tally
        self.done += answer.tally
        self.wait_for(next(iter(answer.troubles), None))

    def repaired(self, answer: Copied) -> None:
        """Take note that something was copied again. It is counted already, and the manifest will say it."""
        self.wait_for(next(iter(answer.troubles), None))

    def compared(self, answer: Compared) -> None:
        """Add what a part of the comparison has checked."""
        self._checked += answer.findings.checked
        self.wait_for(next(iter(answer.troubles), None))

    def written(self, manifest: str, totals: Tally) -> None:
        """Take what a manifest, at this place, adds up to."""
        self.manifest = manifest
        self.done = totals
        self._publish()

    def heard(self, news: Progress) -> None:
        """Take what the processes have found and done, as far as that is more than their answers say."""
        self._news = Progress(_most(self._news.found, news.found), _most(self._news.done, news.done))
        self._publish()

    def wait_for(self, trouble: str | None) -> None:
        """Say what is waited for, if anything."""
        self._trouble = trouble
        self._publish()

    def _event(self, name: str, **state: str) -> None:
        done = self.done
        self._events.log(
            name,
            rootId=self._root_id,
            **state,
            filesFound=self.found.files,
            files=done.files,
            bytes=done.bytes,
            failed=done.failed,
            vanished=done.vanished,
            skipped=done.skipped,
            new=done.new,
            changed=done.changed,
            unchanged=done.unchanged,
            gone=done.gone,
            uploaded=done.uploaded,
        )

    def _publish(self) -> None:
        found, done = self._shown()
        status: dict[str, Any] = {
            "phase": self._phase,
            "files": {
                "total": found.files,
                "done": done.files,
                "failed": done.failed,
                "vanished": done.vanished,
                "skipped": done.skipped,
                "new": done.new,
                "changed": done.changed,
                "unchanged": done.unchanged,
                "gone": done.gone,
                "checked": max(self._checked, self._news.done.checked),
            },
            "bytes": {"total": found.bytes, "done": done.bytes, "uploaded": done.uploaded},
            "links": done.links,
            "directories": done.directories,
        }
        about = {
            "waitingFor": self._trouble,
            "manifest": self.manifest,
            "hint": words.hint(self._copied) if self._by_ctime else None,
            "notes": list(self._notes) or None,
        }
        self._ctx.set_custom_status(status | {name: said for name, said in about.items() if said is not None})

    def _shown(self) -> tuple[Tally, Tally]:
        """What was found and what is done; of both, what is known from answers or news, whichever is more.

        News may count twice what was done twice, so no more is done than was found.
        """
        if self._phase not in _AT_WORK:
            return self.found, self.done
        found = _most(self.found, self._news.found) if self._phase == "listing" else self.found
        done = _most(self.done, self._news.done)
        return found, msgspec.structs.replace(
            done, files=min(done.files, found.files), bytes=min(done.bytes, found.bytes)
        )


def _most(one: Tally, other: Tally) -> Tally:
    return Tally(*map(max, msgspec.structs.astuple(one), msgspec.structs.astuple(other)))
