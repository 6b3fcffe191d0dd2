"""The orchestrations, driven by Microsoft's replay engine, one turn a completed task."""

import itertools
from collections.abc import Mapping
from typing import Any

import pytest

from sitebackup import names
from sitebackup.orchestrations.backup import ATTEMPTS, FAN_OUT, MOST_WAITS, WAITS
from sitebackup.registry import ORCHESTRATORS
from tests.support.hub import Activity, Hub, Instance

MOST_EVENTS = 1_000
MOST_EVENTS_WITH_RETRIES = MOST_EVENTS + 8 * FAN_OUT * (ATTEMPTS - 2)
"""Where every activity of one instance is tried as often as the retry policy has it: 8 events a retry."""


def listing(plan: str, tasks: int, left: int = 0, **tally: Any) -> dict[str, Any]:
    """What E2_GetFileList answers: `tasks` copy tasks of one 10-byte file each."""
    return {
        "files": tasks,
        "bytes": 10 * tasks,
        "plans": [[plan, tasks, False]],
        "left": [[plan, part] for part in range(left)],
        **tally,
    }


def copied(_: Any) -> dict[str, Any]:
    return {"files": 1, "bytes": 10}


FINDINGS: dict[str, Any] = {
    "checked": 1,
    "bytes": 10,
    "missing": 0,
    "changed": 0,
    "extra": 0,
    "named": [],
    "size": 1_000,
}
GOOD_END: dict[str, Activity] = {
    names.WRITE_MANIFEST: lambda _: written(),
    names.VERIFY_MANIFEST: lambda _: dict(FINDINGS),
}


def written(*named: str, failed: int = 0) -> dict[str, Any]:
    """What the manifest's writer says."""
    return {"manifest": "run/manifest.ndjson", "failed": failed, "named": list(named)}


def flat(tasks: int) -> dict[str, Activity]:
    """A tree that one listing finds whole, and that is saved."""
    return {names.GET_FILE_LIST: lambda _: listing("p", tasks), names.COPY_FILE_TO_BLOB: copied, **GOOD_END}


def status_of(phase: str, files: dict[str, int], done: int, **more: Any) -> dict[str, Any]:
    """A custom status; files are 10 bytes each."""
    counts = {"total": 0, "done": 0, "failed": 0, "vanished": 0, "skipped": 0} | files
    sizes = {"total": 10 * counts["total"], "done": 10 * done}
    return {"phase": phase, "files": counts, "bytes": sizes, "links": 0, "emptyDirectories": 0} | more


def backup(activities: Mapping[str, Activity], seed: int = 0, *, at_once: int = 1) -> tuple[Hub, Instance]:
    hub = Hub(activities, seed, at_once=at_once)
    return hub, hub.run(names.BACKUP_SITE_CONTENT, "/site")


@pytest.mark.parametrize("tasks", [0, 1, 20, 21, 100, 101, 256])
def test_every_copy_task_runs_once_and_the_output_is_the_sum_of_bytes(tasks: int) -> None:
    seen: list[tuple[str, int]] = []

    def copy(request: dict[str, Any]) -> dict[str, Any]:
        seen.append((request["plan"], request["task"]))
        return copied(request)

    hub, run = backup({**flat(tasks), names.COPY_FILE_TO_BLOB: copy})
    assert run.output == 10 * tasks
    assert sorted(seen) == [("p", task) for task in range(tasks)]
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
        asked.append(request["left"])
        depth = request["left"][0][0].count("x") if request["left"] else 0
        plan = "x" * (depth + 1) + str(len(asked))
        return listing(plan, 1, left=3 if depth < 4 else 0)

    hub, run = backup({**flat(0), names.GET_FILE_LIST: get_file_list})
    parts = [tuple(part) for left in asked for part in left]
    assert asked[0] == []
    assert len(parts) == len(set(parts)) == 3 + 9 + 27 + 81
    assert run.output == 10 * len(asked)
    assert any(instance.name == names.LIST_TREE for instance in hub.instances)
    assert max(instance.longest_history for instance in hub.instances) <= MOST_EVENTS


def test_failed_files_do_not_stop_the_others_and_the_run_ends_failed_naming_them() -> None:
    def copy(request: dict[str, Any]) -> dict[str, Any]:
        return {"failed": 1} if request["task"] % 10 == 0 else copied(request)

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
    _, run = backup({**flat(1), names.COPY_FILE_TO_BLOB: lambda _: {"vanished": 1}})
    assert run.failure is None
    assert run.output == 0
    assert run.statuses[-1]["files"]["vanished"] == 1


