"""E2_BackupSiteContent: list the tree, copy it, write the manifest, compare it with the container.

    E2_BackupSiteContent
      E2_ListTree          what listings left, and so on downwards
      E2_CopyBatches       a share of the batches, split again while it is too large
    E2_VerifyBackup        a manifest against the container, at any time
      E2_VerifyContents    a span of the manifest, read back, split again while it is too large

No instance waits for more than about a hundred activities and sub-orchestrations, so that no history grows
with the tree: what is more is split among sub-orchestrations, as deep as it takes.

Every part answers with a tally, and with what it could not do because of a trouble, so that all the others
are waited for: the backup waits a while, says so in its custom status, and has just that done again. When it
gives up, it still writes the manifest, in which everything that was not reached has failed for that reason.
"""

from contextlib import suppress
from datetime import datetime
from typing import Any

from durabletask.task import OrchestrationContext

from sitebackup import names
from sitebackup.digests import root_id
from sitebackup.errors import BackupFailedError
from sitebackup.messages import (
    Compared,
    CompareRequest,
    Copied,
    Listed,
    ListRequest,
    ManifestRequest,
    SharesRequest,
    Written,
)
from sitebackup.orchestrations import words
from sitebackup.orchestrations.copying import copy_shares
from sitebackup.orchestrations.gathering import STEPS, Steps, alone, part
from sitebackup.orchestrations.inputs import read_request
from sitebackup.orchestrations.listing import list_portions
from sitebackup.orchestrations.patience import WAITS, GaveUpError, Patience
from sitebackup.orchestrations.status import Status
from sitebackup.ranges import Share
from sitebackup.request import BackupRequest

SHRUNK_FROM = 100
"""Entries from which on a run fails if more than half of them vanished while it ran."""


def backup_site_content(ctx: OrchestrationContext, request: Any) -> Steps[int]:
    """Back up a tree and return the bytes copied; raises `BackupFailedError` unless all of it is saved.

    `request` is what `BackupRequest.parse` reads.
    """
    asked = read_request(BackupRequest.parse, request)
    status = Status(ctx, root_id(asked.root))
    try:
        copied = yield from _Backup(ctx, request, asked, status).run()
    except Exception:
        status.ended("Failed")
        raise
    status.ended("Completed")
    return copied


class _Backup:
    """One run. What it found is kept here as it goes, for the manifest of a run that gives up."""

    def __init__(self, ctx: OrchestrationContext, request: Any, asked: BackupRequest, status: Status) -> None:
        self._ctx = ctx
        self._started = ctx.current_utc_datetime
        self._request = request
        self._asked = asked
        self._status = status
        self._patience = Patience(ctx, status.wait_for)
        self._listed = Listed()

    def run(self) -> Steps[int]:
        """List, copy, write the manifest and compare; return the bytes copied."""
        try:
            yield from self._list_and_copy()
        except GaveUpError as error:
            yield from self._give_up(str(error))
            raise
        self._status.enter("finishing")
        written = yield from self._write(self._patience)
        request = CompareRequest(run=self._ctx.instance_id, verified=self._ctx.instance_id)
        compared = yield from self._patience.insist(names.VERIFY_MANIFEST, request, Compared())
        self._status.enter("done")
        self._judge(written, compared)
        return self._status.done.bytes

    def _list_and_copy(self) -> Steps[None]:
        try:
            yield from self._list()
        except GaveUpError:
            if self._listed.plans:  # what was not listed must not keep the rest from being saved
                with suppress(GaveUpError):
                    yield from self._copy()
            raise
        self._check_found()
        yield from self._copy()

    def _list(self) -> Steps[None]:
        status, run = self._status, self._ctx.instance_id
        status.enter("listing")
        request = ListRequest(run=run, request=self._request)
        answer = yield from list_portions(self._ctx, request, status.listed)
        self._listed = answer
        while (yield from self._patience.wait_out(answer)):
            request = ListRequest(run, self._request, answer.portions, last=self._patience.is_at_its_end)
            undone = Listed(portions=answer.portions)
            answer = yield from alone(part(self._ctx, names.LIST_TREE, request, undone), status.listed)
            self._listed = Listed.of([self._listed, answer], answer.portions)

    def _check_found(self) -> None:
        """Raise `BackupFailedError` if there is nothing to save: that must not look like a backup."""
        if not self._status.found.entries and not self._asked.allow_empty:
            raise BackupFailedError(
                f"There is nothing to back up: '{self._asked.root}' is empty, or the patterns leave nothing"
                " of it. Set allowEmpty if that is right."
            )

    def _copy(self) -> Steps[None]:
        status, run = self._status, self._ctx.instance_id
        status.enter("copying")
        shares = tuple(Share(plan.id, 0, plan.batches) for plan in self._listed.plans)
        request = SharesRequest(run=run, shares=shares, waits=self._patience.waits)
        answer = yield from copy_shares(self._ctx, request, STEPS, status.copied)
        while (yield from self._patience.wait_out(answer)):
            # In a sub-orchestration, so that this history does not grow with every attempt.
            request = SharesRequest(
                run, answer.shares, waits=self._patience.waits, last=self._patience.is_at_its_end
            )
            undone = Copied(shares=answer.shares)
            answer = yield from alone(part(self._ctx, names.COPY_BATCHES, request, undone), status.copied)

    def _write(self, patience: Patience, gave_up: str | None = None) -> Steps[Written]:
        request = ManifestRequest(
            run=self._ctx.instance_id,
            request=self._request,
            plans=self._listed.plans,
            started=_iso(self._started),
            finished=_iso(self._ctx.current_utc_datetime),
            gave_up=gave_up,
            portions=self._listed.portions if gave_up else (),
        )
        written = yield from patience.insist(names.WRITE_MANIFEST, request, Written())
        self._status.manifest = f"{names.RUNS_CONTAINER}/{written.manifest}"
        return written

    def _give_up(self, reason: str) -> Steps[None]:
        """Write the manifest of what was done until now, if storage takes it."""
        if self._listed.plans:
            self._status.enter("finishing")
            try:
                yield from self._write(Patience(self._ctx, self._status.wait_for, WAITS[:2]), reason)
            except GaveUpError:
                return
        self._status.enter("done")

    def _judge(self, written: Written, compared: Compared) -> None:
        """Raise `BackupFailedError` unless all is saved that had to be."""
        if compared.findings.wrong:
            raise BackupFailedError(words.mismatch(compared.findings))
        tally, entries = written.tally, self._status.found.entries
        if entries >= SHRUNK_FROM and tally.vanished > entries / 2:
            raise BackupFailedError(
                f"{tally.vanished} of {entries} entries vanished while the backup ran: more than half."
            )
        if tally.failed and not (self._asked.allow_partial and tally.saved):
            raise BackupFailedError(words.partial(entries, written, self._status.manifest or ""))


def _iso(moment: datetime) -> str:
    return f"{moment.replace(tzinfo=None).isoformat(timespec='seconds')}Z"
