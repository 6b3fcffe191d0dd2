"""Troubles that pass, and those that do not: what is waited for, and for how long."""

from collections.abc import Callable
from typing import Any

import pytest

from sitebackup import names
from sitebackup.messages import Answer
from sitebackup.orchestrations.patience import MOST_WAITS, WAITS
from tests.support.hub import Activity
from tests.support.site import MOST_EVENTS, Reply, Request, Site, became, copied, down, listing

GAVE_UP = "Gave up after waiting 705 seconds in all: "


def test_a_permanent_error_ends_the_run_without_a_retry() -> None:
    site = Site(1, {names.GET_FILE_LIST: lambda _: Answer(errors=("'/site' does not exist.",)).to_json()})
    assert site.backup().failure == "'/site' does not exist."
    assert len(site.asked[names.GET_FILE_LIST]) == 1
    assert (site.ended["state"], site.ended["message"]) == ("failed", "'/site' does not exist.")
    assert not site.asked[names.WRITE_MANIFEST]


def test_what_fails_for_a_while_is_done_again_until_it_is_done_and_nothing_else_is() -> None:
    calls: dict[int, int] = {}

    def copy(request: Request) -> Reply:
        batch = request["batch"]
        calls[batch] = calls.get(batch, 0) + 1
        return down() if batch in (7, 150) and calls[batch] < 5 else copied()

    site = Site(200, {names.COPY_FILE_TO_BLOB: copy})
    run = site.backup()
    assert run.output == 2_000
    assert calls == {batch: 5 if batch in (7, 150) else 1 for batch in range(200)}
    waiting = [status["waitingFor"] for status in run.statuses if "waitingFor" in status]
    assert waiting
    assert all("storage is down" in text for text in waiting)
    assert "waitingFor" not in run.statuses[-1]
    assert site.longest_history <= MOST_EVENTS


def test_a_batch_that_is_copied_again_learns_how_often_the_run_has_waited() -> None:
    waits: list[int] = []

    def copy(request: Request) -> Reply:
        if request["batch"] != 150:
            return copied()
        waits.append(request.get("waits", 0))
        return down() if len(waits) < 4 else copied()

    run = Site(200, {names.COPY_FILE_TO_BLOB: copy}).backup()
    assert (run.output, waits) == (2_000, [0, 1, 2, 3])


def test_what_still_does_not_answer_when_the_last_wait_is_over_is_to_fail_and_the_run_goes_on() -> None:
    asked: list[tuple[bool, bool]] = []

    def get_file_list(request: Request) -> Reply:
        if "portions" not in request:
            return listing("p", 30, portions=1)
        asked.append((request.get("last", False), True))
        return listing("q", 0, failed=1) if request.get("last") else down()

    def copy(request: Request) -> Reply:
        if request["batch"] != 7:
            return copied()
        asked.append((request.get("last", False), False))
        return became(failed=1) if request.get("last") else down()

    run = Site(0, {names.GET_FILE_LIST: get_file_list, names.COPY_FILE_TO_BLOB: copy}).backup()
    assert (run.failure or "").startswith("2 of 31 entries were not backed up")
    assert asked == [(n == len(WAITS), kind) for kind in (True, False) for n in range(len(WAITS) + 1)]


@pytest.mark.parametrize(
    "broken", [names.GET_FILE_LIST, names.COPY_FILE_TO_BLOB, names.WRITE_MANIFEST, names.VERIFY_MANIFEST]
)
def test_what_fails_for_too_long_ends_the_run_with_its_cause(broken: str) -> None:
    site = Site(1, {broken: down})
    assert site.backup().failure == f"{GAVE_UP}storage is down"
    assert len(site.asked[broken]) == len(WAITS) + 1
    assert site.ended["state"] == "failed"


def test_an_activity_that_loses_its_worker_three_times_is_tried_again_and_nothing_waits() -> None:
    lost: dict[str, int] = {}

    def lose(answer: Activity) -> Activity:
        def activity(request: Any) -> Any:
            key = str(request)
            lost[key] = lost.get(key, 0) + 1
            if lost[key] <= 3:
                raise RuntimeError("Exception while executing function: E2_CopyFileToBlob")
            return answer(request)

        return activity

    site = Site(5)
    site.activities = {name: lose(answer) for name, answer in site.activities.items()}
    run = site.backup()
    assert (run.failure, run.output) == (None, 50)
    assert set(lost.values()) == {4}
    assert not any("waitingFor" in status for status in run.statuses)


