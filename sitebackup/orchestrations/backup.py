"""The orchestrations: pure generators over counts and references.

    E2_BackupSiteContent   list the tree, copy it, write the manifest, compare it with the container
      E2_ListTree          list what listings left, and so on downwards
      E2_CopyTasks         a share of the copy tasks, split again while it is too large
    E2_VerifyBackup        compare a manifest with the container at any time
      E2_VerifyContents    read a share of the blobs back, split again while it is too large

No instance waits for more than about a hundred activities and sub-orchestrations, so that no history grows
with the tree: what is more is split among sub-orchestrations, as deep as it takes.

Every part answers with a tally. What it could not do because an activity failed, after the retries of its
policy, it gives back, so that all the others are waited for: the backup waits a while, says so in its custom
status, and has just that done again.
"""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import batched
from typing import Any, cast

from durabletask.task import OrchestrationContext, RetryPolicy, Task, when_all, when_any

from sitebackup import names
from sitebackup.errors import BackupFailedError
from sitebackup.orchestrations.shares import Part, Share, deal, join, split
from sitebackup.orchestrations.status import Status
from sitebackup.records.findings import Findings
from sitebackup.tally import Tally

FAN_OUT = 48
"""Copy tasks, or shares of them, that one instance waits for: 4 events each, and 8 more a retry."""

LISTINGS_AT_ONCE = 32
"""Listings in one round of one instance, and sub-orchestrations for what its rounds left."""

LISTING_ROUNDS = 2
"""Rounds of one instance: the root, then what the root left; a large tree goes on in sub-orchestrations."""

VERIFY_CHUNK = 64 * 1024
"""Bytes of a manifest whose blobs one activity reads back: some 200 of them."""

WAITS = (15, 30, 60, 120, 240, 240)
"""Seconds to wait, after the retries of an activity and of the storage client, before work is done again.

From the first one again when something was done in between.
"""

MOST_WAITS = 50
"""Times that one instance waits in all: its history has some ten events for each."""

_STEPS = 20
"""Steps in which a backup sees its copy tasks complete: its custom status moves by 5 %."""

ATTEMPTS = 5
"""Times that an activity is tried: it fails when its worker ends, as do all others in that worker.

A new worker is there within seconds, and may end as the one before it did.
"""

_RETRY = RetryPolicy(
    first_retry_interval=timedelta(seconds=1), backoff_coefficient=2, max_number_of_attempts=ATTEMPTS
)

type Steps[T] = Generator[Task[Any], Any, T]
type Answer = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Call:
    """A task that is under way, and what is undone if it fails, which is the answer then."""

    task: Task[Any]
    undone: Answer

    def answer(self) -> Answer:
        if self.task.is_failed:
            return {**self.undone, "troubles": [self.task.get_exception().details.message]}
        return self.task.get_result()


def backup_site_content(ctx: OrchestrationContext, request: Any) -> Steps[int]:
    """Back up a tree and return the bytes copied; raises `BackupFailedError` unless all of it is saved.

    `request` is what `BackupRequest.parse` reads.
    """
    status = Status(ctx)
    try:
        copied = yield from _backup(ctx, request, status)
    except Exception:
        status.ended("Failed")
        raise
    status.ended("Completed")
    return copied


def _backup(ctx: OrchestrationContext, request: Any, status: Status) -> Steps[int]:
    run = ctx.instance_id
    started = ctx.current_utc_datetime
    patience = _Patience(ctx, status)

    status.enter("listing")
    about = {"run": run, "request": request}
    answer = yield from _list(ctx, {**about, "left": []}, status.listed)
    plans: list[tuple[str, int, bool]] = answer["plans"]
    while (yield from patience.wait_out(answer)):
        undone = {"left": answer["left"]}
        answer = yield from _again(ctx, names.LIST_TREE, about, undone, status.listed)
        plans += answer.get("plans", [])

    status.enter("copying")
    shares: list[Share] = [(plan, 0, tasks) for plan, tasks, _ in plans]
    answer = yield from _copy(ctx, {"run": run, "shares": shares}, _STEPS, status.copied)
    while (yield from patience.wait_out(answer)):
        undone = {"shares": answer["shares"]}
        answer = yield from _again(ctx, names.COPY_TASKS, {"run": run}, undone, status.copied)

    status.enter("finishing")
    times = {"started": _iso(started), "finished": _iso(ctx.current_utc_datetime)}
    written = yield from _insist(ctx, names.WRITE_MANIFEST, {**about, "plans": plans, **times}, patience)
    status.manifest = f"{names.RUNS_CONTAINER}/{written['manifest']}"
    found = yield from _insist(ctx, names.VERIFY_MANIFEST, {"run": run}, patience)

    status.enter("done")
    if _wrong(found):
        raise BackupFailedError(_mismatch(found))
    if written["failed"] and not (isinstance(request, dict) and cast(Answer, request).get("allowPartial")):
        raise BackupFailedError(_partial(status, written))
    return status.done.bytes


