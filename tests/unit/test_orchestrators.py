"""The orchestrations, driven by Microsoft's replay engine, one turn a completed task."""

import itertools
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from sitebackup import names
from sitebackup.messages import Answer, Compared, Copied, Findings, Listed, Plan, ReadBack, Written
from sitebackup.orchestrations.patience import MOST_WAITS, WAITS
from sitebackup.ranges import Portion
from sitebackup.registry import ORCHESTRATORS
from sitebackup.tally import Tally
from tests.support.hub import Activity, Hub, Instance

MOST_EVENTS = 1_000


def listing(plan: str, batches: int, portions: int = 0, failed: int = 0) -> dict[str, Any]:
    """What E2_GetFileList answers: `batches` of one 10-byte file each."""
    return Listed(
        tally=Tally(files=batches, bytes=10 * batches, failed=failed),
        plans=(Plan(plan, batches),),
        portions=tuple(Portion(plan, number) for number in range(portions)),
        advanced=True,
    ).to_json()


def copied(_: Any) -> dict[str, Any]:
    """What E2_CopyFileToBlob answers of a file."""
    return Copied(tally=Tally(files=1, bytes=10), advanced=True).to_json()


def failed(_: Any) -> dict[str, Any]:
    """What E2_CopyFileToBlob answers of a file that cannot be saved."""
    return Copied(tally=Tally(failed=1), advanced=True).to_json()


def found(findings: Findings, size: int = 1_000) -> dict[str, Any]:
    """What E2_VerifyManifest answers."""
    return Compared(findings=findings, root_id="0123", size=size).to_json()


FINDINGS = Findings(checked=1, bytes=10)
GOOD_END: dict[str, Activity] = {
    names.WRITE_MANIFEST: lambda _: written(),
    names.VERIFY_MANIFEST: lambda _: found(FINDINGS),
}


def written(*named: str, failed: int = 0, vanished: int = 0, files: int = 1) -> dict[str, Any]:
    """What the manifest's writer says."""
    tally = Tally(files=files, failed=failed, vanished=vanished)
    return Written(manifest="run/manifest.ndjson", tally=tally, named=named).to_json()


def flat(batches: int) -> dict[str, Activity]:
    """A tree that one listing finds whole, and that is saved."""
    return {names.GET_FILE_LIST: lambda _: listing("p", batches), names.COPY_FILE_TO_BLOB: copied, **GOOD_END}


def status_of(phase: str, files: dict[str, int], done: int, **more: Any) -> dict[str, Any]:
    """A custom status; files are 10 bytes each."""
    counts = {"total": 0, "done": 0, "failed": 0, "vanished": 0, "skipped": 0} | files
    sizes = {"total": 10 * counts["total"], "done": 10 * done}
    return {"phase": phase, "files": counts, "bytes": sizes, "links": 0, "emptyDirectories": 0} | more


def backup(activities: Mapping[str, Activity], seed: int = 0) -> tuple[Hub, Instance]:
    hub = Hub(activities, seed)
    return hub, hub.run(names.BACKUP_SITE_CONTENT, "/site")


def down() -> dict[str, Any]:
    """What an activity answers that a trouble kept from doing anything."""
    return Answer(troubles=("storage is down",)).to_json()


@pytest.mark.parametrize("batches", [1, 20, 21, 100, 101, 256])
def test_every_batch_is_copied_once_and_the_output_is_the_sum_of_bytes(batches: int) -> None:
    seen: list[tuple[str, int]] = []

    def copy(request: dict[str, Any]) -> dict[str, Any]:
        seen.append((request["plan"], request["batch"]))
        return copied(request)

    hub, run = backup({**flat(batches), names.COPY_FILE_TO_BLOB: copy})
    assert run.output == 10 * batches
    assert sorted(seen) == [("p", batch) for batch in range(batches)]
    assert max(instance.longest_history for instance in hub.instances) <= MOST_EVENTS


def test_progress_is_reported_in_steps_of_5_percent_or_less() -> None:
    _, run = backup(flat(256))
    done = [status["files"]["done"] for status in run.statuses if status["phase"] == "copying"]
    assert max(after - before for before, after in itertools.pairwise(done)) <= 256 * 0.055
    assert run.statuses[0] == status_of("listing", {}, 0)
    assert run.statuses[-1] == status_of(
        "done", {"total": 256, "done": 256}, 256, manifest="backup-runs/run/manifest.ndjson"
    )