def test_a_permanent_error_ends_the_run_without_a_retry() -> None:
    calls: list[Any] = []

    def get_file_list(request: Any) -> dict[str, Any]:
        calls.append(request)
        return {"errors": ["'/site' does not exist."]}

    _, run = backup({names.GET_FILE_LIST: get_file_list})
    assert run.failure == "'/site' does not exist."
    assert len(calls) == 1


def test_what_fails_for_a_while_is_done_again_until_it_is_done_and_nothing_else_is() -> None:
    calls: dict[int, int] = {}

    def copy(request: dict[str, Any]) -> dict[str, Any]:
        task = request["task"]
        calls[task] = calls.get(task, 0) + 1
        if task in (7, 150) and calls[task] <= 2 * ATTEMPTS:
            raise RuntimeError("storage is down")
        return copied(request)

    hub, run = backup({**flat(200), names.COPY_FILE_TO_BLOB: copy})
    assert run.output == 2_000
    assert calls == {task: 2 * ATTEMPTS + 1 if task in (7, 150) else 1 for task in range(200)}
    waiting = [status["waitingFor"] for status in run.statuses if "waitingFor" in status]
    assert waiting
    assert all("storage is down" in text for text in waiting)
    assert "waitingFor" not in run.statuses[-1]
    assert max(instance.longest_history for instance in hub.instances) <= MOST_EVENTS


@pytest.mark.parametrize(
    "broken", [names.GET_FILE_LIST, names.COPY_FILE_TO_BLOB, names.WRITE_MANIFEST, names.VERIFY_MANIFEST]
)
def test_what_fails_for_too_long_ends_the_run_with_its_cause(broken: str) -> None:
    calls = 0

    def fail(_: Any) -> Any:
        nonlocal calls
        calls += 1
        raise RuntimeError("storage is down")

    _, run = backup({**flat(1), broken: fail})
    assert run.failure is not None
    assert run.failure.startswith("Gave up after waiting 705 seconds in all: ")
    assert run.failure.endswith("storage is down")
    assert calls == ATTEMPTS * (len(WAITS) + 1)


@pytest.mark.parametrize(("tasks", "failures"), [(48, 5 * ATTEMPTS + 1), (200, 2 * ATTEMPTS + 1)])
def test_no_history_grows_beyond_bounds_while_storage_fails(tasks: int, failures: int) -> None:
    calls: dict[str, int] = {}

    def copy(request: Any) -> Any:
        key = str(request)
        calls[key] = calls.get(key, 0) + 1
        if calls[key] <= failures:
            raise RuntimeError("storage is down")
        return copied(request)

    hub, run = backup({**flat(tasks), names.COPY_FILE_TO_BLOB: copy}, at_once=16)
    assert run.output == 10 * tasks
    assert max(instance.longest_history for instance in hub.instances) <= MOST_EVENTS_WITH_RETRIES


def outages(of: int) -> Activity:
    """A copy activity in `of` outages, each of which ends with one more task done."""
    calls: dict[int, int] = {}

    def copy(request: dict[str, Any]) -> dict[str, Any]:
        task = request["task"]
        calls[task] = calls.get(task, 0) + 1
        if task < of and calls[task] <= ATTEMPTS * (task + 1):
            raise RuntimeError("storage is down")
        return copied(request)

    return copy


def test_outages_that_let_something_be_done_in_between_do_not_add_up_to_one() -> None:
    many = 4 * len(WAITS)
    hub, run = backup({**flat(many), names.COPY_FILE_TO_BLOB: outages(many)}, at_once=16)
    assert (run.failure, run.output) == (None, 10 * many)
    assert max(instance.longest_history for instance in hub.instances) <= MOST_EVENTS_WITH_RETRIES


def test_even_a_run_that_gets_ahead_does_not_wait_for_ever() -> None:
    many = MOST_WAITS + 1
    hub, run = backup({**flat(many), names.COPY_FILE_TO_BLOB: outages(many)}, at_once=16)
    assert run.failure is not None
    assert run.failure.startswith(f"Gave up after waiting {WAITS[0] * MOST_WAITS} seconds in all: ")
    assert max(instance.longest_history for instance in hub.instances) <= MOST_EVENTS_WITH_RETRIES


