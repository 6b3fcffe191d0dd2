"""A sample app for the tests of the local host: orchestrations and entities of every kind it must run.

Activities that have to be caught in the act write a line to a file and wait for another one to appear.
"""

import asyncio
import os
import time
from collections.abc import Generator, Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

import azure.durable_functions as df
import azure.functions as func
from durabletask import task
from durabletask.entities import EntityContext, EntityInstanceId

type Steps = Generator[task.Task[Any], Any, Any]

_SECOND_CHANCES = task.RetryPolicy(first_retry_interval=timedelta(seconds=1), max_number_of_attempts=3)

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.route(route="start/{name}/{id?}", methods=["POST"])
@app.durable_client_input(client_name="client")
async def start(req: func.HttpRequest, client: df.DurableFunctionsClient) -> func.HttpResponse:
    """Starts an orchestration through the durable client, hence over gRPC."""
    instance_id = await client.schedule_new_orchestration(
        req.route_params["name"], input=req.get_json(), instance_id=req.route_params.get("id")
    )
    return client.create_check_status_response(req, instance_id)


@app.route(route="await/{id}", methods=["GET"])
@app.durable_client_input(client_name="client")
async def wait_for_end(req: func.HttpRequest, client: df.DurableFunctionsClient) -> str:
    """Holds a call to the hub until the orchestration has ended."""
    state = await client.wait_for_orchestration_completion(req.route_params["id"], timeout=20)
    return str(state and state.runtime_status.name)


@app.orchestration_trigger(context_name="ctx", orchestration="FanOut")
def fan_out(ctx: task.OrchestrationContext, count: int) -> Steps:
    results = yield _all(ctx.call_activity("Echo", input=number) for number in range(count))
    return sum(results)


@app.activity_trigger(input_name="value", activity="Echo")
async def echo(value: Any) -> Any:
    return value


@app.orchestration_trigger(context_name="ctx", orchestration="EchoAll")
def echo_all(ctx: task.OrchestrationContext, values: list[Any]) -> Steps:
    return (yield _all(ctx.call_activity("Echo", input=value) for value in values))


@app.orchestration_trigger(context_name="ctx", orchestration="CatchFailure")
def catch_failure(ctx: task.OrchestrationContext, message: str) -> Steps:
    try:
        yield ctx.call_activity("Fail", input=message)
    except task.TaskFailedError as error:
        return [str(error), error.details.error_type, error.details.message]


@app.orchestration_trigger(context_name="ctx", orchestration="Fail")
def fail_orchestration(ctx: task.OrchestrationContext, message: str) -> None:
    raise ValueError(message)


@app.activity_trigger(input_name="message", activity="Fail")
def fail(message: str) -> None:
    raise ValueError(message)


@app.orchestration_trigger(context_name="ctx", orchestration="Outcome")
def outcome(ctx: task.OrchestrationContext, call: dict[str, Any]) -> Steps:
    """Calls `call["activity"]` once; gives its result, or what is known of its failure."""
    try:
        return (yield ctx.call_activity(call["activity"], input=call["input"]))
    except task.TaskFailedError as error:
        return [error.details.error_type, error.details.message]


@app.orchestration_trigger(context_name="ctx", orchestration="CallUnknown")
def call_unknown(ctx: task.OrchestrationContext, _: None) -> Steps:
    try:
        yield ctx.call_activity("NoSuchActivity")
    except task.TaskFailedError as error:
        return error.details.message


@app.orchestration_trigger(context_name="ctx", orchestration="Retry")
def retry(ctx: task.OrchestrationContext, path: str) -> Steps:
    policy = task.RetryPolicy(first_retry_interval=timedelta(milliseconds=50), max_number_of_attempts=3)
    return (yield ctx.call_activity("FailTwice", input=path, retry_policy=policy))


@app.activity_trigger(input_name="path", activity="FailTwice")
def fail_twice(path: str) -> int:
    attempt = _log_line(path)
    if attempt < 3:
        raise RuntimeError(f"attempt {attempt}")
    return attempt


@app.orchestration_trigger(context_name="ctx", orchestration="FireAndForget")
def fire_and_forget(ctx: task.OrchestrationContext, paths: list[str]) -> str:
    for path in paths:
        ctx.call_activity("LogLine", input=path)
    return "gone"


