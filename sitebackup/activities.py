"""The activities' bodies: the only code that touches the disk and storage.

Each takes the activity's input and the process's `Engine`, and returns what goes into the history: counts
and references, never a file's name, except the first ten of what went wrong. Activities run at least once,
sometimes twice at the same time. Trouble that may pass is raised, for the retry policy to see. Trouble that
cannot pass, a `FatalError`, is returned as `{"errors": [...]}` to an orchestration, because a durable retry
policy would retry any exception.
"""

import logging
import os
from collections.abc import Awaitable, Callable, Sequence
from itertools import batched, chain, islice
from typing import Any

from sitebackup import blobname, manifest, source, verify
from sitebackup.copy import Copied
from sitebackup.engine import Engine
from sitebackup.errors import FatalError, SourceError, VanishedError, printable
from sitebackup.filetree import Item, Left, Odd, walk
from sitebackup.plan import LARGE_TREE, MAX_FILES, grain, pack
from sitebackup.request import BackupRequest, Input, RequestError, check_root
from sitebackup.runs import LISTING, Outcome, manifest_name
from sitebackup.selection import Selection
from sitebackup.source import Place
from sitebackup.tally import Tally
from sitebackup.tasks import all_of

_log = logging.getLogger(__name__)

_WALK_STEP = 1_000
"""Entries that a walk fetches in one go, off the event loop."""

_LEFT_PARTS = 16
"""Parts that the directories left by one listing are split into, for as many further listings."""

_READ_AT_ONCE = 8
"""Files that are read in one go, at most."""

_READ_BYTES = 256 * 1024
"""Bytes of them, at most; a bigger file is read alone."""

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
    and returns its tally with `plans`, `[[plan, number of copy tasks, has outcomes of its own]]`, and `left`,
    `[[plan, part], ...]`.
    """
    if isinstance(request, str | None):
        return await engine.in_thread(lambda: _list_paths(request, engine))
    return await _list_into_plan(request["run"], request["request"], request["left"], engine)


async def copy_file_to_blob(request: Any, engine: Engine) -> int | dict[str, Any]:
    """Copy files.

    A string, a file's absolute path: copy it and return its size in bytes.

    An object `{"run", "plan", "task"}`: copy the items of a plan's task, record their outcomes, and return
    their tally.
    """
    if isinstance(request, str):
        directory, name = os.path.split(request)
        if not os.path.isabs(directory):
            raise FatalError("The path of a file must be absolute.")
        place = await engine.in_thread(lambda: _place(directory, engine))
        size = await engine.in_thread(lambda: source.size_of(place.path(name)))
        [copied] = await engine.copier.copy(place, [Item(name, "file", size)])
        if isinstance(copied, SourceError):
            raise copied
        return copied.size
    run, plan, task = request["run"], request["plan"], request["task"]
    place, items = await engine.runs.read_task(run, plan, task)
    await engine.in_thread(lambda: _check_allowed(place.real, engine))
    parts = list(pack(items, _READ_AT_ONCE, _READ_BYTES))
    copied = await all_of(engine.copier.copy(place, part) for part in parts)
    outcomes = list(map(_outcome, chain(*parts), chain(*copied)))
    await _check_vanished(outcomes, place, engine)
    await engine.runs.write_outcomes(run, plan, task, outcomes)
    return Tally.of(map(manifest.tally_of, outcomes)).to_json()


async def write_manifest(request: dict[str, Any], engine: Engine) -> dict[str, Any]:
    """Write the manifest of `request["run"]` out of the outcomes of its `plans`.

    `request` has the run's `request` and the times `started` and `finished` too. Returns the blob's name as
    `manifest`, how many entries `failed`, and the first ten of these in words as `named`.
    """
    parsed = _parsed(request["request"])
    head = {
        "run": request["run"],
        "root": parsed.root,
        "options": parsed.to_json(),
        "started": request["started"],
        "finished": request["finished"],
    }
    summary = await manifest.write(engine.runs, request["run"], request["plans"], head)
    answer = {
        "manifest": manifest_name(request["run"]),
        "failed": summary.tally.failed,
        "named": summary.named,
    }
    return _anonymous(answer, engine)


async def verify_manifest(request: dict[str, Any], engine: Engine) -> dict[str, Any]:
    """Compare the manifest of `request["run"]` with the container's listing: presence, size, MD5.

    Returns `verify.Findings` with `size`, the manifest's length in bytes.
    """
    run = request["run"]
    size = await manifest.size_of(engine.runs, run)
    head = await manifest.read_head(engine.runs, run)
    prefix = blobname.escape(head["root"].rstrip("/") + "/")
    findings = await verify.compare(manifest.read(engine.runs, run), engine.backups, prefix)
    return _anonymous(findings.to_json(), engine) | {"size": size}


async def verify_blobs(request: dict[str, Any], engine: Engine) -> dict[str, Any]:
    """Read back the blobs of the entries that begin in `request["shares"]`, bytes of a run's manifest."""
    findings = verify.Findings()

    for run, begin, count in request["shares"]:
        entries = [entry async for entry in manifest.read(engine.runs, run, begin, begin + count)]
        await all_of(
            verify.read_back(entry, engine, findings) for entry in entries if entry.outcome == "copied"
        )
    return _anonymous(findings.to_json(), engine)


def _anonymous(answer: dict[str, Any], engine: Engine) -> dict[str, Any]:
    """`answer`, without its names if none may get into a message: the host logs what a run fails with."""
    return answer if engine.settings.log_paths else answer | {"named": []}


