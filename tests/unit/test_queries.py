"""The queries of infra/queries, which alerts and workbook ask, over events as the app logs them."""

from collections.abc import Iterable

import pytest

from tests.support.alerts import RULES
from tests.support.events import NOW, ROOT, VERIFICATION, Logged, backup, log_of, phase, verification
from tests.support.kusto import INFRA, Row, parser_messages, query, run_query

NAMES = sorted(path.stem for path in (INFRA / "queries").iterdir())


def ask(name: str, *events: Logged) -> list[Row]:
    """The result of a query now, with other lines between the events."""
    return run_query(query(name), log_of(*events), NOW)


def column(rows: Iterable[Row], name: str) -> list[object]:
    return [row[name] for row in rows]


def test_azure_can_read_every_query_of_the_workbook_and_of_the_alerts() -> None:
    queries = {name: query(name) for name in NAMES} | {name: rule.query for name, rule in RULES.items()}
    messages = parser_messages(list(queries.values()))
    assert dict(zip(queries, messages, strict=True)) == {name: [] for name in queries}


def test_the_parser_finds_what_azure_would_refuse() -> None:
    [messages] = parser_messages(["traces | extend run = parse_json(message) | project tolong(run.missing)"])
    assert "keyword 'missing'" in " ".join(messages)


@pytest.mark.parametrize(
    ("name", "event"),
    [
        ("runs", backup(1)),
        ("failures", backup(1, status="Failed")),
        ("verifications", verification(1)),
        ("missing", backup(30)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_every_column_of_a_query_has_a_value_of_the_event(name: str, event: Logged) -> None:
    [row] = ask(name, event)
    assert row["rootId"] == ROOT
    assert [column for column, value in row.items() if value is None] == []


def test_runs_are_listed_with_the_latest_first_and_their_figures() -> None:
    rows = ask("runs", backup(5, instanceId="a"), phase(4), verification(3), backup(2, instanceId="b"))
    assert column(rows, "instanceId") == ["b", "a"]
    assert [rows[0][name] for name in ("files", "bytes", "vanished", "skipped")] == [3, 12, 1, 2]
    kinds = ("filesNew", "filesChanged", "entriesGone", "bytesUploaded")
    assert [rows[0][name] for name in kinds] == [1, 1, 4, 7]


def test_only_backups_that_failed_are_failures() -> None:
    rows = ask("failures", backup(2), backup(1, status="Failed", rootId="r1"), phase(1), verification(1))
    assert column(rows, "rootId") == ["r1"]


def test_only_runs_that_took_twice_the_usual_time_a_file_are_slow() -> None:
    usual = [backup(n, seconds=10.0, files=100, instanceId=f"usual-{n}") for n in range(5)]
    rows = ask("slow-runs", *usual, backup(6, seconds=25.0, files=100, instanceId="slow"))
    assert column(rows, "instanceId") == ["slow"]


def test_verifications_are_listed_with_the_run_that_they_verified_and_what_is_wrong() -> None:
    [row] = ask("verifications", verification(1, status="Failed", missing=2, changed=1), backup(1), phase(1))
    assert (row["runId"], row["status"], row["deep"]) == ("4f1c", "Failed", True)
    assert (row["blobsChecked"], row["blobsMissing"], row["blobsChanged"]) == (3, 2, 1)


def test_a_verification_that_could_not_read_the_manifest_is_listed_too() -> None:
    """It knows no root and no counts."""
    event = {name: VERIFICATION[name] for name in ("instanceId", "seconds", "runId", "deep")}
    [row] = ask("verifications", (1, "verification.ended", {**event, "status": "Failed"}))
    assert (row["rootId"], row["status"], row["blobsMissing"]) == ("unknown", "Failed", None)
