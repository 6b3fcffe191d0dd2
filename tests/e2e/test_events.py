"""What a run tells the log, read as the queries of docs/operate.md read it."""

import json
import re
from pathlib import Path
from typing import Any

from localstack.settings import PROJECT
from tests.e2e.conftest import NewApp
from tests.e2e.support.apps import RunningApp
from tests.e2e.support.trees import Link, Tree, make_tree
from tests.e2e.support.waiting import wait_until

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
    document = app.back_up(make_tree(tmp_path / "site", {"index.html": b"hello", "logs": {"a": b"1"}}))
    instance = document["instanceId"]

    wait_until(lambda: bool(events(app, "backup.ended", instance)), 10)
    [ended] = events(app, "backup.ended", instance)
    phases = [event["phase"] for event in events(app, "backup.phase", instance)]
    assert phases == ["listing", "copying", "finishing", "done"]
    assert ended["status"] == "Completed"
    assert (ended["files"], ended["bytes"], ended["failed"]) == (2, 6, 0)
    assert 0 < ended["seconds"] < 60
    queries = [path.read_text() for path in (PROJECT / "infra/queries").glob("*.kql")]
    read = {field for query in queries for field in re.findall(r"\brun\.(\w+)", query)}
    assert read
    assert read <= ended.keys()


def test_without_paths_no_message_of_any_run_names_a_file(new_app: NewApp, tmp_path: Path) -> None:
    app = new_app({"BACKUP_LOG_PATHS": "false"})
    document = app.back_up(make_tree(tmp_path / "site", SITE))
    instance = document["instanceId"]

    wait_until(lambda: bool(events(app, "backup.ended", instance)), 10)
    [ended] = events(app, "backup.ended", instance)
    assert (ended["status"], ended["failed"]) == ("Failed", 1)
    assert "1 of 4 entries were not backed up. All outcomes: backup-runs/" in document["output"]
    assert app.host is not None
    for name in ("secret", "index.html", "x" * 220):
        assert name not in app.host.output()
        assert name not in document["output"]
