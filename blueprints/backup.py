"""The backup's orchestrations and activities, registered under the names that histories remember."""

import asyncio
import atexit
import os
from collections.abc import Awaitable, Callable
from typing import Any

import azure.durable_functions as df

from sitebackup.activities.running import Body
from sitebackup.activities.running import run as run_activity
from sitebackup.engine.process import ProcessEngine
from sitebackup.registry import ACTIVITIES, ORCHESTRATORS
from sitebackup.settings import Settings

blueprint = df.Blueprint()
_engine = ProcessEngine(Settings.from_environment(os.environ), os.environ)
atexit.register(lambda: asyncio.run(_engine.close()))


def _bound(body: Body) -> Callable[[Any], Awaitable[Any]]:
    async def activity(request: Any) -> Any:
        return await run_activity(body, request, _engine)

    return activity


for _name, _orchestrator in ORCHESTRATORS.items():
    blueprint.function_name(_name)(blueprint.orchestration_trigger("ctx", _name)(_orchestrator))
for _name, _body in ACTIVITIES.items():
    blueprint.function_name(_name)(blueprint.activity_trigger("request", _name)(_bound(_body)))
