"""The activities' bodies: the only code that touches the disk and storage.

Each takes the activity's input and the process's `Engine`, and returns what goes into the history: counts
and references, never a file's name. Activities run at least once, sometimes twice at the same time.
Trouble that may pass is raised, for the retry policy to see. Trouble that cannot pass, a `FatalError`, is
returned as `{"errors": [...]}` to an orchestration, because a durable retry policy would retry any exception.
"""

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable
from itertools import batched, islice
from typing import Any

from sitebackup import blobname, names
from sitebackup.copy import Copied
from sitebackup.engine import Engine
from sitebackup.errors import FatalError, SourceError, VanishedError
from sitebackup.filetree import File, Left, Skipped, Unreadable, walk
from sitebackup.plan import LARGE_TREE, MAX_FILES, grain, pack
from sitebackup.request import root_of
from sitebackup.runs import Outcome
from sitebackup.tally import Tally

_log = logging.getLogger(__name__)

_WALK_STEP = 2_000
"""Entries that a walk fetches in one go, off the event loop."""

_LEFT_PARTS = 16
"""Parts that the directories left by one listing are split into, for as many further listings."""

_FAILURES_NAMED = 10


type Body = Callable[[Any, Engine], Awaitable[Any]]


async def run(body: Body, request: Any, engine: Callable[[], Engine]) -> Any:
    """Run an activity's `body`; `engine` connects, or returns the connection that is there."""
    try:
        return await body(request, engine())
    except FatalError as error:
        if isinstance(request, dict):
            return Tally(errors=(str(error),)).to_json()
        raise


async def get_file_list(request: Any, engine: Engine) -> list[str] | dict[str, Any]:
    """List files.

    A string, a directory's absolute path: return the absolute paths of all files below it.

    An object `{"run", "request", "left"}`: list the tree that the run's `request` names, or, if `left` is not
    empty, the parts `[[plan, part], ...]` that other listings left, until the budget is spent. Writes a plan
    and returns its tally with `plans` (`[[plan, number of copy tasks]]`) and `left` (`[[plan, part], ...]`).
    """
    if isinstance(request, str | None):
        return await engine.in_thread(lambda: _list_paths(_checked_root(request, engine)))
    return await _list_into_plan(request, engine)


async def copy_file_to_blob(request: Any, engine: Engine) -> int | dict[str, Any]:
    """Copy files.

    A string, a file's absolute path: copy it and return its size in bytes.

    An object `{"run", "plan", "task"}`: copy the files of a plan's task, record their outcomes, and return
    their tally.
    """
    if isinstance(request, str):
        path = os.path.normpath(request)
        if not engine.settings.allows(os.path.dirname(path)):
            raise FatalError(f"'{path}' is outside the directories that BACKUP_ALLOWED_ROOTS allows.")
        status = await engine.in_thread(lambda: os.lstat(path))
        return (await _copy(path, status.st_size, engine)).size
    return await _copy_task(request, engine)


async def report_failures(request: dict[str, Any], engine: Engine) -> dict[str, Any]:
    """Return `{"named": [...]}`, the first ten failures of the run's `plans` in words."""
    named: list[str] = []
    async for outcome in engine.runs.failures(request["run"], request["plans"]):
        named.append(f"{outcome.path or '.'}: {outcome.reason}")
        if len(named) == _FAILURES_NAMED:
            break
    return {"named": named}


def _checked_root(request: str | dict[str, Any] | None, engine: Engine) -> str:
    root = root_of(request)
    if not engine.settings.allows(root):
        raise FatalError(f"'{root}' is outside the directories that BACKUP_ALLOWED_ROOTS allows.")
    if not os.path.lexists(root):
        raise FatalError(f"'{root}' does not exist.")
    if not os.path.isdir(root):
        raise FatalError(f"'{root}' is not a directory.")
    return root