def test_no_event_grows_with_the_tree_while_storage_fails() -> None:
    calls = 0

    def copy(request: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls <= ATTEMPTS * 400:
            raise RuntimeError("storage is down")
        return copied(request)

    hub, run = backup({**flat(400), names.COPY_FILE_TO_BLOB: copy}, at_once=16)
    assert run.output == 4_000
    assert max(event.ByteSize() for instance in hub.instances for event in instance.history) < 2_000


def test_a_deep_verification_sits_out_what_fails_for_a_while() -> None:
    calls = 0

    def read_back(_: Any) -> dict[str, Any]:
        nonlocal calls
        calls += 1
        if calls <= 2 * ATTEMPTS + 1:
            raise RuntimeError("storage is down")
        return {"checked": 1, "bytes": 5}

    _, run = verify({names.VERIFY_BLOBS: read_back}, {"instanceId": "0123", "deep": True})
    assert (run.failure, run.output["checked"]) == (None, 1)


def test_a_listing_that_fails_for_a_while_loses_no_part_of_the_tree() -> None:
    asked: list[Any] = []

    def get_file_list(request: dict[str, Any]) -> dict[str, Any]:
        left = request["left"]
        asked.append(left)
        if asked.count(left) <= ATTEMPTS + 1:
            raise RuntimeError("storage is down")
        depth = left[0][0].count("x") if left else 0
        return listing("x" * (depth + 1) + str(len(asked)), 1, left=2 if depth < 3 else 0)

    _, run = backup({**flat(0), names.GET_FILE_LIST: get_file_list})
    assert run.failure is None
    assert run.output == 10 * (1 + 2 + 4 + 8)


def test_a_container_that_is_not_what_the_manifest_says_fails_the_run() -> None:
    found = FINDINGS | {
        "checked": 9,
        "missing": 1,
        "changed": 1,
        "named": ["a is missing", "b has another MD5"],
    }
    _, run = backup({**flat(9), names.VERIFY_MANIFEST: lambda _: dict(found)})
    assert run.failure == "2 of 9 blobs are not what was saved: a is missing; b has another MD5."


def verify(activities: Mapping[str, Activity], request: Any) -> tuple[Hub, Instance]:
    hub = Hub({**GOOD_END, **activities}, keep_turns=False)
    return hub, hub.run(names.VERIFY_BACKUP, request)


def test_a_verification_answers_with_what_it_found() -> None:
    _, run = verify({}, "0123")
    assert run.output == {key: value for key, value in FINDINGS.items() if key != "size"}


@pytest.mark.parametrize("size", [1, 300_000, 100 * 256 * 1024, 100 * 256 * 1024 + 1, 400 * 256 * 1024])
def test_a_deep_verification_reads_every_byte_of_the_manifest_once(size: int) -> None:
    ranges: list[tuple[int, int]] = []

    def read_back(request: dict[str, Any]) -> dict[str, Any]:
        ranges.extend((begin, begin + count) for _, begin, count in request["shares"])
        return {"checked": 1, "bytes": 5}

    activities: dict[str, Activity] = {
        names.VERIFY_MANIFEST: lambda _: FINDINGS | {"size": size, "extra": 3},
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
    trouble: Activity = lambda _: {"checked": 5, "changed": 1, "named": ["a has another content"]}  # noqa: E731
    _, run = verify({names.VERIFY_BLOBS: trouble}, {"instanceId": "0123", "deep": True})
    assert run.failure == "1 of 5 blobs are not what was saved: a has another content."


@pytest.mark.parametrize("seed", range(3))
def test_replayed_from_any_point_of_its_history_each_orchestrator_makes_the_same_calls(seed: int) -> None:
    plans, dice = itertools.count(), itertools.count(seed)

    def get_file_list(request: dict[str, Any]) -> dict[str, Any]:
        depth = request["left"][0][0].count("x") if request["left"] else 0
        return listing(f"{'x' * (depth + 1)}{next(plans)}", 8, left=3 if depth < 3 else 0, failed=1)

    def copy(request: dict[str, Any]) -> dict[str, Any]:
        if next(dice) % 13 == 0:
            raise RuntimeError("not now")
        return copied(request)

    activities: dict[str, Activity] = {
        names.GET_FILE_LIST: get_file_list,
        names.COPY_FILE_TO_BLOB: copy,
        names.VERIFY_BLOBS: lambda _: {"checked": 1},
        **GOOD_END,
    }
    hub = Hub(activities, seed)
    hub.run(names.BACKUP_SITE_CONTENT, {"rootDirectory": "/site"})
    hub.run(names.VERIFY_BACKUP, {"instanceId": "run", "deep": True}, "verification")
    hub.run(names.VERIFY_CONTENTS, {"shares": [("run", 0, 3_000_000)]}, "contents")
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
        names.COPY_FILE_TO_BLOB: fail_once({"failed": 1}),
        names.WRITE_MANIFEST: fail_once(written("a: b", failed=3)),
        names.VERIFY_MANIFEST: fail_once(dict(FINDINGS)),
    }
    _, run = backup(activities)
    assert run.failure is not None
    assert run.failure.startswith("3 of 3 entries were not backed up: a: b")
    assert not any("waitingFor" in status for status in run.statuses)
