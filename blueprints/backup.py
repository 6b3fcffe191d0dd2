"""The backup's orchestrations and activities, registered under the names that histories remember."""

import asyncio
import atexit
import os
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import azure.durable_functions as df
from azure.durable_functions.decorators.metadata import DurableClient

from sitebackup import names
from sitebackup.activities.running import Body
from sitebackup.activities.running import run as run_activity
from sitebackup.engine.process import ProcessEngine
from sitebackup.engine.watch import is_over
from sitebackup.messages import Progress
from sitebackup.registry import ACTIVITIES, ORCHESTRATORS
from sitebackup.settings import Settings

blueprint = df.Blueprint()
_engine = ProcessEngine(Settings.from_environment(os.environ), os.environ)
atexit.register(lambda: asyncio.run(_engine.close()))


async def _is_over(client: str, run: str) -> bool:
    """Ask the task hub, as the binding `client` describes it, whether an orchestration is over."""
    hub = df.DurableFunctionsClient(client)
    try:
        return is_over(await hub.get_orchestration_state(run, fetch_payloads=False))
    finally:
        await hub.close()


async def _tell(client: str, run: str, progress: Progress) -> None:
    """Tell an orchestration how far it is."""
    hub = df.DurableFunctionsClient(client)
    try:
        await hub.raise_orchestration_event(run, names.PROGRESS, data=progress.to_json())
    finally:
        await hub.close()


def _bound(body: Body) -> Callable[[Any, str], Awaitable[Any]]:
    async def activity(request: Any, client: str) -> Any:
        return await run_activity(body, request, _engine, partial(_is_over, client), partial(_tell, client))

    return activity


for _name, _orchestrator in ORCHESTRATORS.items():
    blueprint.function_name(_name)(blueprint.orchestration_trigger("ctx", _name)(_orchestrator))
for _name, _body in ACTIVITIES.items():
    _activity = blueprint.activity_trigger("request", _name)(_bound(_body))
    # The client is bound as the string that describes it. `durable_client_input` would open a connection for
    # every call, and one call in ten seconds needs one.
    _activity.add_binding(DurableClient("client"))
    blueprint.function_name(_name)(_activity)