def test_listing_goes_on_in_rounds_and_then_in_sub_orchestrations_until_nothing_is_left() -> None:
    asked: list[list[Any]] = []

    def get_file_list(request: dict[str, Any]) -> dict[str, Any]:
        portions = request.get("portions", [])
        asked.append(portions)
        depth = portions[0][0].count("x") if portions else 0
        plan = "x" * (depth + 1) + str(len(asked))
        return listing(plan, 1, portions=3 if depth < 4 else 0)

    hub, run = backup({**flat(0), names.GET_FILE_LIST: get_file_list})
    portions = [tuple(portion) for hand in asked for portion in hand]
    assert asked[0] == []
    assert len(portions) == len(set(portions)) == 3 + 9 + 27 + 81
    assert run.output == 10 * len(asked)
    assert any(instance.name == names.LIST_TREE for instance in hub.instances)
    assert max(instance.longest_history for instance in hub.instances) <= MOST_EVENTS


def test_failed_files_do_not_stop_the_others_and_the_run_ends_failed_naming_them() -> None:
    def copy(request: dict[str, Any]) -> dict[str, Any]:
        return failed(request) if request["batch"] % 10 == 0 else copied(request)

    report = written(*(f"f{n}: Permission denied" for n in range(10)), failed=12)
    activities: dict[str, Activity] = {
        **flat(120),
        names.COPY_FILE_TO_BLOB: copy,
        names.WRITE_MANIFEST: lambda _: report,
    }
    _, run = backup(activities)
    assert run.failure == (
        f"12 of 120 entries were not backed up: {'; '.join(report['named'])}; and 2 more. "
        "All outcomes: backup-runs/run/manifest.ndjson."
    )
    assert run.statuses[-1] == status_of(
        "done", {"total": 120, "done": 108, "failed": 12}, 108, manifest="backup-runs/run/manifest.ndjson"
    )

    partial = Hub(activities).run(names.BACKUP_SITE_CONTENT, {"rootDirectory": "/site", "allowPartial": True})
    assert (partial.failure, partial.output) == (None, 1_080)
    assert partial.statuses[-1]["files"]["failed"] == 12


def test_a_vanished_file_is_counted_and_is_no_failure() -> None:
    _, run = backup({**flat(1), names.COPY_FILE_TO_BLOB: lambda _: Copied(tally=Tally(vanished=1)).to_json()})
    assert run.failure is None
    assert run.output == 0
    assert run.statuses[-1]["files"]["vanished"] == 1


def test_a_permanent_error_ends_the_run_without_a_retry() -> None:
    calls: list[Any] = []

    def get_file_list(request: Any) -> dict[str, Any]:
        calls.append(request)
        return Answer(errors=("'/site' does not exist.",)).to_json()

    _, run = backup({names.GET_FILE_LIST: get_file_list})
    assert run.failure == "'/site' does not exist."
    assert len(calls) == 1


def test_what_fails_for_a_while_is_done_again_until_it_is_done_and_nothing_else_is() -> None:
    calls: dict[int, int] = {}

    def copy(request: dict[str, Any]) -> dict[str, Any]:
        batch = request["batch"]
        calls[batch] = calls.get(batch, 0) + 1
        return down() if batch in (7, 150) and calls[batch] < 5 else copied(request)

    hub, run = backup({**flat(200), names.COPY_FILE_TO_BLOB: copy})
    assert run.output == 2_000
    assert calls == {batch: 5 if batch in (7, 150) else 1 for batch in range(200)}
    waiting = [status["waitingFor"] for status in run.statuses if "waitingFor" in status]
    assert waiting
    assert all("storage is down" in text for text in waiting)
    assert "waitingFor" not in run.statuses[-1]
    assert max(instance.longest_history for instance in hub.instances) <= MOST_EVENTS


def test_a_batch_that_is_copied_again_learns_how_often_the_run_has_waited() -> None:
    waits: list[int] = []

    def copy(request: dict[str, Any]) -> dict[str, Any]:
        if request["batch"] != 150:
            return copied(request)
        waits.append(request.get("waits", 0))
        return down() if len(waits) < 4 else copied(request)

    _, run = backup({**flat(200), names.COPY_FILE_TO_BLOB: copy})
    assert (run.output, waits) == (2_000, [0, 1, 2, 3])


