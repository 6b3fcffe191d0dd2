"""The alert rules of infra/: for whom they fire, over events as the app logs them."""

from dataclasses import replace
from datetime import UTC, timedelta

import pytest

from tests.support.alerts import RULES, SINCE
from tests.support.bicep import parse_all
from tests.support.events import NOW, ROOT, Logged, backup, log_of, phase, verification

HOURS: int = parse_all()["main.bicep"].section("parameters")["hoursWithoutSuccess"]["default"]


def fired(rule: str, *events: Logged) -> list[tuple[str, ...]]:
    """The values of the rule's dimensions, each a mail."""
    return RULES[rule].fires_for(log_of(*events), NOW)


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_tells_whoever_is_to_be_told(rule: str) -> None:
    assert RULES[rule].properties["actions"] == {"actionGroups": "actionGroups"}


def test_no_rule_is_off_but_those_about_missing_backups_where_the_operator_asks_for_no_such_alert() -> None:
    on_if_hours_are_given = {
        "operator": {"type": "greater_than", "operands": {"operand_1": "hoursWithoutSuccess", "operand_2": 0}}
    }
    assert {rule: RULES[rule].properties["enabled"] for rule in RULES} == {
        "failed backup": True,
        "failed verification": True,
        "missing": on_if_hours_are_given,
        "none": on_if_hours_are_given,
    }
    hours = parse_all()["main.bicep"].section("parameters")["hoursWithoutSuccess"]
    assert {"type": "min_value", "argument": 0} in hours["decorators"]


def test_nothing_is_told_while_all_is_well() -> None:
    events = [event for root in "ab" for event in (phase(25, rootId=root), backup(24.5, rootId=root))]
    assert {rule: fired(rule, *events, verification(0.1)) for rule in RULES} == {rule: [] for rule in RULES}


# ---- failures


def test_a_failed_backup_is_told_with_its_root_and_its_run() -> None:
    events = [backup(0.1, status="Failed", rootId="a", instanceId="1"), backup(0.1, rootId="b")]
    assert fired("failed backup", *events) == [("a", "1")]


def test_a_failed_verification_is_told_and_is_no_failed_backup() -> None:
    failed = verification(0.1, status="Failed", missing=1)
    assert fired("failed verification", failed, backup(0.1, status="Failed")) == [(ROOT, "77ad")]
    assert fired("failed backup", failed) == []


def test_no_failure_falls_between_two_looks() -> None:
    for name in ("failed backup", "failed verification"):
        assert RULES[name].duration("windowSize") > RULES[name].duration("evaluationFrequency")


# ---- missing backups


def test_the_success_of_one_root_never_hides_that_another_is_missing() -> None:
    assert fired("missing", backup(HOURS + 1, rootId="stays away"), backup(1, rootId="fine")) == [
        ("stays away",)
    ]


def test_a_root_that_only_fails_is_missing() -> None:
    failures = [backup(hours, status="Failed") for hours in (1, HOURS - 1)]
    assert fired("missing", backup(HOURS + 1), *failures) == [(ROOT,)]


def test_a_root_whose_runs_start_and_never_end_is_missing() -> None:
    assert fired("missing", phase(HOURS + 1), phase(3)) == [(ROOT,)]


def test_a_verification_is_no_backup() -> None:
    assert fired("missing", backup(HOURS + 1), verification(1)) == [(ROOT,)]


def test_a_root_whose_first_run_has_time_left_is_not_missing() -> None:
    assert fired("missing", phase(HOURS - 1)) == []


def test_a_root_that_succeeded_within_the_time_is_not_missing() -> None:
    assert fired("missing", backup(HOURS + 1), backup(HOURS - 1), backup(1, status="Failed")) == []


def test_a_root_that_has_not_been_seen_for_two_days_is_forgotten() -> None:
    assert fired("missing", backup(49)) == []


def test_that_a_root_is_forgotten_is_never_told_as_good_news() -> None:
    assert RULES["missing"].properties["autoMitigate"] is False


def test_a_missing_root_is_seen_for_longer_than_its_alert_is_muted() -> None:
    [longest] = [
        it["argument"]
        for it in parse_all()["main.bicep"].section("parameters")["hoursWithoutSuccess"]["decorators"]
        if it["type"] == "max_value"
    ]
    rule = RULES["missing"]
    assert rule.duration("windowSize") - timedelta(hours=longest) >= rule.duration("muteActionsDuration")
    assert rule.duration("muteActionsDuration") > rule.duration("evaluationFrequency")


def test_the_hours_of_the_deployment_are_those_of_the_query() -> None:
    assert f"let allowed = {HOURS}h;" in RULES["missing"].query
    assert RULES["missing"].query.count(f"{HOURS}h") == 1, "the deployment replaces it wherever it stands"


@pytest.mark.parametrize(
    "events",
    [[], [backup(1, status="Failed"), phase(2)], [verification(1)], [backup(49)]],
    ids=["silence", "failures", "verifications", "long ago"],
)
def test_no_success_of_any_root_is_told_until_there_is_one(events: list[Logged]) -> None:
    assert fired("none", *events) == [()]
    assert fired("none", *events, backup(1)) == []
    assert RULES["none"].properties["autoMitigate"] is True


@pytest.mark.parametrize(("hours", "told"), [(1, []), (47, []), (49, [()])])
def test_a_new_deployment_is_not_told_that_it_has_no_backup_before_it_had_time_for_one(
    hours: int, told: list[tuple[str, ...]]
) -> None:
    rule = RULES["none"]
    assert f"datetime({SINCE})" in rule.query
    since = f"{NOW.astimezone(UTC) - timedelta(hours=hours):%FT%T}.1234567Z"
    assert replace(rule, query=rule.query.replace(SINCE, since)).fires_for(log_of(), NOW) == told
