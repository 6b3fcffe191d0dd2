"""A sample app for the tests of the local host: functions that are rough on the process they run in."""

import asyncio
import atexit
import multiprocessing
import os
import subprocess
import time

import azure.functions as func

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)

atexit.register(print, "What the app has registered was called.")


@app.route(route="pid")
def pid(req: func.HttpRequest) -> str:
    return str(os.getpid())


@app.route(route="identity/{name?}")
def identity(req: func.HttpRequest, context: func.Context) -> str:
    """Says what this call is called by, or fails."""
    if "name" in req.route_params:
        raise ValueError(req.route_params["name"])
    return context.invocation_id


@app.route(route="sleep", methods=["POST"])
def sleep(req: func.HttpRequest) -> str:
    time.sleep(float(req.get_body()))
    return "awake"


@app.route(route="fork", methods=["POST"])
def fork(req: func.HttpRequest) -> str:
    """Leaves a child behind that holds all that its worker has open, in a session of its own."""
    child = os.fork()
    if child == 0:
        os.setsid()
        time.sleep(60)
        os._exit(0)
    return str(child)


@app.route(route="start", methods=["POST"])
def start(req: func.HttpRequest) -> str:
    """Leaves a program behind."""
    return str(subprocess.Popen(["sleep", "61"]).pid)  # noqa: S607 (the tests' own)


@app.route(route="spawn", methods=["POST"])
def spawn(req: func.HttpRequest) -> str:
    """Has a process that `multiprocessing` spawns compute something."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return str(pool.apply(pow, (2, int(req.get_body()))))


@app.route(route="cancelled")
async def cancelled(req: func.HttpRequest) -> str:
    """Ends as an `async` function does that awaits something which another one has cancelled."""
    raise asyncio.CancelledError
