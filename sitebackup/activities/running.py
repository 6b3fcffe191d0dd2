"""Running an activity's body, whichever it is."""

from collections.abc import Awaitable, Callable
from typing import Any

from sitebackup.engine.engine import Engine
from sitebackup.errors import FatalError
from sitebackup.tally import Tally

type Body = Callable[[Any, Engine], Awaitable[Any]]


async def run(body: Body, request: Any, engine: Callable[[], Engine]) -> Any:
    """Run an activity's `body`; `engine` connects, or returns the connection that is there."""
    try:
        return await body(request, engine())
    except FatalError as error:
        if isinstance(request, dict):
            return Tally(errors=(str(error),)).to_json()
        raise
