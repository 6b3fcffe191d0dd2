"""What the app in `measured_app` does besides what the app does: it says how long its activities take.

`BENCHMARK_ACTIVITIES` names the file for that, one line an activity: its name and its seconds. With
`BENCHMARK_FILES` and `BENCHMARK_DIRECTORIES` every walk finds a tree that is made up, of so many of both.
"""

import json
import os
import time
from collections.abc import Mapping
from functools import wraps
from pathlib import Path
from typing import Any

from benchmarks.made_up import MadeUpTree
from benchmarks.shapes import Shape
from sitebackup import registry
from sitebackup.activities import listing
from sitebackup.activities.running import Body
from sitebackup.engine.engine import Engine

ACTIVITIES = "BENCHMARK_ACTIVITIES"
FILES = "BENCHMARK_FILES"
DIRECTORIES = "BENCHMARK_DIRECTORIES"


def install(environ: Mapping[str, str] = os.environ) -> None:
    """Measure the activities that are registered from now on."""
    path = Path(environ[ACTIVITIES])
    registry.ACTIVITIES = {name: _timed(name, body, path) for name, body in registry.ACTIVITIES.items()}
    if FILES in environ:
        listing.walk = MadeUpTree(Shape(int(environ[FILES]), int(environ[DIRECTORIES]))).walk


def read(path: Path) -> dict[str, list[float]]:
    """Return the seconds of each activity, by the name that it is registered under."""
    seconds: dict[str, list[float]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        name, took = json.loads(line)
        seconds.setdefault(name, []).append(took)
    return seconds


def _timed(name: str, body: Body, path: Path) -> Body:
    @wraps(body)
    async def timed(request: Any, engine: Engine) -> Any:
        begin = time.perf_counter()
        try:
            return await body(request, engine)
        finally:
            with path.open("a", encoding="utf-8") as log:
                log.write(f"{json.dumps([name, time.perf_counter() - begin])}\n")

    return timed
