"""How it went with one task: its outcome, or a trouble that may pass. That of one is not the others'."""

import logging
import re
import traceback
from collections.abc import Awaitable

from sitebackup.engine.engine import Engine
from sitebackup.errors import (
    FatalError,
    SourceError,
    SourceUnavailableError,
    UnavailableError,
    VanishedError,
    printable,
    process_trouble,
)
from sitebackup.records.entries import Entry, NotSaved
from sitebackup.records.outcomes import Outcome
from sitebackup.records.plans import Task
from sitebackup.tree.place import Place

_log = logging.getLogger(__name__)

_WORDS = re.compile("(?<=[a-z])(?=[A-Z])")
"""Between the words of a class's name."""

type End = Outcome | UnavailableError


def not_saved(task: Task, outcome: NotSaved, reason: str) -> Outcome:
    """Return the outcome of a task that saved nothing; what an earlier run saved is still to be found."""
    previous = task.base.content if task.base is not None else None
    return Outcome.not_saved(Entry(task.path, task.kind, outcome=outcome, reason=reason, previous=previous))


class Ends:
    """Turns what is raised for a task of the tree at `place` into its end.

    `is_last`: nobody will try again, so a task for which the disk does not answer has failed.
    """

    def __init__(self, engine: Engine, place: Place, *, is_last: bool) -> None:
        self._path_level = engine.settings.path_level
        self._place = place
        self._is_last = is_last

    async def of[T](self, task: Task, work: Awaitable[T]) -> T | End:
        """Return what `work` returns, or the end of its `task`.

        Raises `FatalError` if nothing can succeed.
        """
        try:
            return await work
        except FatalError:
            raise
        except Exception as error:  # noqa: BLE001 - what nobody expects fails that task alone
            return self._of_error(task, error)

    def _of_error(self, task: Task, error: Exception) -> End:
        match error:
            case VanishedError():
                return not_saved(task, "vanished", str(error))
            case SourceError():
                return not_saved(task, "failed", str(error))
            case SourceUnavailableError() if self._is_last:
                return not_saved(task, "failed", str(error))
            case UnavailableError():
                return error
            case OSError() if (trouble := process_trouble(error)) is not None:
                return UnavailableError(f"{trouble.strerror}.")
            case _:
                return not_saved(task, "failed", self._unexpected(task, error))

    def _unexpected(self, task: Task, error: Exception) -> str:
        # The error's own text may hold a path; where it was raised does not.
        where = "".join(traceback.format_tb(error.__traceback__))
        kind = type(error).__name__
        _log.error("A task ended with an unexpected %s:\n%s", kind, where)
        name = printable(self._place.name(task.path))
        _log.log(self._path_level, "It is '%s': %s", name, printable(str(error)))
        return f"an unexpected {_WORDS.sub(' ', kind).lower()}"
