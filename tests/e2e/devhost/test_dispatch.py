"""The dispatcher by itself, where the host errs as it never should."""

import asyncio
import json
from collections.abc import Callable
from typing import NoReturn

import durabletask.internal.orchestrator_service_pb2 as pb
import pytest

from devhost.dispatch import Dispatcher
from devhost.functions import Function, TaskRegistry, parse_function
from devhost.invocations import Invocation
from devhost.settings import load_settings
from taskhub.execution import TERMINAL_STATUSES
from taskhub.hub import Hub
from taskhub.workqueue import LOCAL_CALL

from .hosts import APPS


def call_later(delay_seconds: float, callback: Callable[[], None]) -> None:
    asyncio.get_running_loop().call_later(delay_seconds, callback)


def _function(name: str, trigger: str) -> Function:
    binding = {"type": trigger, "name": "x", "direction": "IN"}
    return parse_function({"id": name, "name": name, "bindings": [json.dumps(binding)]})


async def test_work_fails_and_is_not_lost_when_the_host_errs(caplog: pytest.LogCaptureFixture) -> None:
    async def err(_: Invocation) -> NoReturn:
        raise ZeroDivisionError("no fault of the function")

    hub = Hub(wake=lambda: None, call_later=call_later)
    registry = TaskRegistry([_function("Run", "orchestrationTrigger"), _function("Echo", "activityTrigger")])
    dispatcher = Dispatcher(hub, err, registry, load_settings(APPS / "durable", None))
    hub.StartInstance(pb.CreateInstanceRequest(instanceId="run", name="Run"), LOCAL_CALL)
    turn = hub.take_turn()
    assert turn is not None
    call = pb.OrchestratorAction(id=1, scheduleTask=pb.ScheduleTaskAction(name="Echo"))
    hub.complete_turn(turn, pb.OrchestratorResponse(actions=[call]))

    async with asyncio.timeout(10):
        while turn.execution.status not in TERMINAL_STATUSES:
            dispatcher.pump()
            await asyncio.sleep(0.01)

    failures = [event.taskFailed for event in turn.execution.history if event.HasField("taskFailed")]
    assert [failure.failureDetails.errorMessage for failure in failures] == ["no fault of the function"]
    assert turn.execution.failure_details is not None
    assert turn.execution.failure_details.errorType == "ZeroDivisionError"
    assert "A fault of the host fails a work item." in caplog.text
    hub.stop()
