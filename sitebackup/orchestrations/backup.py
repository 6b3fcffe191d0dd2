"""E2_BackupSiteContent: list the tree, copy what is new, remove what is gone, write the manifest, compare.

    E2_BackupSiteContent
      E2_ListTree          portions that listings left, split again while they are too many
      E2_CopyBatches       a share of the batches, split again while it is too large
    E2_VerifyBackup        a manifest against the containers, at any time
      E2_VerifyContents    a span of the manifest, read back, split again while it is too large

No instance waits for more than about a hundred activities and sub-orchestrations, so that no history grows
with the tree: what is more is split among sub-orchestrations, as deep as it takes.

Every part answers with a tally, and with what it could not do because of a trouble, so that all the others
are waited for: the backup waits a while, says so in its custom status, and has just that done again. When it
gives up, it still writes the manifest, in which everything that was not reached has failed for that reason.
"""

from contextlib import suppress
from typing import Any, Literal

from durabletask.task import OrchestrationContext

from sitebackup import names
from sitebackup.digests import root_id
from sitebackup.errors import BackupFailedError
from sitebackup.messages import (
    Answer,
    Copied,
    EndRequest,
    Findings,
    Listed,
    ListRequest,
    ManifestRequest,
    Plan,
    SharesRequest,
)
from sitebackup.orchestrations import words
from sitebackup.orchestrations.comparing import compare
from sitebackup.orchestrations.copying import copy_shares
from sitebackup.orchestrations.gathering import STEPS, Follower, Steps, alone, part
from sitebackup.orchestrations.inputs import read_request
from sitebackup.orchestrations.listing import list_portions
from sitebackup.orchestrations.news import News
from sitebackup.orchestrations.patience import WAITS, GaveUpError, Patience
from sitebackup.orchestrations.status import Status
from sitebackup.orchestrations.writing import write_manifest
from sitebackup.ranges import Share
from sitebackup.request import BackupRequest
from sitebackup.tally import NAMED

HALF_FROM = 100
"""Entries from which on a run fails if more than half are gone, unless the caller says how many may be."""


def backup_site_content(ctx: OrchestrationContext, request: Any) -> Steps[int]:
    """Back up a tree; return the bytes of all its files that are saved, now or by an earlier run.

    `request` is what `BackupRequest.parse` reads. Raises `BackupFailedError` unless all of the tree is saved.
    """
    asked = read_request(BackupRequest.parse, request)
    status = Status(ctx, root_id(asked.root), by_ctime=asked.change_detection == "ctime")
    backup = _Backup(ctx, request, asked, status)
    try:
        yield from backup.run()
    except Exception as error:
        yield from backup.end("failed", str(error))
        status.ended("Failed")
        raise
    yield from backup.end("partial" if status.done.failed else "completed")
    status.ended("Completed")
    return status.done.bytes


type _State = Literal["completed", "partial", "failed"]


