"""News of a run from the processes that work for it, beside the answers of its activities.

An answer says what a whole batch came to, and of the batches of a sub-orchestration nothing is heard before
all of them have ended. So processes tell meanwhile how far they are (`engine.progress`). They raise an event:
an activity that asked them would stand in line behind all the batches.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import msgspec
from durabletask.task import OrchestrationContext, Task

from sitebackup import names
from sitebackup.messages import Progress


class News:
    """Waits for the next news while a run gathers answers, and tells `hear` of each."""

    def __init__(self, ctx: OrchestrationContext, hear: Callable[[Progress], None]) -> None:
        self._ctx = ctx
        self._hear = hear
        self.task: Task[Any] = ctx.wait_for_external_event(names.PROGRESS)

    def take(self) -> None:
        """Take the news that came, and wait for others. What anybody else sent under this name is ignored."""
        news = self.task.get_result()
        self.task = self._ctx.wait_for_external_event(names.PROGRESS)
        with suppress(msgspec.ValidationError):
            self._hear(Progress.from_json(news))