@app.activity_trigger(input_name="path", activity="LogLine")
def log_line(path: str) -> None:
    _log_line(path)


@app.orchestration_trigger(context_name="ctx", orchestration="FailUntil")
def fail_until(ctx: task.OrchestrationContext, path: str) -> Steps:
    return (yield ctx.call_activity("NeedFile", input=path))


@app.activity_trigger(input_name="path", activity="NeedFile")
def need_file(path: str) -> str:
    return Path(path).read_text()


@app.orchestration_trigger(context_name="ctx", orchestration="Hold")
def hold(ctx: task.OrchestrationContext, directory: str) -> Steps:
    ctx.set_custom_status("holding")
    return (yield ctx.call_activity("Hold", input=directory))


@app.activity_trigger(input_name="directory", activity="Hold")
def hold_until_released(directory: str) -> int:
    """Notes its process in `attempts`, waits for `release`, gives the number of attempts so far."""
    attempt = _log_line(f"{directory}/attempts")
    _wait_for(Path(directory, "release"))
    return attempt


@app.route(route="hold", methods=["POST"])
def hold_request(req: func.HttpRequest) -> str:
    directory = req.get_body().decode()
    _log_line(f"{directory}/attempts")
    _wait_for(Path(directory, "release"))
    return "released"


@app.activity_trigger(input_name="directory", activity="HoldLoop")
async def hold_loop(directory: str) -> None:
    """Blocks the worker's event loop, as careless code does."""
    hold_until_released(directory)


@app.orchestration_trigger(context_name="ctx", orchestration="HoldLoop")
def hold_loop_orchestration(ctx: task.OrchestrationContext, directory: str) -> Steps:
    yield ctx.call_activity("HoldLoop", input=directory)


@app.orchestration_trigger(context_name="ctx", orchestration="WaitFor")
def wait_for(ctx: task.OrchestrationContext, event: str) -> Steps:
    ctx.set_custom_status({"waitingFor": event})
    return (yield ctx.wait_for_external_event(event))


@app.orchestration_trigger(context_name="ctx", orchestration="Parent")
def parent(ctx: task.OrchestrationContext, child: dict[str, Any]) -> Steps:
    """`child` is `{"name", "id", "input"}`; gives the child's result, or what is known of its failure."""
    try:
        return (
            yield ctx.call_sub_orchestrator(child["name"], input=child.get("input"), instance_id=child["id"])
        )
    except task.TaskFailedError as error:
        return [error.details.error_type, error.details.message]


@app.orchestration_trigger(context_name="ctx", orchestration="ParentThatFails")
def parent_that_fails(ctx: task.OrchestrationContext, child: dict[str, Any]) -> Steps:
    return (yield ctx.call_sub_orchestrator(child["name"], input=child["input"], instance_id=child["id"]))


@app.orchestration_trigger(context_name="ctx", orchestration="ParentId")
def parent_id(ctx: task.OrchestrationContext, _: None) -> str | None:
    return ctx.parent_instance_id


@app.orchestration_trigger(context_name="ctx", orchestration="Version")
def version(ctx: task.OrchestrationContext, _: None) -> str | None:
    return ctx.version


@app.orchestration_trigger(context_name="ctx", orchestration="Timers")
def timers(ctx: task.OrchestrationContext, seconds: list[float]) -> Steps:
    started = ctx.current_utc_datetime
    yield task.when_all([ctx.create_timer(timedelta(seconds=delay)) for delay in seconds])
    return (ctx.current_utc_datetime - started).total_seconds()


@app.orchestration_trigger(context_name="ctx", orchestration="CountUp")
def count_up(ctx: task.OrchestrationContext, state: dict[str, int]) -> Steps:
    """Adds up 1 to `n`, one generation each; says so in the custom status of the first one only."""
    if state["n"] == state.get("first", state["n"]):
        ctx.set_custom_status("counting")
    n = yield ctx.call_activity("Echo", input=state["n"])
    total = state.get("total", 0) + n
    if n == 1:
        return total
    ctx.continue_as_new({"n": n - 1, "total": total, "first": state.get("first", n)})