class _Backup:
    """One run. What it found is kept here as it goes, for the manifest of a run that gives up."""

    def __init__(self, ctx: OrchestrationContext, request: Any, asked: BackupRequest, status: Status) -> None:
        self._ctx = ctx
        self._run = ctx.instance_id
        self._started = _now(ctx)
        self._request = request
        self._asked = asked
        self._status = status
        self._news = News(ctx, status.heard)
        self._patience = Patience(ctx, status.wait_for)
        self._listed = Listed()
        self._named: tuple[str, ...] = ()
        self._kept: str | None = "The run was given up before anything was removed."

    def run(self) -> Steps[None]:
        """Do all of it but the end."""
        try:
            yield from self._save()
        except GaveUpError as error:
            if self._listed.plans:
                self._status.enter("finishing")
                yield from self._write_in_vain(str(error))
            raise
        self._status.enter("finishing")
        yield from self._write(self._patience)
        compared = yield from compare(
            self._run, self._run, self._patience, Follower(self._status.compared, self._news)
        )
        if compared.repairs:
            yield from self._repair(compared.repairs)
        self._judge(compared.findings)

    def end(self, state: _State, message: str | None = None) -> Steps[None]:
        """Have it recorded how the run ended. If that does not work, the run has ended so all the same."""
        request = EndRequest(
            run=self._run,
            request=self._request,
            started=self._started,
            ended=_now(self._ctx),
            state=state,
            tally=self._status.done,
            message=message,
            has_manifest=self._status.manifest is not None,
        )
        patience = Patience(self._ctx, self._status.wait_for, WAITS[:1])
        with suppress(GaveUpError):
            yield from patience.insist(names.END_RUN, request, Answer())
        self._status.enter("done")

    def _save(self) -> Steps[None]:
        try:
            yield from self._list()
        except GaveUpError:
            if self._listed.plans:  # what was not listed must not keep the rest from being saved
                with suppress(GaveUpError):
                    yield from self._copy_new()
            raise
        self._check_found()
        yield from self._copy_new()
        yield from self._remove_gone()

    def _list(self) -> Steps[None]:
        self._status.enter("listing")
        follower = Follower(self._status.listed, self._news)
        request = ListRequest(run=self._run, request=self._request, started=self._started)
        answer = yield from list_portions(self._ctx, request, follower, STEPS)
        self._listed = answer
        while (yield from self._patience.wait_out(answer)):
            request = ListRequest(
                self._run, self._request, self._started, answer.portions, last=self._patience.is_at_its_end
            )
            undone = Listed(portions=answer.portions)
            answer = yield from alone(part(self._ctx, names.LIST_TREE, request, undone), follower)
            self._listed = Listed.of([self._listed, answer], answer.portions)

    def _check_found(self) -> None:
        """Raise `BackupFailedError` if there is nothing to save: that must not look like a backup."""
        found = self._status.found
        has_any = found.entries > found.directories or found.directories > 1  # one is the root itself
        if not has_any and not self._asked.allow_empty:
            raise BackupFailedError(
                f"There is nothing to back up: '{self._asked.root}' is empty, or the patterns leave nothing"
                " of it. Set allowEmpty if that is right."
            )

    def _copy_new(self) -> Steps[None]:
        self._status.enter("copying")
        shares = tuple(Share(plan.id, 0, plan.batches) for plan in self._listed.plans if plan.batches)
        yield from self._copy(shares, Follower(self._status.copied, self._news))

    def _remove_gone(self) -> Steps[None]:
        """Remove what is gone from the tree, unless that is so much that it may be a mistake."""
        self._kept = self._too_much()
        plans = [plan for plan in self._listed.plans if plan.removals]
        if plans and self._kept is None:
            self._status.enter("removing")
            shares = tuple(Share(plan.id, plan.batches, plan.removals) for plan in plans)
            yield from self._copy(shares, Follower(self._status.copied, self._news))

    def _too_much(self) -> str | None:
        """Say why nothing may be removed, and the run is to fail, if too much is gone or has vanished."""
        found, before, most = self._status.found, self._listed.baseline, self._asked.max_delete
        vanished = self._status.done.vanished
        if not before:
            is_too_much = found.entries >= HALF_FROM and vanished > found.entries / 2
            return words.shrunk(vanished, found.entries) if is_too_much else None
        if most is None and before >= HALF_FROM:
            most = before // 2
        gone = found.gone + vanished
        return words.too_many_gone(gone, before, most) if most is not None and gone > most else None

    def _copy(self, shares: tuple[Share, ...], follower: Follower[Copied]) -> Steps[None]:
        request = SharesRequest(run=self._run, shares=shares, waits=self._patience.waits)
        answer = yield from copy_shares(self._ctx, request, follower, STEPS)
        while (yield from self._patience.wait_out(answer)):
            # In a sub-orchestration, so that this history does not grow with every attempt.
            request = SharesRequest(
                self._run, answer.shares, waits=self._patience.waits, last=self._patience.is_at_its_end
            )
            undone = Copied(shares=answer.shares)
            answer = yield from alone(part(self._ctx, names.COPY_BATCHES, request, undone), follower)

    def _write(
        self, patience: Patience, gave_up: str | None = None, repairs: tuple[Plan, ...] = ()
    ) -> Steps[None]:
        listed = self._listed
        tally, named = (self._status.done, self._named) if repairs else (listed.tally, listed.named)
        request = ManifestRequest(
            run=self._run,
            request=self._request,
            started=self._started,
            finished=_now(self._ctx),
            plans=listed.plans,
            portions=listed.portions if gave_up else (),
            repairs=repairs,
            tally=tally,
            gave_up=gave_up,
            kept=self._kept,
        )
        written = yield from write_manifest(self._ctx, request, patience)
        self._named = (*named, *written.named)[:NAMED]
        self._status.written(f"{names.CATALOG_CONTAINER}/{written.manifest}", request.tally + written.tally)

    def _write_in_vain(self, reason: str, repairs: tuple[Plan, ...] = ()) -> Steps[None]:
        """Write the manifest of a run that is given up, if storage takes it."""
        patience = Patience(self._ctx, self._status.wait_for, WAITS[:2])
        with suppress(GaveUpError):
            yield from self._write(patience, reason, repairs)

    def _repair(self, plans: tuple[Plan, ...]) -> Steps[None]:
        """Copy again what is not there as an earlier run has saved it; remove what no manifest knows."""
        shares = tuple(
            Share(plan.id, 0, plan.batches + (plan.removals if self._kept is None else 0)) for plan in plans
        )
        try:
            yield from self._copy(shares, Follower(self._status.repaired, self._news))
        except GaveUpError as error:
            yield from self._write_in_vain(str(error), plans)
            raise
        yield from self._write(self._patience, repairs=plans)

    def _judge(self, found: Findings) -> None:
        """Raise `BackupFailedError` unless all is saved that had to be."""
        if found.wrong:
            raise BackupFailedError(words.mismatch(found))
        if self._kept is not None:
            raise BackupFailedError(self._kept)
        done = self._status.done
        if done.failed and not (self._asked.allow_partial and (done.files or done.links)):
            raise BackupFailedError(
                words.partial(done.entries, done.failed, self._named, self._status.manifest or "")
            )


def _now(ctx: OrchestrationContext) -> str:
    """Return the time as an orchestration knows it, RFC 3339 with microseconds."""
    return f"{ctx.current_utc_datetime.replace(tzinfo=None).isoformat(timespec='microseconds')}Z"
