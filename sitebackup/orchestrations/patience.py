"""Waiting for troubles to pass, and for how long."""

from collections.abc import Callable, Sequence
from datetime import timedelta

from durabletask.task import OrchestrationContext

from sitebackup.errors import BackupFailedError
from sitebackup.messages import Answer, Message
from sitebackup.orchestrations.gathering import NOBODY, Follower, Steps, activity, alone

WAITS = (15, 30, 60, 120, 240, 240)
"""Seconds to wait, after the retries of an activity and of the storage client, before work is done again.

From the first one again when something was done in between.
"""

MOST_WAITS = 50
"""Times that one instance waits in all: its history has some ten events for each."""

type Show = Callable[[str | None], None]
"""Publishes what is waited for; None when it is over."""


class GaveUpError(BackupFailedError):
    """Something is undone and will stay so; the message is the reason."""


class Patience:
    """Shared by all that one orchestration does."""

    def __init__(
        self, ctx: OrchestrationContext, show: Show = lambda _: None, waits: Sequence[int] = WAITS
    ) -> None:
        self._ctx = ctx
        self._show = show
        self._waits = waits
        self._left = list(waits)
        self._waited: list[int] = []

    @property
    def waits(self) -> int:
        """How often it has waited until now."""
        return len(self._waited)

    @property
    def is_at_its_end(self) -> bool:
        """Whether it will not wait again, unless something is done in between."""
        return not self._left or self.waits == MOST_WAITS

    def wait_out(self, answer: Answer) -> Steps[bool]:
        """Wait if `answer` has troubles, and tell whether it had: then what is undone is to be done again.

        Raises `GaveUpError` for errors that do not pass, and for troubles that have not passed.
        """
        if answer.errors:
            first, *others = answer.errors
            raise GaveUpError(first + (f" And {len(others)} more errors." if others else ""))
        if answer.advanced or not answer.troubles:
            self._left = list(self._waits)
        if not answer.troubles:
            return False
        if self.is_at_its_end:
            self._show(None)
            raise GaveUpError(
                f"Gave up after waiting {sum(self._waited)} seconds in all: {answer.troubles[0]}"
            )
        seconds = self._left.pop(0)
        self._waited.append(seconds)
        self._show(answer.troubles[0])
        yield self._ctx.create_timer(timedelta(seconds=seconds))
        self._show(None)
        return True

    def insist[A: Answer](
        self, name: str, request: Message, undone: A, follower: Follower[A] = NOBODY
    ) -> Steps[A]:
        """Call one activity until it answers. Raises `GaveUpError`."""
        while True:
            answer = yield from alone(activity(self._ctx, name, request, undone), follower)
            if not (yield from self.wait_out(answer)):
                return answer
