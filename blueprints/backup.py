"""The backup's orchestrations and activities, registered under the names that histories remember."""

import asyncio
import atexit
import functools
import os
from collections.abc import Awaitable, Callable
from typing import Any

import azure.durable_functions as df

from sitebackup import activities, names
from sitebackup.engine import Engine
from sitebackup.registry import ACTIVITIES, ORCHESTRATORS
from sitebackup.settings import Settings
from sitebackup.storage import connect

blueprint = df.Blueprint()
_settings = Settings.from_environment(os.environ)


@functools.cache
def _engine() -> Engine:
    """Connect once a process, at the first activity: an app without storage can still be indexed."""
    storage = connect(os.environ)
    engine = Engine(
        _settings, storage.container(names.BACKUPS_CONTAINER), storage.container(names.RUNS_CONTAINER)
    )

    def close() -> None:
        engine.close()
        asyncio.run(storage.close())

    atexit.register(close)
    return engine


def _bound(body: activities.Body) -> Callable[[Any], Awaitable[Any]]:
    async def activity(request: Any) -> Any:
        return await activities.run(body, request, _engine)

    return activity


for _name, _orchestrator in ORCHESTRATORS.items():
    blueprint.function_name(_name)(blueprint.orchestration_trigger("ctx", _name)(_orchestrator))
for _name, _body in ACTIVITIES.items():
    blueprint.function_name(_name)(blueprint.activity_trigger("request", _name)(_bound(_body)))
