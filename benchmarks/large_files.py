"""Large files: bytes a second."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks.apps import running_app
from benchmarks.contest import contest
from benchmarks.figures import Figure
from benchmarks.storage import emulator
from benchmarks.trees import MIB, temporary_files
from benchmarks.uploads import one_blob, storage_client_loop

type Yardstick = Callable[[str, Path], float]


def one_large_file(rounds: int) -> Figure:
    """Measure one file of 512 MiB, against the storage client with eight blocks at once."""
    return _measure(1, 512, "upload_blob", one_blob, rounds)


def medium_files(rounds: int) -> Figure:
    """Measure 200 files of 4 MiB, against a bare loop."""
    return _measure(200, 4, "bare loop", storage_client_loop, rounds)


def _measure(files: int, mebibytes: int, yardstick: str, upload: Yardstick, rounds: int) -> Figure:
    what = f"{files} file{'s' if files > 1 else ''} of {mebibytes} MiB"
    with (
        temporary_files(files, mebibytes * MIB) as tree,
        emulator() as blobs,
        running_app(blobs.connection_string) as app,
    ):
        app.warm_up()
        results = contest(
            what,
            {
                "ours": lambda: app.back_up(tree).seconds,
                yardstick: partial(upload, blobs.connection_string, tree),
            },
            rounds,
            blobs.forget,
        )
    total = files * mebibytes
    return Figure(
        f"{what}, MiB/s, against {yardstick}",
        total / results.seconds("ours"),
        total / results.seconds(yardstick),
        "at least",
        0.9,
        results.spread("ours", yardstick),
    )
