"""Trees that are listed and copied by activities, which run as a host has them run."""

import json
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

from sitebackup.activities.copying import copy_file_to_blob
from sitebackup.activities.listing import get_file_list
from sitebackup.activities.running import Body
from sitebackup.activities.running import run as run_activity
from sitebackup.engine.engine import Engine
from sitebackup.messages import Copied, CopyRequest, Listed, ListRequest, Message, Plan
from sitebackup.ranges import Portion, split
from sitebackup.records.catalogue import RunRecord, State, write_record
from sitebackup.records.entries import Entry, entry_of, fields_of
from sitebackup.records.manifest import FORMAT
from sitebackup.records.plans import Task
from sitebackup.records.run_blobs import part_name
from sitebackup.tree.attributes import Attributes
from sitebackup.tree.entries import Entry as Met
from sitebackup.tree.identity import marker
from sitebackup.tree.keys import Range
from sitebackup.tree.place import Place
from tests.storage.conftest import goes_on
from tests.support.handmade import put_manifest

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


@dataclass(frozen=True)
class Planned:
    """What is in a plan: the entries of its `draft`, and its `tasks`."""

    draft: list[Entry]
    tasks: list[Task]

    @property
    def paths(self) -> list[str]:
        """All paths in it, in order; that of a directory whose blob is gone is there twice."""
        return sorted([*(entry.path for entry in self.draft), *(task.path for task in self.tasks)])


async def planned(engine: Engine, answers: Sequence[Listed], run: str = "run") -> list[Planned]:
    """Return the plans in `answers`, in order. Each is a range of its own, and its draft is in order."""
    found: list[Planned] = []
    for plan in chain.from_iterable(answer.plans for answer in answers):
        draft = await draft_of(engine, plan, run) if plan.entries else []
        paths = [entry.path for entry in draft]
        assert paths == sorted(set(paths))
        batches = [
            (await engine.plans.read_batch(run, plan.id, batch))[1]
            for batch in range(plan.batches + plan.removals)
        ]
        assert all(not task.gone for batch in batches[: plan.batches] for task in batch)
        assert all(task.gone for batch in batches[plan.batches :] for task in batch)
        found.append(Planned(draft, list(chain.from_iterable(batches))))
    found.sort(key=lambda plan: plan.paths)
    assert all(one.paths[-1] < other.paths[0] for one, other in pairwise(found))
    return found


async def finish(
    engine: Engine,
    root: Path,
    answers: Sequence[Listed],
    run: str = "run",
    *,
    state: State = "completed",
    started: str = STARTED,
) -> dict[str, Entry]:
    """Leave the manifest and the record of a run that has carried out all its tasks; return its entries.

    Nothing is copied: what a batch would say of an entry is made up from what is on the disk.
    """
    parts: list[list[Entry]] = []
    for plan in await planned(engine, answers, run):
        saved = [made_up(root, task.path, run) for task in plan.tasks if not task.gone]
        if plan.draft or saved:
            parts.append(sorted([*plan.draft, *saved], key=lambda entry: entry.path))
    await put_manifest(engine, run, parts, str(root))
    record = RunRecord(run, str(root), engine.settings.source, {}, "0", started, state, format=FORMAT)
    await write_record(engine.catalog, record)
    return {entry.path: entry for entry in chain.from_iterable(parts)}


def made_up(root: Path, key: str, run: str) -> Entry:
    """What a run that has saved an entry, in a blob, says of it."""
    status = os.lstat(root / key)
    kind = "link" if stat.S_ISLNK(status.st_mode) else "directory" if key.endswith("/") else "file"
    return Entry(
        key,
        kind,
        0 if kind == "directory" else status.st_size,
        **fields_of(Attributes.of(status)),
        blob=f"{root}/{key}".strip("/"),
        md5="0" * 32,
        etag='"1"',
        since=run,
    )


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
