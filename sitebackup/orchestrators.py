"""The orchestrations: pure generators over counts and references.

    E2_BackupSiteContent   list the tree, copy it, report
      E2_ListTree          list what listings left, and so on downwards
      E2_CopyTasks         a share of the copy tasks, split again while it is too large

No instance waits for more than about a hundred activities and sub-orchestrations, so that no history grows
with the tree: what is more is split among sub-orchestrations, as deep as it takes. Every part answers with a
tally. A part that failed answers with a tally that says so, so that all the others are waited for.
"""

from collections.abc import Callable, Generator, Iterable, Sequence
from datetime import timedelta
from itertools import batched
from typing import Any, cast

from durabletask.task import OrchestrationContext, RetryPolicy, Task, when_all, when_any

from sitebackup import names
from sitebackup.errors import BackupFailedError
from sitebackup.tally import Tally

FAN_OUT = 100
"""Copy tasks, or shares of them, that one instance waits for: 4 events each, and 8 for each retry."""

LISTINGS_AT_ONCE = 32
"""Listings in one round of one instance, and sub-orchestrations for what its rounds left."""

LISTING_ROUNDS = 2
"""Rounds of one instance: the root, then what the root left; a large tree goes on in sub-orchestrations."""

_STEPS = 20
"""Steps in which a backup sees its copy tasks complete: its custom status moves by 5 %."""

_RETRY = RetryPolicy(
    first_retry_interval=timedelta(seconds=5),
    max_number_of_attempts=8,
    backoff_coefficient=2.0,
    max_retry_interval=timedelta(minutes=2),
)
"""With the storage client's own retries, an outage of about eight minutes is sat out."""

type Steps[T] = Generator[Task[Any], Any, T]
type Answer = dict[str, Any]
type Part = tuple[str, int]
"""`(plan, part)`: a part of the directories that a listing left."""
type Share = tuple[str, int, int]
"""`(plan, first task, number of tasks)`: consecutive copy tasks of a plan."""


def backup_site_content(ctx: OrchestrationContext, request: Any) -> Steps[int]:
    """Back up a tree and return the bytes copied; raises `BackupFailedError` unless all of it is saved.

    `request` is the root directory, an object with `rootDirectory`, or nothing for the app's own directory.
    """
    run = ctx.instance_id
    status = _Status(ctx)
    status.enter("listing")
    listing = yield from _list(ctx, {"run": run, "request": request, "left": []}, status.listed)
    _stop_on_errors(status)

    status.enter("copying")
    plans: list[tuple[str, int]] = listing["plans"]
    shares = [(plan, 0, tasks) for plan, tasks in plans]
    yield from _copy(ctx, {"run": run, "shares": shares}, _STEPS, status.copied)
    _stop_on_errors(status)

    if status.failed:
        status.enter("finishing")
        report: Answer = yield _activity(
            ctx, names.REPORT_FAILURES, {"run": run, "plans": [plan for plan, _ in plans]}
        )
        raise BackupFailedError(_partial(run, status, report.get("named", [])))
    status.enter("done")
    return status.done.bytes


def list_tree(ctx: OrchestrationContext, request: Answer) -> Steps[Answer]:
    """List the parts of a tree in `request["left"]`; return their tally and their plans."""
    return (yield from _list(ctx, request, _nobody))


def copy_tasks(ctx: OrchestrationContext, request: Answer) -> Steps[Answer]:
    """Copy the tasks in `request["shares"]`; return their tally."""
    return (yield from _copy(ctx, request, 1, _nobody))


def _list(ctx: OrchestrationContext, request: Answer, progress: Callable[[Answer], None]) -> Steps[Answer]:
    hands: list[list[Part]] = deal(request["left"], LISTINGS_AT_ONCE) or [[]]
    answers: list[Answer] = []
    for _ in range(LISTING_ROUNDS):
        calls = [_activity(ctx, names.GET_FILE_LIST, {**request, "left": hand}) for hand in hands]
        found = yield from _gather(calls, progress)
        answers += found
        hands = deal([part for answer in found for part in answer.get("left", [])], LISTINGS_AT_ONCE)
    below = [_part(ctx, names.LIST_TREE, {**request, "left": hand}) for hand in hands]
    answers += yield from _gather(below, progress)
    plans = [plan for answer in answers for plan in answer.get("plans", [])]
    return Tally.of(map(Tally.from_json, answers)).to_json() | {"plans": plans}