def list_tree(ctx: OrchestrationContext, request: Answer) -> Steps[Answer]:
    """List the parts of a tree in `request["left"]`; return their tally, plans, and what is still left."""
    return (yield from _list(ctx, request, _nobody))


def copy_tasks(ctx: OrchestrationContext, request: Answer) -> Steps[Answer]:
    """Copy the tasks in `request["shares"]`; return their tally, and the shares that are not done."""
    return (yield from _copy(ctx, request, 1, _nobody))


def verify_backup(ctx: OrchestrationContext, request: Any) -> Steps[Answer]:
    """Compare a run's manifest with the container; return the findings, or raise `BackupFailedError`.

    `request` is what `VerifyRequest.parse` reads. The custom status has the counts in either case. What is
    extra in the container is counted, and is no error.
    """
    options = cast(Answer, request) if isinstance(request, dict) else {"instanceId": request}
    patience = _Patience(ctx, None)
    run: str = options["instanceId"]
    found = yield from _insist(ctx, names.VERIFY_MANIFEST, {"run": run}, patience)
    size: int = found.pop("size")
    if options.get("deep"):
        findings = Findings(extra=found["extra"])
        answer = yield from _read_back(ctx, {"shares": [(run, 0, size)]}, findings.add)
        while (yield from patience.wait_out(answer)):
            undone = {"shares": answer["shares"]}
            answer = yield from _again(ctx, names.VERIFY_CONTENTS, {}, undone, findings.add)
        # A wrong MD5 beside the right content shows in the listing alone.
        found = max(findings.to_json(), found, key=_wrong)
    ctx.set_custom_status({key: count for key, count in found.items() if key != "named"})
    if _wrong(found):
        raise BackupFailedError(_mismatch(found))
    return found


def verify_contents(ctx: OrchestrationContext, request: Answer) -> Steps[Answer]:
    """Read back the blobs of the entries in `request["shares"]`, which are bytes of a run's manifest.

    Returns the findings, and the shares that are not done.
    """
    return (yield from _read_back(ctx, request, _nobody))


def _list(ctx: OrchestrationContext, request: Answer, progress: Callable[[Answer], None]) -> Steps[Answer]:
    left: list[Part] = request["left"]
    answers: list[Answer] = []
    for _ in range(LISTING_ROUNDS):
        hands = deal(left, LISTINGS_AT_ONCE) or [[]]
        found = yield from _gather(
            [
                _activity(ctx, names.GET_FILE_LIST, {**request, "left": hand}, {"left": hand})
                for hand in hands
            ],
            progress,
        )
        answers += found
        left = _joined(found, "left")
        if not left or _joined(found, "troubles"):
            break
    else:
        below = yield from _gather(
            [
                _part(ctx, names.LIST_TREE, {**request, "left": hand}, {"left": hand})
                for hand in deal(left, LISTINGS_AT_ONCE)
            ],
            progress,
        )
        answers += below
        left = _joined(below, "left")
    return _sum(answers) | {"plans": _joined(answers, "plans"), "left": left}


