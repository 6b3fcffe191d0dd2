"""The manifest is written in parts and compared with the containers; what these have lost is copied again."""

from typing import Any

import pytest

from sitebackup import names
from sitebackup.messages import Findings, Plan
from sitebackup.orchestrations.gathering import FAN_OUT
from sitebackup.orchestrations.writing import HAND
from sitebackup.tally import Tally
from tests.support.hub import Activity
from tests.support.site import (
    MANIFEST,
    MOST_EVENTS,
    Reply,
    Request,
    Site,
    became,
    compared,
    copied,
    down,
    listing,
    steps_before,
)


def of_plans(changed: int, unchanged: int = 0, **more: Any) -> dict[str, Activity]:
    """A tree with so many plans of one batch, and so many that are complete."""
    plans = tuple(Plan(f"c{n}", batches=1) for n in range(changed))
    plans += tuple(Plan(f"u{n}", entries=1, bytes=100) for n in range(unchanged))
    tally = Tally(files=unchanged, bytes=10 * unchanged, unchanged=unchanged)
    pending = Tally(files=changed, bytes=10 * changed)
    answer = listing("", 0, tally=tally, pending=pending, plans=plans, **more)
    return {names.GET_FILE_LIST: lambda _: answer}


def plans_of(request: Request) -> list[str]:
    return [plan[0] for plan in request.get("plans", [])]


def test_few_parts_and_the_index_are_written_by_one_activity() -> None:
    site = Site(0, of_plans(HAND, unchanged=100))
    run = site.backup()
    [request] = site.asked[names.WRITE_MANIFEST]
    assert len(plans_of(request)) == HAND + 100
    assert request["tally"] == {"files": 100, "bytes": 1_000, "unchanged": 100}
    assert "parts" not in request
    assert request["finished"] >= request["started"]
    assert run.output == 10 * (HAND + 100)


@pytest.mark.parametrize("changed", [HAND + 1, HAND * FAN_OUT, HAND * FAN_OUT + 100])
def test_many_parts_are_written_by_many_activities_and_the_index_by_a_last_one(changed: int) -> None:
    site = Site(0, of_plans(changed, unchanged=30))
    run = site.hub(keep_turns=False, at_once=20).run(names.BACKUP_SITE_CONTENT, "/site")
    *hands, last = site.asked[names.WRITE_MANIFEST]
    assert run.output == 10 * (changed + 30)
    assert len(hands) <= FAN_OUT
    assert all(hand["is_last"] is False for hand in hands)
    assert not any(hand.get("tally") or "parts" in hand for hand in hands)
    written = [plan for hand in hands for plan in plans_of(hand)]
    assert sorted(written) == sorted(f"c{n}" for n in range(changed))
    assert sorted(part[0] for part in last["parts"]) == sorted(written)
    assert plans_of(last) == [f"u{n}" for n in range(30)]
    assert last["tally"]["files"] == changed + 30
    assert site.longest_history <= MOST_EVENTS


def test_parts_that_an_activity_had_no_time_for_are_written_by_another_one_and_no_other_part_is() -> None:
    """Each gets two parts done, and the last one has no time for the index either."""
    counts: dict[str, int] = {}

    def write(request: Request) -> Reply:
        plans = [Plan(*plan) for plan in request.get("plans", [])]
        for plan in plans[:2]:
            counts[plan.id] = counts.get(plan.id, 0) + 1
        is_last = request.get("is_last", True) and len(plans) <= 2
        some = {**request, "plans": request.get("plans", [])[:2], "is_last": is_last}
        return {**site.write(some), "plans": request.get("plans", [])[2:]}

    site = Site(0, {**of_plans(HAND + 4), names.WRITE_MANIFEST: write})
    run = site.backup()
    assert (run.failure, run.output) == (None, 10 * (HAND + 4))
    assert counts == {f"c{n}": 1 for n in range(HAND + 4)}
    assert len(site.asked[names.WRITE_MANIFEST][-1]["parts"]) == HAND + 2
    assert run.statuses[-1]["manifest"] == MANIFEST


def test_a_trouble_while_parts_are_written_is_waited_for_and_loses_none_that_is_written() -> None:
    calls = 0

    def write(request: Request) -> Reply:
        nonlocal calls
        calls += 1
        return down() if calls in (1, 4, 5) else site.write(request)

    site = Site(0, {**of_plans(3 * HAND), names.WRITE_MANIFEST: write})
    run = site.backup()
    assert (run.failure, run.output) == (None, 30 * HAND)
    last = site.asked[names.WRITE_MANIFEST][-1]
    assert len(last.get("parts", [])) + len(plans_of(last)) == 3 * HAND
    assert "storage is down" in [status.get("waitingFor") for status in run.statuses]