def test_what_still_does_not_answer_when_the_last_wait_is_over_is_to_fail_and_the_run_goes_on() -> None:
    asked: list[tuple[bool, bool]] = []

    def get_file_list(request: dict[str, Any]) -> dict[str, Any]:
        if "portions" not in request:
            return listing("p", 30, portions=1)
        asked.append((request.get("last", False), True))
        return listing("q", 0, failed=1) if request.get("last") else down()

    def copy(request: dict[str, Any]) -> dict[str, Any]:
        if request["batch"] != 7:
            return copied(request)
        asked.append((request.get("last", False), False))
        return failed(request) if request.get("last") else down()

    activities: dict[str, Activity] = {
        **flat(0),
        names.GET_FILE_LIST: get_file_list,
        names.COPY_FILE_TO_BLOB: copy,
        names.WRITE_MANIFEST: lambda _: written("d: Input/output error", "f: Input/output error", failed=2),
    }
    _, run = backup(activities)
    assert run.failure is not None
    assert run.failure.startswith("2 of 31 entries were not backed up: d: Input/output error; f: Input")
    assert asked == [*[(n == len(WAITS), kind) for kind in (True, False) for n in range(len(WAITS) + 1)]]


@pytest.mark.parametrize("broken", [names.GET_FILE_LIST, names.COPY_FILE_TO_BLOB, names.VERIFY_MANIFEST])
def test_what_fails_for_too_long_ends_the_run_with_its_cause(broken: str) -> None:
    calls = 0

    def fail(_: Any) -> Any:
        nonlocal calls
        calls += 1
        return down()

    _, run = backup({**flat(1), broken: fail})
    assert run.failure == "Gave up after waiting 705 seconds in all: storage is down"
    assert calls == len(WAITS) + 1


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

    activities = flat(5)
    _, run = backup({name: lose(answer) for name, answer in activities.items()})
    assert (run.failure, run.output) == (None, 50)
    assert set(lost.values()) == {4}
    assert not any("waitingFor" in status for status in run.statuses)


def test_an_activity_that_ends_without_a_word_time_and_again_ends_the_run_with_words() -> None:
    def lose(_: Any) -> Any:
        raise RuntimeError

    _, run = backup({**flat(1), names.COPY_FILE_TO_BLOB: lose})
    assert run.failure == "Gave up after waiting 705 seconds in all: A part of the run ended without a word."


def test_a_run_that_gives_up_writes_the_manifest_of_what_it_saved() -> None:
    asked: list[dict[str, Any]] = []

    def copy(request: dict[str, Any]) -> dict[str, Any]:
        return down() if request["batch"] == 3 else copied(request)

    def write(request: dict[str, Any]) -> dict[str, Any]:
        asked.append(request)
        return written(failed=1)

    _, run = backup({**flat(40), names.COPY_FILE_TO_BLOB: copy, names.WRITE_MANIFEST: write})
    assert run.failure == "Gave up after waiting 705 seconds in all: storage is down"
    (request,) = asked
    assert request["gave_up"] == run.failure
    assert [plan[:2] for plan in request["plans"]] == [["p", 40]]
    assert run.statuses[-1]["manifest"] == "backup-runs/run/manifest.ndjson"
    assert run.statuses[-1]["files"]["done"] == 39
    assert "waitingFor" not in run.statuses[-1]


def test_a_run_that_gives_up_listing_hands_on_what_was_not_listed() -> None:
    asked: list[dict[str, Any]] = []

    def get_file_list(request: dict[str, Any]) -> dict[str, Any]:
        return down() if request.get("portions") == [["p", 1]] else listing("p", 3, portions=2)

    def write(request: dict[str, Any]) -> dict[str, Any]:
        asked.append(request)
        return written(failed=1)

    def first(request: dict[str, Any]) -> dict[str, Any]:
        return listing("q", 1) if request.get("portions") == [["p", 0]] else get_file_list(request)

    _, run = backup({**flat(0), names.GET_FILE_LIST: first, names.WRITE_MANIFEST: write})
    assert run.failure == "Gave up after waiting 705 seconds in all: storage is down"
    assert asked[0]["portions"] == [["p", 1]]
    assert [plan[0] for plan in asked[0]["plans"]] == ["p", "q"]


