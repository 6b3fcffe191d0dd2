"""Backups of a tree that is saved already: nothing has changed in it, or little."""

import time
from functools import partial
from pathlib import Path

from azure.storage.blob import ContainerClient

from benchmarks.apps import App, BackupFailedError, running_app
from benchmarks.contest import Contender, Results, contest
from benchmarks.figures import Figure
from benchmarks.others import syncs
from benchmarks.report import say
from benchmarks.storage import emulator, null_service
from benchmarks.trees import KIB, change, many_files
from sitebackup.activities.saved import DOUBT
from sitebackup.names import BACKUPS_CONTAINER

_DIRECTORIES = 400


def unchanged(files: int, rounds: int) -> list[Figure]:
    """Measure `files` files of 1 KiB against the emulator: nothing changed, and one in a hundred.

    The programs that sync find the blobs that the app has stored; the figures count only if they store none.
    """
    tree = many_files(files, KIB, KIB, _DIRECTORIES)
    with emulator() as blobs, running_app(blobs.connection_string) as app:
        _settle(app, tree)
        storage = blobs.connection_string
        contenders: dict[str, Contender] = {"ours": partial(_back_up, app, tree)}
        contenders |= {name: partial(sync, storage, tree) for name, sync in syncs().items()}
        before = _etags(storage)
        results = contest("Nothing changed", contenders, rounds, lambda: None)
        if _etags(storage) != before:
            raise BackupFailedError("Blobs were written or deleted, although nothing had changed.")
        figures = [_seconds(files, results, "the emulator", 0.25)]
        figures += [_against(files, results, name) for name in contenders if name != "ours"]
        return [*figures, _one_in_a_hundred(app, tree, files, rounds)]


def unchanged_alone(files: int, rounds: int) -> Figure:
    """Measure `files` files of 1 KiB of which none has changed, where storage costs nothing."""
    tree = many_files(files, KIB, KIB, _DIRECTORIES)
    with null_service() as service, running_app(service.connection_string) as app:
        _settle(app, tree)
        contenders: dict[str, Contender] = {"ours": partial(_back_up, app, tree)}
        results = contest("Nothing changed, null service", contenders, rounds, lambda: None)
    return _seconds(files, results, "the null service", 0.08)


def _one_in_a_hundred(app: App, tree: Path, files: int, rounds: int) -> Figure:
    contenders: dict[str, Contender] = {
        "ours": partial(_back_up_changed, app, tree, files // 100),
        "nothing": partial(_back_up, app, tree),
    }
    results = contest("1 % changed", contenders, rounds, lambda: None)
    return Figure(
        f"1 % of {files:,} files changed, s, against nothing changed",
        results.seconds("ours"),
        results.seconds("nothing"),
        "at most",
        2,
        results.spread("ours", "nothing"),
    )


def _settle(app: App, tree: Path) -> None:
    """Back up a tree until nothing is left to do: what is as good as new is read again by the next run."""
    say(f"Saving {tree.name} ...")
    app.back_up(tree)
    time.sleep(DOUBT)
    app.back_up(tree)


def _back_up(app: App, tree: Path) -> float:
    run = app.back_up(tree)
    run.ensure_changed(0)
    return run.seconds


def _back_up_changed(app: App, tree: Path, files: int) -> float:
    change(tree, files)
    time.sleep(DOUBT + 1)  # else these files would be read again by the next run, which finds nothing changed
    run = app.back_up(tree)
    run.ensure_changed(files)
    return run.seconds


def _etags(storage: str) -> dict[str, str]:
    with ContainerClient.from_connection_string(storage, BACKUPS_CONTAINER) as container:
        return {blob.name: blob.etag for blob in container.list_blobs()}


def _seconds(files: int, results: Results, storage: str, target: float) -> Figure:
    return Figure(
        f"{files:,} files, nothing changed, s a 1,000, {storage}",
        results.seconds("ours") / files * 1000,
        None,
        "at most",
        target,
        results.spread("ours"),
    )


def _against(files: int, results: Results, name: str) -> Figure:
    return Figure(
        f"{files:,} files, nothing changed, files/s, against {name}",
        files / results.seconds("ours"),
        files / results.seconds(name),
        "at least",
        1,
        results.spread(name),
    )
