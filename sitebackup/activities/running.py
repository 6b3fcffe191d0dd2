"""Running an activity's body, whichever it is."""

from collections.abc import Awaitable, Callable
from typing import Any, cast

from sitebackup.engine.engine import Engine
from sitebackup.engine.watch import Ask
from sitebackup.errors import BackupError, UnavailableError
from sitebackup.messages import Answer

type Body = Callable[[Any, Engine], Awaitable[Any]]
"""Takes an activity's input, as JSON, and returns its output."""


async def run(body: Body, request: Any, engine: Callable[[], Engine], ask: Ask) -> Any:
    """Run an activity's `body`.

    `engine` connects, or returns the connection that is there; `ask` tells whether a run is over. What an
    orchestration asks for is an object, and gets an `Answer`: trouble that may pass, and errors that cannot,
    are data, because a durable retry policy would retry any exception. Bare strings raise both.
    """
    if not isinstance(request, dict):
        return await body(request, engine())
    try:
        return await _guarded(body, cast("dict[str, Any]", request), engine(), ask)
    except UnavailableError as error:
        return Answer(troubles=(str(error),)).to_json()
    except BackupError as error:
        return Answer(errors=(str(error),)).to_json()


async def _guarded(body: Body, request: dict[str, Any], engine: Engine, ask: Ask) -> Any:
    async def work() -> Any:
        return await body(request, engine)

    return await engine.watch.guard(request["run"], work(), ask)
