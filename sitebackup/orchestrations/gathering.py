"""Calling activities and sub-orchestrations, and waiting for many of them."""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import batched
from typing import Any, Protocol

import msgspec
from durabletask.task import OrchestrationContext, RetryPolicy, Task, when_all, when_any

from sitebackup.messages import Answer, Message

STEPS = 20
"""Steps in which a backup hears how its batches went: its custom status moves by 5 % without any news."""

FAN_OUT = 24
"""Calls that one instance waits for: 4 events each, and 8 more for each retry."""

_RETRY = RetryPolicy(
    first_retry_interval=timedelta(seconds=2), max_number_of_attempts=5, backoff_coefficient=2.0
)
"""For activities that end without an answer: in Azure, each that runs in a worker process when that ends.

Five attempts in half a minute, which is longer than a worker takes to start. A trouble that an
activity knows is an answer, and `patience` waits for it.
"""

_MOST_WORDS = 300
"""Characters of a failure's message."""

type Steps[T] = Generator[Task[Any], Any, T]


@dataclass(frozen=True, slots=True)
class Call[A: Answer]:
    """A task that is under way, and its answer if it does not say what is undone: `undone`, all of it."""

    task: Task[Any]
    undone: A

    def answer(self) -> A:
        """Return the answer of a task that has ended."""
        kind = type(self.undone)
        if self.task.is_failed:
            reason = _first_line(self.task.get_exception().details.message)
            return msgspec.structs.replace(self.undone, troubles=(reason,))
        answer = kind.from_json(self.task.get_result())
        only = kind(troubles=answer.troubles, errors=answer.errors)
        if answer == only != kind():
            return msgspec.structs.replace(self.undone, troubles=answer.troubles, errors=answer.errors)
        return answer


def _first_line(message: str) -> str:
    """Return what a failure says, without a stack: it gets into the custom status.

    Azure says nothing of an orchestration that was terminated.
    """
    line = message.strip().partition("\n")[0][:_MOST_WORDS].rstrip(": ")
    return line or "A part of the run ended without a word."


def activity[A: Answer](ctx: OrchestrationContext, name: str, request: Message, undone: A) -> Call[A]:
    """Call an activity."""
    return Call(ctx.call_activity(name, input=request.to_json(), retry_policy=_RETRY), undone)


def part[A: Answer](ctx: OrchestrationContext, name: str, request: Message, undone: A) -> Call[A]:
    """Call a sub-orchestration, without a retry policy: its activities have theirs."""
    return Call(ctx.call_sub_orchestrator(name, input=request.to_json()), undone)


def size_of_parts(pieces: int, least: int) -> int:
    """How many pieces of work go to one sub-orchestration, if there are to be at least so many of these."""
    parts = min(FAN_OUT, max(least, -(-pieces // FAN_OUT)))
    return -(-pieces // parts)


class Beside(Protocol):
    """What an orchestration also waits for while it gathers: when `task` has ended, `take` is called."""

    @property
    def task(self) -> Task[Any]: ...

    def take(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Follower[A: Answer]:
    """Whoever is told each answer as it comes (`heard`); `beside` is waited for meanwhile."""

    heard: Callable[[A], None]
    beside: Beside | None = None


NOBODY: Follower[Any] = Follower(lambda _: None)
"""Follows a sub-orchestration: its parent learns all from the answer."""


def gather[A: Answer](calls: Sequence[Call[A]], follower: Follower[A]) -> Steps[list[A]]:
    """Wait for all `calls` and return their answers, telling `follower` each one in `STEPS` steps."""
    groups = list(batched(calls, -(-len(calls) // STEPS) or 1, strict=False))
    waiting = {id(task): (task, group) for group in groups for task in [when_all([c.task for c in group])]}
    beside = follower.beside
    answers: dict[int, A] = {}
    while waiting:
        tasks: list[Task[Any]] = [task for task, _ in waiting.values()]
        done = yield when_any([*tasks, beside.task] if beside is not None else tasks)
        if beside is not None and id(done) not in waiting:
            beside.take()
            continue
        _, group = waiting.pop(id(done))
        for call in group:
            answers[id(call)] = call.answer()
            follower.heard(answers[id(call)])
    return [answers[id(call)] for call in calls]


def alone[A: Answer](call: Call[A], follower: Follower[A] = NOBODY) -> Steps[A]:
    """Wait for one call."""
    (answer,) = yield from gather([call], follower)
    return answer