def test_a_directory_that_never_answers_does_not_keep_the_others_from_being_saved() -> None:
    def get_file_list(request: dict[str, Any]) -> dict[str, Any]:
        return down() if request.get("portions") else listing("p", 40, portions=1)

    _, run = backup({**flat(0), names.GET_FILE_LIST: get_file_list})
    assert run.failure == "Gave up after waiting 705 seconds in all: storage is down"
    assert run.statuses[-1]["files"]["done"] == 40


def test_what_an_error_kept_from_being_listed_is_handed_on_too() -> None:
    asked: list[dict[str, Any]] = []

    def get_file_list(request: dict[str, Any]) -> dict[str, Any]:
        portions = request.get("portions")
        if portions == [["p", 1]]:
            return Answer(errors=("It is another tree.",)).to_json()
        return listing("q", 1) if portions else listing("p", 3, portions=2)

    def write(request: dict[str, Any]) -> dict[str, Any]:
        asked.append(request)
        return written(failed=1)

    _, run = backup({**flat(0), names.GET_FILE_LIST: get_file_list, names.WRITE_MANIFEST: write})
    assert run.failure == "It is another tree."
    assert asked[0]["portions"] == [["p", 1]]


def test_an_error_in_the_middle_of_a_run_does_not_throw_it_away() -> None:
    asked: list[dict[str, Any]] = []

    def copy(request: dict[str, Any]) -> dict[str, Any]:
        wrong = Answer(errors=("Storage refuses the app's credentials.",)).to_json()
        return wrong if request["batch"] == 3 else copied(request)

    def write(request: dict[str, Any]) -> dict[str, Any]:
        asked.append(request)
        return written(failed=1)

    _, run = backup({**flat(40), names.COPY_FILE_TO_BLOB: copy, names.WRITE_MANIFEST: write})
    assert run.failure == "Storage refuses the app's credentials."
    assert len(asked) == 1


def test_a_root_with_nothing_to_save_fails_the_run_unless_that_is_allowed() -> None:
    _, run = backup(flat(0))
    assert run.failure == (
        "There is nothing to back up: '/site' is empty, or the patterns leave nothing of it."
        " Set allowEmpty if that is right."
    )
    allowed = Hub(flat(0)).run(names.BACKUP_SITE_CONTENT, {"rootDirectory": "/site", "allowEmpty": True})
    assert (allowed.failure, allowed.output) == (None, 0)


def test_a_tree_of_which_more_than_half_vanished_fails_the_run() -> None:
    activities: dict[str, Activity] = {
        **flat(102),
        names.COPY_FILE_TO_BLOB: lambda request: (
            copied(request) if request["batch"] < 2 else Copied(tally=Tally(vanished=1)).to_json()
        ),
        names.WRITE_MANIFEST: lambda _: written(vanished=100),
    }
    for request in ("/site", {"rootDirectory": "/site", "allowPartial": True}):
        run = Hub(activities).run(names.BACKUP_SITE_CONTENT, request)
        assert run.failure == "100 of 102 entries vanished while the backup ran: more than half."


def test_a_run_that_saved_nothing_fails_even_if_a_partial_backup_is_allowed() -> None:
    activities: dict[str, Activity] = {
        **flat(3),
        names.COPY_FILE_TO_BLOB: failed,
        names.WRITE_MANIFEST: lambda _: written("a: Permission denied", failed=3, files=0),
    }
    run = Hub(activities).run(names.BACKUP_SITE_CONTENT, {"rootDirectory": "/site", "allowPartial": True})
    assert run.failure is not None
    assert run.failure.startswith("3 of 3 entries were not backed up: a: Permission denied")


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

    _, run = backup({**flat(1), names.COPY_FILE_TO_BLOB: lose})
    assert run.failure == f"Gave up after waiting 705 seconds in all: {expected}"
    assert {status["waitingFor"] for status in run.statuses if "waitingFor" in status} == {expected}


@pytest.mark.parametrize(
    ("batches", "failures", "fail"),
    [(24, 6, down), (24, 14, lambda: 1 / 0), (200, 6, down), (200, 14, lambda: 1 / 0)],
)
def test_no_history_grows_beyond_bounds_while_storage_fails(
    batches: int, failures: int, fail: Callable[[], Any]
) -> None:
    calls: dict[int, int] = {}

    def copy(request: dict[str, Any]) -> Any:
        batch = request["batch"]
        calls[batch] = calls.get(batch, 0) + 1
        return fail() if calls[batch] <= failures else copied(request)

    hub, run = backup({**flat(batches), names.COPY_FILE_TO_BLOB: copy})
    assert run.output == 10 * batches
    assert max(instance.longest_history for instance in hub.instances) <= MOST_EVENTS


