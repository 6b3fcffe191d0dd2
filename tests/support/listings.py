"""Trees that are listed and copied by activities, which run as a host has them run."""

import json
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from sitebackup.activities.copying import copy_file_to_blob
from sitebackup.activities.listing import get_file_list
from sitebackup.activities.running import Body
from sitebackup.activities.running import run as run_activity
from sitebackup.engine.engine import Engine
from sitebackup.messages import Copied, CopyRequest, Listed, ListRequest, Message, Plan
from sitebackup.ranges import Portion, split
from sitebackup.records.entries import Entry, entry_of
from sitebackup.records.plans import Task
from sitebackup.records.run_blobs import part_name
from sitebackup.tree.entries import Entry as Met
from sitebackup.tree.identity import marker
from sitebackup.tree.keys import Range
from sitebackup.tree.place import Place
from tests.storage.conftest import goes_on

STARTED = "2026-11-25T00:45:12.123456Z"
"""When a run started, if a test says nothing else."""


def make(root: Path, count: int, size: int = 1) -> set[Task]:
    """Make files in seven directories; return the tasks to save them."""
    for number in range(count):
        path = root / f"d{number % 7}" / f"f{number}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * size)
    return {Task(f"d{number % 7}/f{number}", "file", size) for number in range(count)}


async def answer_of(body: Body, request: Message, engine: Engine) -> Any:
    """Run an activity as a host does; return what goes into a history."""
    return json.loads(json.dumps(await run_activity(body, request.to_json(), lambda: engine, goes_on)))


async def list_tree(
    engine: Engine,
    root: Path,
    *portions: Portion,
    run: str = "run",
    started: str = STARTED,
    last: bool = False,
    **options: Any,
) -> Listed:
    """List a tree, or portions of it, in one activity; `options` are a caller's."""
    asked = ListRequest(run, {"rootDirectory": str(root), **options}, started, portions, last)
    return Listed.from_json(await answer_of(get_file_list, asked, engine))


async def list_all(engine: Engine, root: Path, **asked: Any) -> list[Listed]:
    """List `root` as the orchestration does, and return every answer; `asked` as in `list_tree`."""
    answers: list[Listed] = []
    hands: list[tuple[Portion, ...]] = [()]
    while hands:
        answer = await list_tree(engine, root, *hands.pop(), **asked)
        answers.append(answer)
        hands += split(answer.portions, 1)
    return answers


async def copy(engine: Engine, plan: Plan, batch: int = 0) -> Copied:
    """Carry out a batch."""
    return Copied.from_json(await answer_of(copy_file_to_blob, CopyRequest("run", plan.id, batch), engine))


async def tasks_in(engine: Engine, answers: Sequence[Listed], run: str = "run") -> list[list[Task]]:
    """Return the batches of the plans in `answers`, those to remove what is gone included."""
    return [
        (await engine.plans.read_batch(run, plan.id, batch))[1]
        for answer in answers
        for plan in answer.plans
        for batch in range(plan.batches + plan.removals)
    ]


async def draft_of(engine: Engine, plan: Plan, run: str = "run") -> list[Entry]:
    """Return the entries in the draft of a plan."""
    data = await engine.catalog.get(part_name(run, plan.id))
    entries = [entry_of(line) for line in data.splitlines()]
    assert (len(entries), len(data)) == (plan.entries, plan.bytes)
    return entries


def a_walk_of(*entries: Met) -> Callable[..., Iterator[Met]]:
    """Stands in for a disk that is in trouble."""

    def walk(*_: object, **__: object) -> Iterator[Met]:
        return iter(entries)

    return walk


async def leave(engine: Engine, root: Path, *left: Range, baseline: str | None = None) -> Portion:
    """Leave ranges to list."""
    real = os.path.realpath(root)
    place = Place(str(root), real, marker(real))
    await engine.plans.write_portions("run", "listing", place, baseline, left)
    return Portion("listing", 0, len(left))
