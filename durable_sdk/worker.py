"""A worker: runs the app's orchestrations and activities for a task hub.

The SDK calls activities in threads; the app's are coroutines that share clients and limits, and so belong on
one event loop. Each call waits in its thread for its coroutine on that loop.
"""

import asyncio
import math
from collections.abc import Callable, Coroutine, Generator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

from durabletask.client import TaskHubGrpcClient
from durabletask.task import ActivityContext, OrchestrationContext
from durabletask.worker import ConcurrencyOptions, TaskHubGrpcWorker

from durable_sdk.connection import TaskHub
from durable_sdk.loop import event_loop_thread
from sitebackup import names
from sitebackup.activities.running import Body
from sitebackup.activities.running import run as run_activity
from sitebackup.engine.process import ProcessEngine
from sitebackup.engine.watch import is_over
from sitebackup.messages import Progress
from sitebackup.registry import ACTIVITIES, ORCHESTRATORS
from sitebackup.settings import Settings

MAX_ACTIVITIES = 16
MAX_ORCHESTRATIONS = 8
"""At once in one worker; the same as in host.json, for the same reasons."""

_CLOSE_SECONDS = 30

type _Run = Callable[[Body, Any], Coroutine[Any, Any, Any]]
"""Runs an activity's body with its request."""


@contextmanager
def running_worker(hub: TaskHub, environment: Mapping[str, str]) -> Generator[None]:
    """Run a worker. At the end it takes no more work, and the block ends when it has finished what it holds.

    Raises `SettingError` for a bad setting.
    """
    # Nothing ends an activity that takes long here, as a Functions host does.
    engine = ProcessEngine(Settings.from_environment(environment), environment, activity_seconds=math.inf)
    concurrency = ConcurrencyOptions(
        maximum_concurrent_activity_work_items=MAX_ACTIVITIES,
        maximum_concurrent_orchestration_work_items=MAX_ORCHESTRATIONS,
        maximum_thread_pool_workers=MAX_ACTIVITIES + MAX_ORCHESTRATIONS,
    )
    with event_loop_thread("activities") as loop:
        try:
            with hub.client() as client, hub.worker(concurrency_options=concurrency) as worker:
                run = partial(
                    run_activity, engine=engine, ask=partial(_is_over, client), tell=partial(_tell, client)
                )
                _register(worker, run, loop)
                worker.start()
                yield
        finally:
            asyncio.run_coroutine_threadsafe(engine.close(), loop).result(_CLOSE_SECONDS)


async def _is_over(client: TaskHubGrpcClient, run: str) -> bool:
    return is_over(await asyncio.to_thread(client.get_orchestration_state, run, fetch_payloads=False))


async def _tell(client: TaskHubGrpcClient, run: str, progress: Progress) -> None:
    await asyncio.to_thread(client.raise_orchestration_event, run, names.PROGRESS, data=progress.to_json())


def _register(worker: TaskHubGrpcWorker, run: _Run, loop: asyncio.AbstractEventLoop) -> None:
    """Register what `sitebackup` defines. The SDK takes a function's own name for its registered name."""
    for name, orchestrator in ORCHESTRATORS.items():
        worker.add_orchestrator(_named(name, _orchestration(orchestrator)))
    for name, body in ACTIVITIES.items():
        worker.add_activity(_named(name, _activity(partial(run, body), loop)))


def _orchestration(orchestrator: Callable[[OrchestrationContext, Any], Any]) -> Callable[..., Any]:
    def orchestration(ctx: OrchestrationContext, request: Any) -> Any:
        return orchestrator(ctx, request)

    return orchestration


def _activity(
    run: Callable[[Any], Coroutine[Any, Any, Any]], loop: asyncio.AbstractEventLoop
) -> Callable[..., Any]:
    def activity(_: ActivityContext, request: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(run(request), loop).result()

    return activity


def _named(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    function.__name__ = name
    return function