def _list_paths(root: str) -> list[str]:
    _log.info("Searching for files under '%s'...", root)
    paths = [os.path.join(root, entry.path) for entry in walk(root, [""]) if isinstance(entry, File)]
    _log.info("Found %d file(s) under %s.", len(paths), root)
    return paths


async def _list_into_plan(request: dict[str, Any], engine: Engine) -> dict[str, Any]:
    run = request["run"]
    root = await engine.in_thread(lambda: _checked_root(request["request"], engine))
    directories = [""]
    if request["left"]:
        parts = [await engine.runs.read_left(run, plan, part) for plan, part in request["left"]]
        directories = [directory for part in parts for directory in part]

    _log.info("Searching for files under '%s'...", root)
    plan = engine.runs.new_plan(run, root)
    entries = walk(root, directories, engine.settings.list_budget)
    files, listed_bytes = 0, 0
    unpacked: list[File] = []
    left: list[str] = []
    odd: list[Outcome] = []
    while step := await engine.in_thread(lambda: list(islice(entries, _WALK_STEP))):
        for entry in step:
            match entry:
                case File(_, size):
                    files += 1
                    listed_bytes += size
                    unpacked.append(entry)
                case Left(path):
                    left.append(path)
                case Skipped(path, kind):
                    odd.append(Outcome(path, "skipped", reason=kind))
                case Unreadable(path, reason):
                    odd.append(Outcome(path, "failed", reason=reason))
        if len(unpacked) >= LARGE_TREE:
            *full, unpacked = pack(unpacked, MAX_FILES)
            await plan.add(full)
    whole_tree = not (request["left"] or left or plan.tasks)
    await plan.add(pack(unpacked, grain(len(unpacked)) if whole_tree else MAX_FILES))
    left_parts = list(batched(left, -(-len(left) // _LEFT_PARTS), strict=False)) if left else []
    await plan.close(left_parts)
    if odd:
        await engine.runs.write_outcomes(run, plan.id, "listing", odd)
    _log.info("Found %d file(s) under %s.", files, root)

    failed = sum(outcome.outcome == "failed" for outcome in odd)
    tally = Tally(files=files, bytes=listed_bytes, failed=failed, skipped=len(odd) - failed)
    return tally.to_json() | {
        "plans": [[plan.id, len(plan.tasks)]],
        "left": [[plan.id, part] for part in range(len(left_parts))],
    }


async def _copy_task(request: dict[str, Any], engine: Engine) -> dict[str, Any]:
    run, plan, task = request["run"], request["plan"], request["task"]
    root, files = await engine.runs.read_task(run, plan, task)
    try:
        async with asyncio.TaskGroup() as group:
            copies = [group.create_task(_outcome(root, file, engine)) for file in files]
    except ExceptionGroup as failures:  # one is enough: the rest was cancelled for it
        raise failures.exceptions[0] from None
    outcomes = [copy.result() for copy in copies]
    await engine.runs.write_outcomes(run, plan, task, outcomes)
    return Tally.of(
        Tally(
            files=outcome.outcome == "copied",
            bytes=outcome.size,
            failed=outcome.outcome == "failed",
            vanished=outcome.outcome == "vanished",
        )
        for outcome in outcomes
    ).to_json()


async def _outcome(root: str, file: File, engine: Engine) -> Outcome:
    try:
        copied = await _copy(os.path.join(root, file.path), file.size, engine)
    except VanishedError as error:
        return Outcome(file.path, "vanished", reason=str(error))
    except SourceError as error:
        return Outcome(file.path, "failed", reason=str(error))
    return Outcome(file.path, "copied", size=copied.size, md5=copied.md5.hex())


async def _copy(path: str, size: int, engine: Engine) -> Copied:
    async with engine.files:
        location = f"{names.BACKUPS_CONTAINER}/{blobname.encode(path)}"
        _log.info("Copying '%s' to '%s'. Total bytes = %d.", path, location, size)
        return await engine.copier.copy(path, size)
