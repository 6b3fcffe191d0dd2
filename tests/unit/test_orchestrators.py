"""The orchestrations, driven by Microsoft's replay engine, one turn a completed task."""

import itertools
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sitebackup import names, orchestrators
from sitebackup.orchestrators import deal, split
from sitebackup.registry import ORCHESTRATORS
from tests.support.hub import Activity, Hub, Instance

MOST_EVENTS = 1_000


def listing(plan: str, tasks: int, left: int = 0, **tally: Any) -> dict[str, Any]:
    """What E2_GetFileList answers: `tasks` copy tasks of one 10-byte file each."""
    return {
        "files": tasks,
        "bytes": 10 * tasks,
        "plans": [[plan, tasks]],
        "left": [[plan, part] for part in range(left)],
        **tally,
    }


def copied(_: Any) -> dict[str, Any]:
    return {"files": 1, "bytes": 10}


def flat(tasks: int) -> dict[str, Activity]:
    """A tree that one listing finds whole."""
    return {names.GET_FILE_LIST: lambda _: listing("p", tasks), names.COPY_FILE_TO_BLOB: copied}


def backup(activities: Mapping[str, Activity], seed: int = 0) -> tuple[Hub, Instance]:
    hub = Hub(activities, seed)
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
    assert max(len(instance.history) for instance in hub.instances) <= MOST_EVENTS


def test_progress_is_reported_in_steps_of_5_percent_or_less() -> None:
    _, run = backup(flat(256))
    done = [status["files"]["done"] for status in run.statuses if status["phase"] == "copying"]
    assert max(after - before for before, after in itertools.pairwise(done)) <= 256 * 0.055
    assert run.statuses[0] == {
        "phase": "listing",
        "files": {"total": 0, "done": 0, "failed": 0, "vanished": 0, "skipped": 0},
        "bytes": {"total": 0, "done": 0},
    }
    assert run.statuses[-1] == {
        "phase": "done",
        "files": {"total": 256, "done": 256, "failed": 0, "vanished": 0, "skipped": 0},
        "bytes": {"total": 2_560, "done": 2_560},
    }


def test_listing_goes_on_in_rounds_and_then_in_sub_orchestrations_until_nothing_is_left() -> None:
    asked: list[list[Any]] = []

    def get_file_list(request: dict[str, Any]) -> dict[str, Any]:
        asked.append(request["left"])
        depth = request["left"][0][0].count("x") if request["left"] else 0
        plan = "x" * (depth + 1) + str(len(asked))
        return listing(plan, 1, left=3 if depth < 4 else 0)

    hub, run = backup({names.GET_FILE_LIST: get_file_list, names.COPY_FILE_TO_BLOB: copied})
    parts = [tuple(part) for left in asked for part in left]
    assert asked[0] == []
    assert len(parts) == len(set(parts)) == 3 + 9 + 27 + 81
    assert run.output == 10 * len(asked)
    assert any(instance.name == names.LIST_TREE for instance in hub.instances)
    assert max(len(instance.history) for instance in hub.instances) <= MOST_EVENTS


def test_failed_files_do_not_stop_the_others_and_the_run_ends_failed_naming_them() -> None:
    def copy(request: dict[str, Any]) -> dict[str, Any]:
        return {"failed": 1} if request["task"] % 10 == 0 else copied(request)

    report = {"named": [f"f{n}: Permission denied" for n in range(10)]}
    _, run = backup({**flat(120), names.COPY_FILE_TO_BLOB: copy, names.REPORT_FAILURES: lambda _: report})
    assert run.failure == (
        f"12 of 120 files were not backed up: {'; '.join(report['named'])}; and 2 more. "
        "All outcomes: container backup-runs, run/outcomes/."
    )
    assert run.statuses[-1]["files"] == {"total": 120, "done": 108, "failed": 12, "vanished": 0, "skipped": 0}


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


def test_an_activity_that_raises_is_retried_and_the_others_are_waited_for() -> None:
    calls: dict[int, int] = {}

    def copy(request: dict[str, Any]) -> dict[str, Any]:
        task = request["task"]
        calls[task] = calls.get(task, 0) + 1
        if task == 7 or (task == 8 and calls[task] < 3):
            raise RuntimeError("storage is down")
        return copied(request)

    hub, run = backup({**flat(20), names.COPY_FILE_TO_BLOB: copy})
    assert run.failure is not None
    assert "storage is down" in run.failure
    assert calls == {task: {7: 8, 8: 3}.get(task, 1) for task in range(20)}
    assert run.statuses[-1]["files"]["done"] == 19
    assert max(len(instance.history) for instance in hub.instances) <= MOST_EVENTS


@pytest.mark.parametrize("seed", range(3))
def test_replayed_from_any_point_of_its_history_each_orchestrator_makes_the_same_calls(seed: int) -> None:
    plans = itertools.count()

    def get_file_list(request: dict[str, Any]) -> dict[str, Any]:
        depth = request["left"][0][0].count("x") if request["left"] else 0
        return listing(f"{'x' * (depth + 1)}{next(plans)}", 8, left=3 if depth < 3 else 0, failed=1)

    def copy(request: dict[str, Any]) -> dict[str, Any]:
        if (request["task"] * 7 + seed) % 13 == 0:
            raise RuntimeError("not now")
        return copied(request)

    hub = Hub(
        {
            names.GET_FILE_LIST: get_file_list,
            names.COPY_FILE_TO_BLOB: copy,
            names.REPORT_FAILURES: lambda _: {"named": ["a: b"]},
        },
        seed,
    )
    hub.run(names.BACKUP_SITE_CONTENT, {"rootDirectory": "/site"})
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
        names.REPORT_FAILURES: fail_once({"named": ["a: b"]}),
    }
    _, run = backup(activities)
    assert run.failure is not None
    assert run.failure.startswith("3 of 3 files were not backed up: a: b")


@given(st.lists(st.integers()), st.integers(1, 40))
def test_dealing_gives_every_item_to_one_hand_and_no_hand_is_empty(items: list[int], hands: int) -> None:
    dealt = deal(items, hands)
    assert sorted(item for hand in dealt for item in hand) == sorted(items)
    assert len(dealt) <= hands
    assert all(dealt)


@given(st.lists(st.tuples(st.text(max_size=3), st.integers(0, 9), st.integers(0, 50))), st.integers(1, 40))
def test_splitting_keeps_every_copy_task_in_order_and_fills_every_part_but_the_last(
    shares: list[orchestrators.Share], size: int
) -> None:
    def tasks(part: list[orchestrators.Share]) -> list[tuple[str, int]]:
        return [(plan, task) for plan, first, count in part for task in range(first, first + count)]

    parts = split(shares, size)
    assert [task for part in parts for task in tasks(part)] == tasks(shares)
    assert all(len(tasks(part)) == size for part in parts[:-1])
    assert all(0 < len(tasks(part)) <= size for part in parts[-1:])