def test_an_activity_that_ends_without_a_word_time_and_again_ends_the_run_with_words() -> None:
    def lose(_: Any) -> Any:
        raise RuntimeError

    run = Site(1, {names.COPY_FILE_TO_BLOB: lose}).backup()
    assert run.failure == f"{GAVE_UP}A part of the run ended without a word."


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("", "A part of the run ended without a word."),
        ("ValueError: ", "ValueError"),
        ("lost\n  File /srv/secret", "lost"),
        ("x" * 1_000, "x" * 300),
    ],
)
def test_no_stack_and_no_long_text_of_a_failure_gets_into_the_custom_status(
    message: str, expected: str
) -> None:
    def lose(_: Any) -> Any:
        raise RuntimeError(message)

    run = Site(1, {names.COPY_FILE_TO_BLOB: lose}).backup()
    assert run.failure == f"{GAVE_UP}{expected}"
    assert {status["waitingFor"] for status in run.statuses if "waitingFor" in status} == {expected}


@pytest.mark.parametrize(
    ("batches", "failures", "fail"),
    [(24, 6, down), (24, 14, lambda: 1 / 0), (200, 6, down), (200, 14, lambda: 1 / 0)],
)
def test_no_history_grows_beyond_bounds_while_storage_fails(
    batches: int, failures: int, fail: Callable[[], Any]
) -> None:
    calls: dict[int, int] = {}

    def copy(request: Request) -> Any:
        batch = request["batch"]
        calls[batch] = calls.get(batch, 0) + 1
        return fail() if calls[batch] <= failures else copied()

    site = Site(batches, {names.COPY_FILE_TO_BLOB: copy})
    assert site.backup().output == 10 * batches
    assert site.longest_history <= MOST_EVENTS


def outages(of: int) -> Activity:
    """A copy activity in `of` outages, each of which ends with one more batch done."""
    calls: dict[int, int] = {}

    def copy(request: Request) -> Reply:
        batch = request["batch"]
        calls[batch] = calls.get(batch, 0) + 1
        return down() if batch < of and calls[batch] <= batch + 1 else copied()

    return copy


def test_outages_that_let_something_be_done_in_between_do_not_add_up_to_one() -> None:
    many = 4 * len(WAITS)
    site = Site(many, {names.COPY_FILE_TO_BLOB: outages(many)})
    run = site.backup()
    assert (run.failure, run.output) == (None, 10 * many)
    assert site.longest_history <= MOST_EVENTS


def test_an_outage_after_work_that_met_none_is_waited_for_as_a_new_one() -> None:
    calls = 0

    def copy(_: Request) -> Reply:
        nonlocal calls
        calls += 1
        return down() if calls < len(WAITS) else copied()

    run = Site(1, {names.COPY_FILE_TO_BLOB: copy, names.VERIFY_MANIFEST: down}).backup()
    waited = sum(WAITS[:-1]) + sum(WAITS)
    assert run.failure == f"Gave up after waiting {waited} seconds in all: storage is down"


def test_even_a_run_that_gets_ahead_does_not_wait_for_ever() -> None:
    many = MOST_WAITS + 1
    site = Site(many, {names.COPY_FILE_TO_BLOB: outages(many)})
    failure = site.backup().failure or ""
    assert failure.startswith(f"Gave up after waiting {WAITS[0] * MOST_WAITS} seconds in all: ")
    assert site.longest_history <= MOST_EVENTS


def test_no_event_grows_with_the_tree_while_storage_fails() -> None:
    calls = 0

    def copy(_: Request) -> Any:
        nonlocal calls
        calls += 1
        return down() if calls <= 400 else copied()

    site = Site(400, {names.COPY_FILE_TO_BLOB: copy})
    assert site.backup().output == 4_000
    instances = site.last_hub.instances
    assert max(event.ByteSize() for instance in instances for event in instance.history) < 2_000


def test_no_activity_is_called_without_a_retry_policy() -> None:
    failed: list[Any] = []

    def fail_once(answer: Activity) -> Activity:
        def activity(request: Any) -> Any:
            if str(request) not in failed:
                failed.append(str(request))
                raise RuntimeError("once")
            return answer(request)

        return activity

    site = Site(3)
    site.activities = {name: fail_once(answer) for name, answer in site.activities.items()}
    run = site.backup()
    assert (run.failure, run.output) == (None, 30)
    assert not any("waitingFor" in status for status in run.statuses)
    assert len(failed) == 7
