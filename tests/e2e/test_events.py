"""What a run tells the log, read as the queries of docs/operate.md read it."""

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from localstack.settings import PROJECT
from tests.e2e.conftest import NewApp
from tests.e2e.support.apps import RunningApp
from tests.e2e.support.commands import run_line
from tests.e2e.support.trees import Link, Tree, make_tree
from tests.e2e.support.waiting import wait_until
from tests.support.events import BACKUP, PHASE, VERIFICATION

TOO_DEEP: Tree = {"x" * 220: {"x" * 220: {"x" * 220: {"x" * 220: {"x" * 220: {"secret": b"1"}}}}}}
SITE: Tree = {"index.html": b"hello", "secret": b"12", "link": Link("secret"), "deep": TOO_DEEP}


def events(app: RunningApp, name: str, instance: str) -> list[dict[str, Any]]:
    """The events of a run, in the order of the log."""
    assert app.host is not None
    lines = re.findall(rf"{re.escape(name)} (\{{.*\}})$", app.host.output(), re.MULTILINE)
    return [event for event in map(json.loads, lines) if event["instanceId"] == instance]


def test_a_run_logs_its_phases_and_one_summary_that_the_queries_understand(
    new_app: NewApp, tmp_path: Path
) -> None:
    app = new_app()
    root = make_tree(tmp_path / "site", {"index.html": b"hello", "logs": {"a": b"1"}})
    document = app.back_up(root)
    instance = document["instanceId"]

    wait_until(lambda: bool(events(app, "backup.ended", instance)), 10)
    [ended] = events(app, "backup.ended", instance)
    phases = events(app, "backup.phase", instance)
    assert [event["phase"] for event in phases] == ["listing", "copying", "finishing", "done"]
    assert ended["status"] == "Completed"
    assert (ended["files"], ended["bytes"], ended["failed"]) == (2, 6, 0)
    assert 0 < ended["seconds"] < 60
    # The queries are tested on these samples.
    assert ended.keys() == BACKUP.keys()
    assert {event.keys() == PHASE.keys() for event in phases} == {True}
    assert {event["rootId"] for event in [ended, *phases]} == {id_of(root)}


def test_a_verification_logs_how_it_ended_and_of_which_root(app: RunningApp, tmp_path: Path) -> None:
    if app.host is None:
        pytest.skip("the log of a host elsewhere is not here")
    root = make_tree(tmp_path / "site", {"index.html": b"hello"})
    run = app.back_up(root)["instanceId"]
    whole = app.run("E2_VerifyBackup", {"instanceId": run, "deep": True})["instanceId"]
    app.container.delete_blob(f"{root}/index.html".lstrip("/"))
    broken = app.run("E2_VerifyBackup", run)["instanceId"]

    wait_until(lambda: bool(events(app, "verification.ended", broken)), 10)
    for instance, about in [
        (whole, {"status": "Completed", "deep": True, "missing": 0}),
        (broken, {"status": "Failed", "deep": False, "missing": 1}),
    ]:
        [ended] = events(app, "verification.ended", instance)
        assert ended.keys() == VERIFICATION.keys()
        assert ended == {**ended, **about, "runId": run, "rootId": id_of(root), "checked": 1, "changed": 0}


def id_of(root: Path) -> str:
    """What docs/operate.md tells the operator to compute."""
    [command] = re.findall(r"^printf %s .*$", (PROJECT / "docs/operate.md").read_text(), re.MULTILINE)
    return run_line(command.replace("/mounts/content", shlex.quote(str(root))), {}).stdout.strip()


def test_without_paths_no_message_of_any_run_names_a_file(new_app: NewApp, tmp_path: Path) -> None:
    app = new_app({"BACKUP_LOG_PATHS": "false"})
    document = app.back_up(make_tree(tmp_path / "site", SITE))
    instance = document["instanceId"]

    wait_until(lambda: bool(events(app, "backup.ended", instance)), 10)
    [ended] = events(app, "backup.ended", instance)
    assert (ended["status"], ended["failed"]) == ("Failed", 1)
    assert "1 of 11 entries were not backed up. All outcomes: backup-catalog/" in document["output"]
    assert app.host is not None
    for name in ("secret", "index.html", "x" * 220):
        assert name not in app.host.output()
        assert name not in document["output"]