def _copy(
    ctx: OrchestrationContext, request: Answer, least_parts: int, progress: Callable[[Answer], None]
) -> Steps[Answer]:
    run: str = request["run"]
    shares: list[Share] = request["shares"]
    tasks = sum(count for _, _, count in shares)
    if tasks <= FAN_OUT:
        calls = [
            _activity(
                ctx,
                names.COPY_FILE_TO_BLOB,
                {"run": run, "plan": plan, "task": task},
                {"shares": [(plan, task, 1)]},
            )
            for plan, first, count in shares
            for task in range(first, first + count)
        ]
    else:
        parts = min(FAN_OUT, max(least_parts, -(-tasks // FAN_OUT)))
        calls = [
            _part(ctx, names.COPY_TASKS, {"run": run, "shares": part}, {"shares": part})
            for part in split(shares, -(-tasks // parts))
        ]
    answers = yield from _gather(calls, progress)
    return _sum(answers) | {"shares": join(_joined(answers, "shares"))}


def _read_back(
    ctx: OrchestrationContext, request: Answer, progress: Callable[[Answer], None]
) -> Steps[Answer]:
    shares: list[Share] = request["shares"]
    size = sum(count for _, _, count in shares)
    alone = size <= FAN_OUT * VERIFY_CHUNK
    call, name = (_activity, names.VERIFY_BLOBS) if alone else (_part, names.VERIFY_CONTENTS)
    parts = split(shares, VERIFY_CHUNK if alone else -(-size // FAN_OUT))
    undone = [{"shares": part} for part in parts]
    answers = yield from _gather([call(ctx, name, part, part) for part in undone], progress)
    findings = Findings()
    for answer in answers:
        findings.add(answer)
    return _sum(answers) | findings.to_json() | {"shares": join(_joined(answers, "shares"))}


def _again(
    ctx: OrchestrationContext, name: str, request: Answer, undone: Answer, progress: Callable[[Answer], None]
) -> Steps[Answer]:
    """Do what is undone in a sub-orchestration, so that this history does not grow with every attempt."""
    (answer,) = yield from _gather([_part(ctx, name, request | undone, undone)], progress)
    return answer


def _activity(ctx: OrchestrationContext, name: str, request: Answer, undone: Answer) -> _Call:
    return _Call(ctx.call_activity(name, input=request, retry_policy=_RETRY), undone)


def _part(ctx: OrchestrationContext, name: str, request: Answer, undone: Answer) -> _Call:
    """Call a sub-orchestration, without a retry policy: its activities have theirs."""
    return _Call(ctx.call_sub_orchestrator(name, input=request), undone)


def _gather(calls: Sequence[_Call], progress: Callable[[Answer], None]) -> Steps[list[Answer]]:
    """Wait for all `calls` and return their answers, telling `progress` each one in `_STEPS` steps."""
    groups = list(batched(calls, -(-len(calls) // _STEPS) or 1, strict=False))
    waiting = {id(task): (task, group) for group in groups for task in [when_all([c.task for c in group])]}
    while waiting:
        done = yield when_any([task for task, _ in waiting.values()])
        _, group = waiting.pop(id(done))
        for call in group:
            progress(call.answer())
    return [call.answer() for call in calls]


def _insist(ctx: OrchestrationContext, name: str, request: Answer, patience: "_Patience") -> Steps[Answer]:
    """Call one activity until it answers, or `patience` ends."""
    while True:
        (answer,) = yield from _gather([_activity(ctx, name, request, {})], _nobody)
        if not (yield from patience.wait_out(answer)):
            return answer


class _Patience:
    """Waiting for troubles to pass, and for how long; shared by all that one orchestration does."""

    def __init__(self, ctx: OrchestrationContext, status: Status | None) -> None:
        self._ctx = ctx
        self._status = status
        self._waits = iter(WAITS)
        self._waited: list[int] = []

    def wait_out(self, answer: Answer) -> Steps[bool]:
        """Wait if `answer` has troubles, and tell whether it had: then what is undone is to be done again.

        Raises `BackupFailedError` for errors that do not pass, and for troubles that have not passed.
        """
        errors = answer.get("errors", [])
        if errors:
            more = f" And {len(errors) - 1} more errors." if len(errors) > 1 else ""
            raise BackupFailedError(errors[0] + more)
        troubles = answer.get("troubles", [])
        if not troubles:
            return False
        if Tally.from_json(answer) != Tally() or answer.get("checked"):  # something was done
            self._waits = iter(WAITS)
        seconds = next(self._waits, None)
        if seconds is None or len(self._waited) == MOST_WAITS:
            raise BackupFailedError(
                f"Gave up after waiting {sum(self._waited)} seconds in all: {troubles[0]}"
            )
        self._waited.append(seconds)
        if self._status is not None:
            self._status.wait_for(answer)
        yield self._ctx.create_timer(timedelta(seconds=seconds))
        if self._status is not None:
            self._status.wait_for({})
        return True


def _sum(answers: Sequence[Answer]) -> Answer:
    """Return the tally of `answers`, with the first of their troubles."""
    return Tally.of(map(Tally.from_json, answers)).to_json() | {"troubles": _joined(answers, "troubles")[:1]}


def _joined(answers: Sequence[Answer], key: str) -> list[Any]:
    return [item for answer in answers for item in answer.get(key, [])]


def _nobody(_: Answer) -> None:
    """Progress of a sub-orchestration: its parent learns it from the answer."""


def _iso(moment: Any) -> str:
    return f"{moment.replace(tzinfo=None).isoformat(timespec='seconds')}Z"


def _partial(status: Status, written: Answer) -> str:
    text = f"{written['failed']} of {status.entries} entries were not backed up"
    return f"{text}{_names(written['named'], written['failed'])}. All outcomes: {status.manifest}."


def _wrong(found: Answer) -> int:
    return found["missing"] + found["changed"]


def _mismatch(found: Answer) -> str:
    count = _wrong(found)
    text = f"{count} of {found['checked']} blobs are not what was saved"
    return f"{text}{_names(found['named'], count)}."


def _names(named: Sequence[str], count: int) -> str:
    if not named:  # BACKUP_LOG_PATHS=false
        return ""
    more = f"; and {count - len(named)} more" if count > len(named) else ""
    return f": {'; '.join(named)}{more}"
