"""A backup of a million files of which none has changed, and of ten million that are on no disk.

The first run is only recorded, its uploads are not made: that would take twenty minutes for a million files.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from benchmarks import measured
from benchmarks.apps import MEASURED, App, Run, running_app
from benchmarks.figures import Figure
from benchmarks.first_run import record_first_run
from benchmarks.made_up import SIZE, MadeUpTree
from benchmarks.memory import PeakMemory
from benchmarks.report import say
from benchmarks.saved_tree import SavedTree
from benchmarks.shapes import Shape
from benchmarks.storage import null_service
from benchmarks.trees import DIRECTORIES, many_files, temporary_folder
from sitebackup.tree.entries import Entry
from sitebackup.tree.walking import walk

_MOST_EVENTS = 500
_MOST_SECONDS = 300
"""Seconds that an activity may take."""

_FILES_OF_A_DIRECTORY = 1_000
"""In a tree that is made up."""


def a_million(files: int) -> list[Figure]:
    """Measure a backup of `files` empty files, all of which are saved already."""
    tree = many_files(files, 0, 0)
    saved = SavedTree(tree, Shape(files, DIRECTORIES), 0)
    found = _back_up_again(saved, walk(str(tree)))
    return _figures(f"{files:,} unchanged files", files, found)


def ten_million(entries: int) -> list[Figure]:
    """Measure a backup of a tree that is on no disk, of about so many `entries`, all saved already."""
    directories = entries // (_FILES_OF_A_DIRECTORY + 1)
    shape = Shape(directories * _FILES_OF_A_DIRECTORY, directories)
    settings = {measured.FILES: str(shape.files), measured.DIRECTORIES: str(directories)}
    with temporary_folder() as root:
        saved = SavedTree(root, shape, SIZE)
        found = _back_up_again(saved, MadeUpTree(shape).walk(str(root)), **settings)
    return _figures(f"{entries:,} unchanged made-up entries", entries, found)


@dataclass(frozen=True, slots=True)
class _BackedUp:
    """A backup; memory in MiB, the seconds of each activity by its name, the events of each history."""

    run: Run
    idle: float
    peak: float
    activities: dict[str, list[float]]
    events: list[int]

    def longest(self) -> str:
        """Return the longest activity of each name in words."""
        return "; ".join(
            f"{name} {max(seconds):.1f} s, {len(seconds)} times, {sum(seconds):.0f} s in all"
            for name, seconds in sorted(self.activities.items())
        )


def _back_up_again(saved: SavedTree, anything: Iterable[Entry | None], **settings: str) -> _BackedUp:
    """Back up a tree in which nothing has changed since `anything` of it was saved."""
    with temporary_folder() as folder, null_service(saved=saved) as service:
        storage = service.connection_string
        say(f"Recording a first run of {saved.shape.files:,} files ...")
        asyncio.run(record_first_run(storage, saved.root, anything, saved.md5))
        log = folder / "activities"
        log.touch()
        with running_app(storage, MEASURED, **{measured.ACTIVITIES: str(log)}, **settings) as app:
            return _back_up(app, saved.root, log)


def _back_up(app: App, root: Path, log: Path) -> _BackedUp:
    idle = PeakMemory(app.worker()).mebibytes
    with PeakMemory(app.worker()) as peak:
        run = app.back_up(root)
    run.ensure_changed(0)
    return _BackedUp(run, idle, peak.mebibytes, measured.read(log), app.events(run))


def _figures(what: str, entries: int, found: _BackedUp) -> list[Figure]:
    root, *others = found.events
    seconds = found.run.seconds
    memory = f"idle {found.idle:.0f}, peak {found.peak:.0f} MiB"
    longest = max(map(max, found.activities.values()))
    return [
        Figure(f"{what}, s a 1,000", seconds / entries * 1000, None, "at most", 0.08, f"{seconds:.0f} s"),
        Figure(f"{what}, memory over idle, MiB", found.peak - found.idle, None, "at most", 200, memory),
        Figure(f"{what}, longest activity, s", longest, None, "at most", _MOST_SECONDS, found.longest()),
        Figure(f"{what}, history events of the root", root, None, "at most", _MOST_EVENTS),
        Figure(f"{what}, of the longest part", max(others, default=0), None, "at most", _MOST_EVENTS),
    ]