def _parsed(request: Input) -> BackupRequest:
    """Read a run's input again."""
    try:
        return BackupRequest.parse(request)
    except RequestError as error:
        raise FatalError(str(error)) from error


def _check_allowed(directory: str, engine: Engine) -> None:
    """Raise `FatalError` unless `directory` may be backed up. Plans are checked too: they may be old."""
    try:
        check_root(directory, engine.settings)
    except RequestError as error:
        raise FatalError(str(error)) from error


def _place(root: str, engine: Engine) -> Place:
    """Find a root that may be backed up."""
    _check_allowed(root, engine)
    if not os.path.lexists(root):
        raise FatalError(f"'{root}' does not exist.")
    if not os.path.isdir(root):
        raise FatalError(f"'{root}' is not a directory.")
    real = os.path.realpath(root)
    if Selection().forbids_root(real):
        raise FatalError(f"'{root}' is in a pseudo file system.")
    return Place(root, real)


def _device(place: Place, engine: Engine) -> int:
    """Return the device of the tree at `place`, which may have been found by an earlier listing."""
    _check_allowed(place.real, engine)
    try:
        return os.stat(place.real).st_dev
    except (FileNotFoundError, NotADirectoryError):
        raise FatalError(f"'{place.root}' is not where it was when the backup began.") from None


async def _check_vanished(outcomes: Sequence[Outcome], place: Place, engine: Engine) -> None:
    """Tell files that vanished from a root that did: unmounted, or never mounted on this machine."""

    def is_there() -> bool:
        if not os.path.isdir(place.real):
            return False
        with os.scandir(place.real) as entries:
            return any(entries)

    if any(outcome.outcome == "vanished" for outcome in outcomes) and not await engine.in_thread(is_there):
        raise FatalError(
            f"'{place.root}' is empty or not there any more, or not mounted on every machine that copies."
        )


def _list_paths(request: Input, engine: Engine) -> list[str]:
    place = _place(_parsed(request).root, engine)
    level = engine.settings.path_level
    _log.log(level, "Searching for files under '%s'...", printable(place.root))
    paths: list[str] = []
    for entry in walk(place.real, [""]):
        if isinstance(entry, Odd) and entry.outcome == "failed":
            raise SourceError(f"{place.name(entry.path)}: {entry.reason}")
        if isinstance(entry, Item) and entry.kind == "file":
            paths.append(place.name(entry.path))
    _log.log(level, "Found %d file(s) under %s.", len(paths), printable(place.root))
    return paths


async def _list_into_plan(run: str, request: Input, left: list[Any], engine: Engine) -> dict[str, Any]:
    parsed = _parsed(request)
    place = await engine.in_thread(lambda: _place(parsed.root, engine))
    directories = [""]
    if left:
        parts = [await engine.runs.read_left(run, plan, part) for plan, part in left]
        place = parts[0][0]  # where the listing began, also if the root is a link that was moved since
        directories = [directory for _, part in parts for directory in part]
    device = await engine.in_thread(lambda: _device(place, engine))

    level = engine.settings.path_level
    _log.log(level, "Searching for files under '%s'...", printable(place.root))
    plan = engine.runs.new_plan(run, place)
    entries = walk(place.real, directories, engine.settings.list_budget, parsed.selection(device))
    found = Tally()
    unpacked: list[Item] = []
    not_entered: list[str] = []
    odd: list[Outcome] = []
    while step := await engine.in_thread(lambda: list(islice(entries, _WALK_STEP))):
        items = [entry for entry in step if isinstance(entry, Item)]
        unpacked += items
        not_entered += [entry.path for entry in step if isinstance(entry, Left)]
        odd += [Outcome(entry.path, entry.outcome, entry.reason) for entry in step if isinstance(entry, Odd)]
        found += _tally_of(items)
        # Only the first listing may be of a small tree, which is cut small: it waits until it knows.
        if unpacked and (left or len(unpacked) >= LARGE_TREE):
            *full, unpacked = pack(unpacked, MAX_FILES)
            await plan.add(full)
    whole_tree = not (left or not_entered or plan.tasks)
    await plan.add(pack(unpacked, grain(len(unpacked)) if whole_tree else MAX_FILES))
    parts = list(batched(not_entered, -(-len(not_entered) // _LEFT_PARTS) or 1, strict=False))
    await plan.close(parts)
    await _check_vanished(odd, place, engine)
    if odd:
        await engine.runs.write_outcomes(run, plan.id, LISTING, odd)
    _log.log(level, "Found %d file(s) under %s.", found.files, printable(place.root))

    return (found + Tally.of(map(manifest.tally_of, odd))).to_json() | {
        "plans": [[plan.id, len(plan.tasks), bool(odd)]],
        "left": [[plan.id, part] for part in range(len(parts))],
    }


def _tally_of(items: list[Item]) -> Tally:
    kinds = [item.kind for item in items]
    return Tally(
        files=kinds.count("file"),
        bytes=sum(item.size for item in items),
        links=kinds.count("link"),
        directories=kinds.count("directory"),
    )


def _outcome(item: Item, result: Copied | SourceError) -> Outcome:
    if isinstance(result, VanishedError):
        return Outcome(item.path, "vanished", str(result), item.kind)
    if isinstance(result, SourceError):
        return Outcome(item.path, "failed", str(result), item.kind)
    return Outcome(
        path=item.path,
        outcome="copied",
        kind=item.kind,
        size=result.size,
        mtime=result.attributes.mtime,
        mode=f"{result.attributes.mode:o}",
        uid=result.attributes.uid,
        gid=result.attributes.gid,
        blob=result.blob,
        md5=result.md5.hex(),
        etag=result.etag,
    )
