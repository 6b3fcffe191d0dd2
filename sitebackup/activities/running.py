"""Running an activity's body, whichever it is."""

from collections.abc import Awaitable, Callable
from typing import Any, cast

from sitebackup.engine.engine import Engine
from sitebackup.engine.progress import Tell
from sitebackup.engine.watch import Ask
from sitebackup.errors import BackupError, UnavailableError
from sitebackup.messages import Answer, Progress

type Body = Callable[[Any, Engine], Awaitable[Any]]
"""Takes an activity's input, as JSON, and returns its output."""


async def tell_nobody(_run: str, _progress: Progress) -> None:
    """Take the place of a task hub that takes no events."""


async def run(
    body: Body, request: Any, engine: Callable[[], Engine], ask: Ask, tell: Tell = tell_nobody
) -> Any:
    """Run an activity's `body`.

    `engine` connects, or returns the connection that is there; `ask` tells whether a run is over, and `tell`
    tells it how far it is. What an orchestration asks for is an object, and gets an `Answer`: trouble that
    may pass, and errors that cannot, are data, because a durable retry policy would retry any exception. Bare
    strings raise both.
    """
    if not isinstance(request, dict):
        return await body(request, engine())
    try:
        return await _guarded(body, cast("dict[str, Any]", request), engine(), ask, tell)
    except UnavailableError as error:
        return Answer(troubles=(str(error),)).to_json()
    except BackupError as error:
        return Answer(errors=(str(error),)).to_json()


async def _guarded(body: Body, request: dict[str, Any], engine: Engine, ask: Ask, tell: Tell) -> Any:
    async def work() -> Any:
        return await body(request, engine)

    with engine.progress.published(request["run"], tell):
        return await engine.watch.guard(request["run"], work(), ask)
