"""What becomes of an entry whose blob is not what was saved."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sitebackup.activities.pairing import Doubt, difference
from sitebackup.blobs.historyname import history_name
from sitebackup.concurrently import all_of
from sitebackup.engine.engine import Engine
from sitebackup.messages import Findings
from sitebackup.records.entries import Entry
from sitebackup.records.plans import Task


@dataclass(frozen=True, slots=True)
class _Seen:
    """What storage says of an entry: what is `wrong`, None if nothing is, and whether its blob `is_there`."""

    wrong: str | None
    is_there: bool = False


class Settling:
    """Settles doubts: an entry is to be copied again, or is in the history, or is a finding.

    `is_repairable` tells which entries may be copied again; `repairs` are the tasks for that.
    """

    def __init__(self, engine: Engine, is_repairable: Callable[[Entry], bool]) -> None:
        self._engine = engine
        self._is_repairable = is_repairable
        self.findings = Findings()
        self.repairs: list[Task] = []

    async def settle(self, doubts: Sequence[Doubt]) -> int:
        """Ask storage about each, many at once; return how many blobs were there that nobody had met."""
        answers = await all_of(map(self._look, doubts))
        for doubt, seen in zip(doubts, answers, strict=True):
            if seen.wrong is None:
                self.findings += Findings(checked=1, bytes=doubt.entry.size)
            elif self._is_repairable(doubt.entry):
                entry = doubt.entry  # no base of the task: what it says of the blob is wrong
                self.repairs.append(Task(entry.path, entry.kind or "file", entry.size))
            else:
                is_missing = doubt.wrong is None and not seen.is_there
                self.findings += Findings(
                    checked=1, missing=int(is_missing), changed=int(not is_missing), named=(seen.wrong,)
                )
        return sum(seen.is_there for seen in answers)

    async def _look(self, doubt: Doubt) -> _Seen:
        entry, name = doubt.entry, doubt.entry.blob or ""
        wrong, is_there = doubt.wrong, False
        async with self._engine.transfers:
            if wrong is None:  # nobody remembers all blobs that were met
                blob = await self._engine.backups.find(name)
                is_there = blob is not None
                wrong = f"{name} is missing" if blob is None else difference(entry, blob)
            if wrong is not None and not self._is_repairable(entry):
                kept = await self._engine.history.find(history_name(name, entry.md5 or ""))
                if kept is not None and kept.size == entry.size:
                    wrong = None
        return _Seen(wrong, is_there)
