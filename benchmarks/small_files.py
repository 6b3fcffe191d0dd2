"""Many small files: against a bare loop, the tutorial's shape and rclone."""

from functools import partial

from benchmarks.apps import TUTORIAL, running_app
from benchmarks.contest import Contender, Results, contest
from benchmarks.figures import Figure
from benchmarks.others import is_installed, rclone_copy
from benchmarks.storage import emulator
from benchmarks.trees import KIB, many_files
from benchmarks.uploads import storage_client_loop

_FILES = 3_000


def small_files(rounds: int, rounds_of_others: int) -> list[Figure]:
    """Measure 3,000 files of 1 to 8 KiB, from the POST to `Completed`.

    The bare loop, which comes closest, gets `rounds`; the tutorial's shape and rclone `rounds_of_others`.
    """
    tree = many_files(_FILES, 1 * KIB, 8 * KIB)
    with (
        emulator() as blobs,
        running_app(blobs.connection_string) as app,
        running_app(blobs.connection_string, TUTORIAL) as tutorial,
    ):
        app.warm_up()
        tutorial.warm_up()
        ours: Contender = lambda: app.back_up(tree).seconds  # noqa: E731 - one of a row of contenders
        loop = partial(storage_client_loop, blobs.connection_string, tree)
        others: dict[str, Contender] = {"tutorial's shape": lambda: tutorial.back_up(tree).seconds}
        if is_installed("rclone"):
            others["rclone"] = partial(rclone_copy, blobs.connection_string, tree)
        first = contest("Small files", {"ours": ours, "bare loop": loop}, rounds, blobs.forget)
        second = contest("Small files", {"ours": ours, **others}, rounds_of_others, blobs.forget)
    targets = {"tutorial's shape": 1.8, "rclone": 1.0}
    return [
        _figure(first, "bare loop", 0.85),
        *(_figure(second, yardstick, targets[yardstick]) for yardstick in others),
    ]


def _figure(results: Results, yardstick: str, target: float) -> Figure:
    return Figure(
        f"{_FILES:,} files of 1-8 KiB, files/s, against {yardstick}",
        _FILES / results.seconds("ours"),
        _FILES / results.seconds(yardstick),
        "at least",
        target,
        results.spread("ours", yardstick),
    )