def test_portions_of_a_run_that_is_given_up_are_divided_too() -> None:
    def get_file_list(request: Request) -> Reply:
        return down() if request.get("portions") else listing("p", 1, portions=40)

    site = Site(0, {names.GET_FILE_LIST: get_file_list})
    run = site.backup()
    *hands, last = site.asked[names.WRITE_MANIFEST]
    portions = [portion for hand in hands for portion in hand.get("portions", [])]
    assert sum(count for _, _, count in portions) == 40
    assert {hand["gave_up"] for hand in [*hands, last]} == {run.failure}
    assert "portions" not in last


def test_a_container_that_is_not_what_the_manifest_says_fails_the_run() -> None:
    wrong = Findings(checked=9, missing=1, changed=1, named=("a is missing", "b has another MD5"))
    site = Site(9, {names.VERIFY_MANIFEST: lambda _: compared(wrong)})
    assert site.backup().failure == "2 of 9 blobs are not what was saved: a is missing; b has another MD5."
    assert site.ended["has_manifest"]


def test_a_comparison_goes_on_until_it_is_done_and_all_that_it_finds_counts() -> None:
    def compare(request: Request) -> Reply:
        after = steps_before(request)
        found = Findings(checked=10, missing=int(after == 1), named=("a is missing",) if after == 1 else ())
        return compared(found, request, is_done=after == 4)

    site = Site(1, {names.VERIFY_MANIFEST: compare})
    assert site.backup().failure == "1 of 50 blobs are not what was saved: a is missing."
    assert [steps_before(request) for request in site.asked[names.VERIFY_MANIFEST]] == [0, 1, 2, 3, 4]


def repairing(copy: Activity, repaired: Tally = Tally()) -> Site:  # noqa: B008 - it is frozen
    """A run that finds in the first and the last step of its comparison what it has to copy again.

    `repaired`: what that changes in one of the parts.
    """

    def compare(request: Request) -> Reply:
        after = steps_before(request)
        repairs = {0: (Plan("r", 1),), 2: (Plan("s", 2),)}.get(after, ())
        return compared(Findings(checked=1), request, is_done=after == 2, repairs=repairs)

    def write(request: Request) -> Reply:
        if "repairs" not in request:
            return site.write(request)
        is_there = "u7" in plans_of(request)
        named = ["x: Permission denied"] if is_there and repaired.failed else []
        return {**site.write(request), "tally": repaired.to_json() if is_there else {}, "named": named}

    answers = {
        **of_plans(1, unchanged=100),
        names.VERIFY_MANIFEST: compare,
        names.COPY_FILE_TO_BLOB: copy,
        names.WRITE_MANIFEST: write,
    }
    site = Site(0, answers)
    return site


def test_what_the_containers_have_lost_is_copied_again_and_the_manifest_says_so() -> None:
    site = repairing(copied, Tally(changed=3, unchanged=-3, uploaded=30))
    run = site.backup()
    assert (run.failure, run.output) == (None, 1_010)
    batches = [(request["plan"], request["batch"]) for request in site.asked[names.COPY_FILE_TO_BLOB]]
    assert sorted(batches) == [("c0", 0), ("r", 0), ("s", 0), ("s", 1)]
    first, *again, last = site.asked[names.WRITE_MANIFEST]
    assert "repairs" not in first
    for request in [*again, last]:
        assert [plan[0] for plan in request["repairs"]] == ["r", "s"]
    assert sorted(plan for request in [*again, last] for plan in plans_of(request)) == sorted(
        [*(f"u{n}" for n in range(100)), "c0"]
    )
    assert first["tally"]["files"] == 100
    assert again[0].get("tally") == {}
    assert last["tally"]["files"] == 101
    files = run.statuses[-1]["files"]
    assert files == {**files, "total": 101, "done": 101, "new": 1, "changed": 3, "unchanged": 97}
    assert site.ended["state"] == "completed"
    assert {status["phase"] for status in run.statuses} == {"listing", "copying", "finishing", "done"}


def test_a_repair_that_fails_fails_the_run() -> None:
    lost = Tally(files=-1, bytes=-10, unchanged=-1, failed=1)
    site = repairing(lambda request: became(failed=1) if request["plan"] == "r" else copied(), lost)
    run = site.backup()
    assert (
        run.failure == f"1 of 101 entries were not backed up: x: Permission denied. All outcomes: {MANIFEST}."
    )
    assert site.ended["state"] == "failed"


def test_a_repair_that_meets_a_trouble_for_too_long_is_in_the_manifest_of_a_run_that_gives_up() -> None:
    site = repairing(lambda request: down() if request["plan"] == "r" else copied())
    run = site.backup()
    assert (run.failure or "").startswith("Gave up after waiting")
    first, *_, last = site.asked[names.WRITE_MANIFEST]
    assert "gave_up" not in first
    assert last["gave_up"] == run.failure
    assert [plan[0] for plan in last["repairs"]] == ["r", "s"]