def outages(of: int) -> Activity:
    """A copy activity in `of` outages, each of which ends with one more batch done."""
    calls: dict[int, int] = {}

    def copy(request: dict[str, Any]) -> dict[str, Any]:
        batch = request["batch"]
        calls[batch] = calls.get(batch, 0) + 1
        return down() if batch < of and calls[batch] <= batch + 1 else copied(request)

    return copy


def test_outages_that_let_something_be_done_in_between_do_not_add_up_to_one() -> None:
    many = 4 * len(WAITS)
    hub, run = backup({**flat(many), names.COPY_FILE_TO_BLOB: outages(many)})
    assert (run.failure, run.output) == (None, 10 * many)
    assert max(instance.longest_history for instance in hub.instances) <= MOST_EVENTS


def test_an_outage_after_work_that_met_none_is_waited_for_as_a_new_one() -> None:
    calls = 0

    def copy(request: Any) -> dict[str, Any]:
        nonlocal calls
        calls += 1
        return down() if calls < len(WAITS) else copied(request)

    _, run = backup({**flat(1), names.COPY_FILE_TO_BLOB: copy, names.VERIFY_MANIFEST: lambda _: down()})
    waited = sum(WAITS[:-1]) + sum(WAITS)
    assert run.failure == f"Gave up after waiting {waited} seconds in all: storage is down"


def test_even_a_run_that_gets_ahead_does_not_wait_for_ever() -> None:
    many = MOST_WAITS + 1
    hub, run = backup({**flat(many), names.COPY_FILE_TO_BLOB: outages(many)})
    assert run.failure is not None
    assert run.failure.startswith(f"Gave up after waiting {WAITS[0] * MOST_WAITS} seconds in all: ")
    assert max(instance.longest_history for instance in hub.instances) <= MOST_EVENTS


def test_no_event_grows_with_the_tree_while_storage_fails() -> None:
    calls = 0

    def copy(request: Any) -> Any:
        nonlocal calls
        calls += 1
        return down() if calls <= 400 else copied(request)

    hub, run = backup({**flat(400), names.COPY_FILE_TO_BLOB: copy})
    assert run.output == 4_000
    assert max(event.ByteSize() for instance in hub.instances for event in instance.history) < 2_000


def test_a_deep_verification_sits_out_what_fails_for_a_while() -> None:
    calls = 0

    def read_back(_: Any) -> dict[str, Any]:
        nonlocal calls
        calls += 1
        return down() if calls < 6 else read(checked=1, bytes=5)

    _, run = verify({names.VERIFY_BLOBS: read_back}, {"instanceId": "0123", "deep": True})
    assert (run.failure, run.output["checked"]) == (None, 1)


def test_a_listing_that_fails_for_a_while_loses_no_part_of_the_tree() -> None:
    asked: list[Any] = []

    def get_file_list(request: dict[str, Any]) -> dict[str, Any]:
        portions = request.get("portions", [])
        asked.append(portions)
        if asked.count(portions) < 4:
            return down()
        depth = portions[0][0].count("x") if portions else 0
        return listing("x" * (depth + 1) + str(len(asked)), 1, portions=2 if depth < 3 else 0)

    _, run = backup({**flat(0), names.GET_FILE_LIST: get_file_list})
    assert run.failure is None
    assert run.output == 10 * (1 + 2 + 4 + 8)


def test_a_container_that_is_not_what_the_manifest_says_fails_the_run() -> None:
    wrong = Findings(checked=9, missing=1, changed=1, named=("a is missing", "b has another MD5"))
    _, run = backup({**flat(9), names.VERIFY_MANIFEST: lambda _: found(wrong)})
    assert run.failure == "2 of 9 blobs are not what was saved: a is missing; b has another MD5."


def read(**findings: Any) -> dict[str, Any]:
    """What E2_VerifyBlobs answers."""
    return ReadBack(findings=Findings(**findings), advanced=True).to_json()


