"""Run after run of a tree that changes, while workers are killed: every run is still there in the end."""

import random
import shutil
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from localstack.azurite import Azurite
from localstack.client import Document
from tests.e2e.conftest import NewApp
from tests.e2e.support.apps import RunningApp
from tests.e2e.support.containers import assert_container_equals_tree, reader
from tests.e2e.support.proxy import storage_proxy
from tests.e2e.support.trees import Size, make_tree, regular_files, total_bytes
from tests.support.past import Saved, run_of, tree_of

RUNS = 4
KILLS = 4
"""In each run, at most; a host gives up after three crashes for each of its workers."""


def change(root: Path, dice: random.Random, number: int) -> None:
    """Change, remove, move and add some of everything."""
    files = sorted(regular_files(root))
    dice.shuffle(files)
    for path in files[:60]:
        path.write_bytes(dice.randbytes(dice.randint(0, 3_000)))
    for path in files[60:90]:
        path.unlink()
    for path in files[90:100]:
        path.rename(path.with_name(f"moved-{number}-{path.name}"))
    for path in files[100:110]:
        path.unlink()
        path.mkdir()
    for path in files[110:120]:
        path.unlink()
        path.symlink_to(f"target-{number}")
    for path in files[120:130]:
        path.chmod(0o600)
    shutil.rmtree(dice.choice(sorted(path for path in root.iterdir() if path.is_dir())))
    make_tree(root / f"new-{number}", {f"f{n}": Size(n * 10) for n in range(60)})
    with (root / "large.bin").open("ab") as large:
        large.write(b"%d" % number)


def endure(app: RunningApp, root: Path, dice: random.Random) -> tuple[Document, int]:
    """Back up a tree while workers are killed; returns the final status, and how many were killed."""
    started = app.client.start(str(root))
    kills = 0
    while kills < KILLS:
        time.sleep(dice.uniform(0.1, 0.8))
        workers = app.workers()
        if app.client.status(started)["runtimeStatus"] not in ("Pending", "Running"):
            break
        if workers:
            with suppress(psutil.NoSuchProcess):
                dice.choice(workers).kill()
                kills += 1
    return app.client.wait(started, 100), kills


@pytest.mark.timeout(280)
def test_every_run_mirrors_the_tree_and_all_runs_before_it_read_back_though_workers_are_killed(
    new_app: NewApp, azurite: Azurite, tmp_path: Path
) -> None:
    dice = random.Random(5)  # noqa: S311 - changes and moments, no secret
    tree = {f"d{n}": {f"f{m}": Size(n * m) for m in range(40)} for n in range(8)}
    root = make_tree(tmp_path / "site", {**tree, "large.bin": Size(9_000_000)})
    before: dict[str, Saved] = {}
    kills = 0
    with storage_proxy(azurite) as proxy, proxy.rule("/backup", lambda _: time.sleep(0.05)):
        app = new_app({"BackupStorage": proxy.connection_string}, workers=8)
        for number in range(RUNS):
            if number:
                change(root, dice, number)
            document, killed = endure(app, root, dice)
            kills += killed
            assert document["runtimeStatus"] == "Completed", document
            assert document["output"] == total_bytes(root)
            assert_container_equals_tree(app.container, root)
            before[document["instanceId"]] = tree_of(root)
            for run, saved in before.items():
                assert run_of(reader(app.blobs), run) == saved
    assert kills > RUNS, "the runs were over before"
