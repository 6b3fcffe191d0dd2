"""What the backup itself costs, where storage costs nothing: at a number of files, and at a tenth of it."""

from functools import partial
from pathlib import Path

from benchmarks.apps import App, Run, running_app
from benchmarks.contest import Results, contest
from benchmarks.figures import Figure
from benchmarks.storage import null_service
from benchmarks.trees import KIB, many_files
from benchmarks.uploads import own_upload_loop, storage_client_loop

_MOST_EVENTS = 1_000
"""Events that the history of no instance may exceed."""


def scale(files: int, rounds: int) -> list[Figure]:
    """Measure `files` files, and a tenth of them, of 1 KiB each."""
    tenth = _Backups(many_files(files // 10, KIB, KIB))
    all_of_it = _Backups(many_files(files, KIB, KIB))
    with null_service() as service, running_app(service.connection_string) as app:
        storage = service.connection_string
        app.warm_up()
        results = contest(
            f"{files:,} files",
            {
                "a tenth": partial(tenth.back_up, app),
                "ours": partial(all_of_it.back_up, app),
                "bare loop": partial(storage_client_loop, storage, all_of_it.tree),
                "own uploads": partial(own_upload_loop, storage, all_of_it.tree),
            },
            rounds,
            service.forget,
        )
        events = app.events(all_of_it.last)
    return [
        Figure(
            f"time for {files:,} files, s, against {files // 10:,}",
            results.seconds("ours"),
            results.seconds("a tenth"),
            "at most",
            11,
            results.spread("ours", "a tenth"),
        ),
        _overhead(files, "bare loop", results),
        _overhead(files, "own uploads", results),
        Figure(f"history events for {files:,} files", sum(events), files, "at most", 0.02),
        Figure("history events of one instance", max(events), None, "at most", _MOST_EVENTS),
    ]


class _Backups:
    """Backups of one tree; `last` is the latest one."""

    last: Run

    def __init__(self, tree: Path) -> None:
        self.tree = tree

    def back_up(self, app: App) -> float:
        self.last = app.back_up(self.tree)
        return self.last.seconds


def _overhead(files: int, uploads: str, results: Results) -> Figure:
    milliseconds = (results.seconds("ours") - results.seconds(uploads)) / files * 1000
    name = f"overhead a file at {files:,} files, ms, over {uploads}"
    return Figure(name, milliseconds, None, "at most", 0.3, results.spread("ours", uploads))