@app.orchestration_trigger(context_name="ctx", orchestration="LeaveBehind")
def leave_behind(ctx: task.OrchestrationContext, state: dict[str, Any]) -> Steps:
    """The first generation leaves an activity and a timer behind; the second uses the same task numbers."""
    if state["generation"] == 1:
        ctx.call_activity("Hold", input=state["directory"])
        ctx.create_timer(timedelta(seconds=0.3))
        yield ctx.call_activity("Echo", input="now")
        ctx.continue_as_new({**state, "generation": 2})
        return None
    result = yield ctx.call_activity("WaitForFile", input=f"{state['directory']}/second")
    timer = ctx.create_timer(timedelta(hours=1))
    done = yield task.when_any([timer, ctx.wait_for_external_event("finish")])
    return [result, done is timer]


@app.activity_trigger(input_name="path", activity="WaitForFile")
def wait_for_file(path: str) -> str:
    _wait_for(Path(path))
    return "second"


@app.entity_trigger(context_name="ctx", entity_name="Counter")
def counter(ctx: EntityContext, amount: int | None) -> int:
    total = ctx.get_state(int, 0)
    if ctx.operation == "add":
        total += amount or 0
        ctx.set_state(total)
    elif ctx.operation == "fail":
        raise ValueError("no such luck")
    elif ctx.operation == "fail oddly":
        raise ValueError("lone \udc80 surrogate")
    elif ctx.operation == "crash":
        os._exit(3)
    return total


@app.entity_trigger(context_name="ctx", entity_name="Note")
def note(ctx: EntityContext, value: Any) -> None:
    """Keeps what is written to it, until it is deleted."""
    ctx.set_state(value if ctx.operation == "write" else None)


@app.orchestration_trigger(context_name="ctx", orchestration="UseCounter")
def use_counter(ctx: task.OrchestrationContext, amounts: list[int]) -> Steps:
    entity = EntityInstanceId("Counter", ctx.instance_id)
    for amount in amounts:
        ctx.signal_entity(entity, "add", amount)
    try:
        yield ctx.call_entity(entity, "fail")
    except task.TaskFailedError as error:
        failure = error.details.message
    else:
        failure = ""
    return [(yield ctx.call_entity(entity, "get")), failure]


@app.activity_trigger(input_name="path", activity="Crash")
def crash(path: str) -> None:
    """Ends its worker the first `n` times; the file holds `n`."""
    left = int(Path(path).read_text())
    if left > 0:
        Path(path).write_text(str(left - 1))
        os._exit(3)


@app.orchestration_trigger(context_name="ctx", orchestration="Crash")
def crash_orchestration(ctx: task.OrchestrationContext, path: str) -> Steps:
    yield ctx.call_activity("Crash", input=path, retry_policy=_SECOND_CHANCES)
    return "survived"


@app.orchestration_trigger(context_name="ctx", orchestration="CrashInTurn")
def crash_in_turn(ctx: task.OrchestrationContext, path: str) -> str:
    """Ends its worker itself, as `crash` does. No orchestrator should do anything like it."""
    crash(path)
    return "survived"


@app.orchestration_trigger(context_name="ctx", orchestration="BreakCounter")
def break_counter(ctx: task.OrchestrationContext, operation: str) -> Steps:
    """Gives the message of an operation that fails, and the entity's state then: it has counted one."""
    entity = EntityInstanceId("Counter", ctx.instance_id)
    yield ctx.call_entity(entity, "add", 1)
    try:
        yield ctx.call_entity(entity, operation)
    except task.TaskFailedError as error:
        return [error.details.message, (yield ctx.call_entity(entity, "get"))]


@app.orchestration_trigger(context_name="ctx", orchestration="Nap")
def nap_orchestration(ctx: task.OrchestrationContext, seconds: list[float]) -> Steps:
    yield _all(ctx.call_activity("Nap", input=nap, retry_policy=_SECOND_CHANCES) for nap in seconds)


@app.activity_trigger(input_name="seconds", activity="Nap")
async def nap(seconds: float) -> None:
    await asyncio.sleep(seconds)


def _all(tasks: Iterable[task.Task[Any]]) -> task.Task[list[Any]]:
    return task.when_all(list(tasks))


def _log_line(path: str) -> int:
    """Appends this process's ID; gives the number of lines since."""
    with Path(path).open("a") as file:
        file.write(f"{os.getpid()}\n")
    return len(Path(path).read_text().splitlines())


def _wait_for(path: Path) -> None:
    deadline = time.monotonic() + 60
    while not path.exists():
        if time.monotonic() > deadline:
            raise TimeoutError(path.name)
        time.sleep(0.02)