def verify(activities: Mapping[str, Activity], request: Any) -> tuple[Hub, Instance]:
    hub = Hub({**GOOD_END, **activities}, keep_turns=False)
    return hub, hub.run(names.VERIFY_BACKUP, request)


def test_a_verification_answers_with_what_it_found() -> None:
    _, run = verify({}, "0123")
    assert run.output == {"checked": 1, "bytes": 10, "missing": 0, "changed": 0, "extra": 0, "named": []}


@pytest.mark.parametrize("size", [1, 300_000, 100 * 256 * 1024, 100 * 256 * 1024 + 1, 400 * 256 * 1024])
def test_a_deep_verification_reads_every_byte_of_the_manifest_once(size: int) -> None:
    ranges: list[tuple[int, int]] = []

    def read_back(request: dict[str, Any]) -> dict[str, Any]:
        ranges.extend((begin, begin + count) for _, begin, count in request["spans"])
        return read(checked=1, bytes=5)

    activities: dict[str, Activity] = {
        names.VERIFY_MANIFEST: lambda _: found(Findings(checked=1, extra=3), size),
        names.VERIFY_BLOBS: read_back,
    }
    hub, run = verify(activities, {"instanceId": "0123", "deep": True})
    ranges.sort()
    assert [first for first, _ in ranges] == [0, *(last for _, last in ranges[:-1])]
    assert ranges[-1][1] == size
    assert run.output["checked"] == len(ranges)
    assert (run.output["bytes"], run.output["extra"]) == (5 * len(ranges), 3)
    assert max(instance.longest_history for instance in hub.instances) <= MOST_EVENTS


def test_a_verification_that_finds_trouble_fails_and_names_it() -> None:
    trouble = read(checked=5, changed=1, named=("a has another content",))
    _, run = verify({names.VERIFY_BLOBS: lambda _: trouble}, {"instanceId": "0123", "deep": True})
    assert run.failure == "1 of 5 blobs are not what was saved: a has another content."


@pytest.mark.parametrize("seed", range(3))
def test_replayed_from_any_point_of_its_history_each_orchestrator_makes_the_same_calls(seed: int) -> None:
    plans, dice = itertools.count(), itertools.count(seed)

    def get_file_list(request: dict[str, Any]) -> dict[str, Any]:
        portions = request.get("portions", [])
        depth = portions[0][0].count("x") if portions else 0
        return listing(f"{'x' * (depth + 1)}{next(plans)}", 8, portions=3 if depth < 3 else 0, failed=1)

    def copy(request: dict[str, Any]) -> dict[str, Any]:
        if next(dice) % 13 == 0:
            raise RuntimeError("not now")
        return copied(request)

    activities: dict[str, Activity] = {
        names.GET_FILE_LIST: get_file_list,
        names.COPY_FILE_TO_BLOB: copy,
        names.VERIFY_BLOBS: lambda _: read(checked=1),
        **GOOD_END,
    }
    hub = Hub(activities, seed)
    hub.run(names.BACKUP_SITE_CONTENT, {"rootDirectory": "/site"})
    hub.run(names.VERIFY_BACKUP, {"instanceId": "run", "deep": True}, "verification")
    hub.run(names.VERIFY_CONTENTS, {"run": "verification", "spans": [("run", 0, 3_000_000)]}, "contents")
    assert {instance.name for instance in hub.instances} == set(ORCHESTRATORS)
    for instance in hub.instances:
        for turn in instance.turns:
            actions, status = hub.execute(instance.id, turn.old, turn.new)
            assert [action.SerializeToString(deterministic=True) for action in actions] == turn.actions
            assert status == turn.status


def test_no_activity_is_called_without_a_retry_policy() -> None:
    def fail_once(answer: Any) -> Activity:
        failed: list[Any] = []

        def activity(request: Any) -> Any:
            if request not in failed:
                failed.append(request)
                raise RuntimeError("once")
            return answer

        return activity

    activities = {
        names.GET_FILE_LIST: fail_once(listing("p", 3)),
        names.COPY_FILE_TO_BLOB: fail_once(failed(None)),
        names.WRITE_MANIFEST: fail_once(written("a: b", failed=3)),
        names.VERIFY_MANIFEST: fail_once(found(FINDINGS)),
    }
    _, run = backup(activities)
    assert run.failure is not None
    assert run.failure.startswith("3 of 3 entries were not backed up: a: b")
    assert not any("waitingFor" in status for status in run.statuses)
