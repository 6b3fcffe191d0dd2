"""Tasks of one path, carried out as a batch would have them carried out."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sitebackup.activities.copier import Copier
from sitebackup.activities.removing import Remover
from sitebackup.engine.engine import Engine
from sitebackup.records.entries import Entry, Kind
from sitebackup.records.outcomes import Outcome
from sitebackup.records.plans import PlanStore, Task
from sitebackup.tree.identity import marker
from sitebackup.tree.place import Place
from tests.support.memory import MemoryContainer


def place_of(root: Path) -> Place:
    """The tree at `root`."""
    return Place(str(root), os.path.realpath(root))


async def plan_tasks(runs: MemoryContainer, root: Path, *batches: Sequence[Task]) -> str:
    """Write the plan of a run called "run", of these batches, and return its ID."""
    real = os.path.realpath(root)
    plan = PlanStore(runs).new_plan("run", Place(str(root), real, marker(real)))
    await plan.add(batches)
    await plan.close()
    return plan.id


def task_of(
    path: Path, base: Entry | None = None, *, kind: Kind | None = None, size: int | None = None
) -> Task:
    """Save what is at `path`; `kind` and `size` are what a listing said of it, if not what it is now."""
    kind = kind or ("link" if path.is_symlink() else "directory" if path.is_dir() else "file")
    if size is None:
        size = path.lstat().st_size if kind == "file" else 0
    return Task(path.name + "/" * (kind == "directory"), kind, size, base)


async def save(
    engine: Engine, path: Path, base: Entry | None = None, run: str = "run", **listed: Any
) -> Outcome:
    """Save what is at `path`, `listed` as in `task_of`. Raises the trouble that left it undone."""
    copier = Copier(engine, place_of(path.parent), run)
    [end] = await copier.save([task_of(path, base, **listed)])
    if isinstance(end, Exception):
        raise end
    return end


async def saved(
    engine: Engine, path: Path, base: Entry | None = None, run: str = "run", **listed: Any
) -> Entry:
    """Save what is at `path`, as `save` does; it succeeds. Return its entry."""
    outcome = await save(engine, path, base, run, **listed)
    assert outcome.entry.is_saved, outcome.entry.reason
    return outcome.entry


async def remove(engine: Engine, path: Path, base: Entry) -> Outcome:
    """Remove the blob of what was at `path`. Raises the trouble that left it undone."""
    task = Task(base.path, base.kind or "file", base=base, gone=True)
    [end] = await Remover(engine, place_of(path.parent)).remove([task])
    if isinstance(end, Exception):
        raise end
    return end
