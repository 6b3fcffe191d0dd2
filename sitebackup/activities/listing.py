"""E2_GetFileList: a tree -> a plan of what to copy."""

import logging
from itertools import batched, islice
from typing import Any

from sitebackup.activities.checks import check_vanished, device_of, find_place, parse_input
from sitebackup.engine.engine import Engine
from sitebackup.errors import SourceError, SourceUnavailableError, printable
from sitebackup.records import manifest
from sitebackup.records.outcomes import Outcome
from sitebackup.records.packing import LARGE_TREE, MAX_FILES, grain, pack
from sitebackup.records.runs import LISTING
from sitebackup.request import Input
from sitebackup.tally import Tally
from sitebackup.tree.walking import Item, Left, Odd, Unreached, walk

_log = logging.getLogger(__name__)

_WALK_STEP = 1_000
"""Entries that a walk fetches in one go, off the event loop."""

_LEFT_PARTS = 16
"""Parts that the directories left by one listing are split into, for as many further listings."""


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


def _list_paths(request: Input, engine: Engine) -> list[str]:
    place = find_place(parse_input(request).root, engine)
    level = engine.settings.path_level
    _log.log(level, "Searching for files under '%s'...", printable(place.root))
    paths: list[str] = []
    for entry in walk(place.real, [""]):
        if isinstance(entry, Unreached):
            raise SourceUnavailableError(entry.reason)
        if isinstance(entry, Odd) and entry.outcome == "failed":
            raise SourceError(f"{place.name(entry.path)}: {entry.reason}")
        if isinstance(entry, Item) and entry.kind == "file":
            paths.append(place.name(entry.path))
    _log.log(level, "Found %d file(s) under %s.", len(paths), printable(place.root))
    return paths


async def _list_into_plan(run: str, request: Input, left: list[Any], engine: Engine) -> dict[str, Any]:
    parsed = parse_input(request)
    place = await engine.in_thread(lambda: find_place(parsed.root, engine))
    directories = [""]
    if left:
        parts = [await engine.runs.read_left(run, plan, part) for plan, part in left]
        place = parts[0][0]  # where the listing began, also if the root is a link that was moved since
        directories = [directory for _, part in parts for directory in part]
    device = await engine.in_thread(lambda: device_of(place, engine))

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
        odd += [Outcome(entry.path, "failed", entry.reason) for entry in step if isinstance(entry, Unreached)]
        found += _tally_of(items)
        # Only the first listing may be of a small tree, which is cut small: it waits until it knows.
        if unpacked and (left or len(unpacked) >= LARGE_TREE):
            *full, unpacked = pack(unpacked, MAX_FILES)
            await plan.add(full)
    whole_tree = not (left or not_entered or plan.tasks)
    await plan.add(pack(unpacked, grain(len(unpacked)) if whole_tree else MAX_FILES))
    parts = list(batched(not_entered, -(-len(not_entered) // _LEFT_PARTS) or 1, strict=False))
    await plan.close(parts)
    await check_vanished(odd, place, engine)
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