def _copy(
    ctx: OrchestrationContext, request: Answer, least_parts: int, progress: Callable[[Answer], None]
) -> Steps[Answer]:
    run: str = request["run"]
    shares: list[Share] = request["shares"]
    tasks = sum(count for _, _, count in shares)
    if tasks <= FAN_OUT:
        calls = [
            _activity(ctx, names.COPY_FILE_TO_BLOB, {"run": run, "plan": plan, "task": task})
            for plan, first, count in shares
            for task in range(first, first + count)
        ]
    else:
        parts = min(FAN_OUT, max(least_parts, -(-tasks // FAN_OUT)))
        calls = [
            _part(ctx, names.COPY_TASKS, {"run": run, "shares": part})
            for part in split(shares, -(-tasks // parts))
        ]
    answers = yield from _gather(calls, progress)
    return Tally.of(map(Tally.from_json, answers)).to_json()


def _activity(ctx: OrchestrationContext, name: str, request: Answer) -> Task[Answer]:
    return cast("Task[Answer]", ctx.call_activity(name, input=request, retry_policy=_RETRY))


def _part(ctx: OrchestrationContext, name: str, request: Answer) -> Task[Answer]:
    """Call a sub-orchestration, without a retry policy: its activities have theirs."""
    return cast("Task[Answer]", ctx.call_sub_orchestrator(name, input=request))


def _gather(tasks: Sequence[Task[Answer]], progress: Callable[[Answer], None]) -> Steps[list[Answer]]:
    """Wait for all `tasks`, telling `progress` each answer in `_STEPS` steps; a failure is an answer too."""
    waiting = [when_all(list(group)) for group in batched(tasks, -(-len(tasks) // _STEPS) or 1, strict=False)]
    while waiting:
        group = yield when_any(waiting)
        waiting.remove(group)
        for task in group.get_tasks():
            progress(_answer(task))
    return [_answer(task) for task in tasks]


def _answer(task: Task[Answer]) -> Answer:
    if task.is_failed:
        return Tally(errors=(task.get_exception().details.message,)).to_json()
    return task.get_result()


def deal[T](items: Sequence[T], hands: int) -> list[list[T]]:
    """Deal `items` round robin into at most `hands` lists, none of them empty."""
    return [list(items[hand::hands]) for hand in range(min(hands, len(items)))]


def split(shares: Iterable[Share], size: int) -> list[list[Share]]:
    """Split `shares` into lists of `size` copy tasks each, the last of what remains."""
    parts: list[list[Share]] = []
    room = 0
    for plan, first, count in shares:
        given = 0
        while given < count:
            if not room:
                parts.append([])
                room = size
            taken = min(room, count - given)
            parts[-1].append((plan, first + given, taken))
            given, room = given + taken, room - taken
    return parts


class _Status:
    """What the caller sees while the backup runs: the instance's custom status."""

    def __init__(self, ctx: OrchestrationContext) -> None:
        self._ctx = ctx
        self._phase = ""
        self.found = Tally()
        self.done = Tally()

    @property
    def failed(self) -> int:
        return self.found.failed + self.done.failed

    def enter(self, phase: str) -> None:
        self._phase = phase
        self._publish()

    def listed(self, answer: Answer) -> None:
        self.found += Tally.from_json(answer)
        self._publish()

    def copied(self, answer: Answer) -> None:
        self.done += Tally.from_json(answer)
        self._publish()

    def _publish(self) -> None:
        self._ctx.set_custom_status(
            {
                "phase": self._phase,
                "files": {
                    "total": self.found.files,
                    "done": self.done.files,
                    "failed": self.failed,
                    "vanished": self.done.vanished,
                    "skipped": self.found.skipped,
                },
                "bytes": {"total": self.found.bytes, "done": self.done.bytes},
            }
        )


def _nobody(_: Answer) -> None:
    """Progress of a sub-orchestration: its parent learns it from the answer."""


def _stop_on_errors(status: _Status) -> None:
    errors = status.found.errors + status.done.errors
    if errors:
        raise BackupFailedError(
            errors[0] if len(errors) == 1 else f"{errors[0]} And {len(errors) - 1} more errors."
        )


def _partial(run: str, status: _Status, named: Sequence[str]) -> str:
    text = f"{status.failed} of {status.found.files} files were not backed up: {'; '.join(named)}"
    if status.failed > len(named):
        text += f"; and {status.failed - len(named)} more"
    return f"{text}. All outcomes: container {names.RUNS_CONTAINER}, {run}/outcomes/."
