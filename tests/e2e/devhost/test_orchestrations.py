"""Orchestrations in the local host: everything the hub must do for them, and what must not reach them."""

import os
from pathlib import Path

import psutil

from .hosts import WEBHOOKS, LocalHost, until


def test_activities_fan_out_and_their_results_come_back_in_order(durable: LocalHost) -> None:
    assert durable.run("FanOut", 200) == sum(range(200))
    values: list[object] = [None, True, 0, "", "text", "ü😀", [], {"a": [1.5]}]
    assert durable.run("EchoAll", values) == values


def test_an_orchestrator_sees_the_class_and_first_line_of_an_activitys_exception(durable: LocalHost) -> None:
    instance_id = durable.start("CatchFailure", "first line\nsecond line")
    assert durable.end(instance_id)["output"] == [
        f"{instance_id}: Activity task #1 failed: first line",
        "ValueError",
        "first line",
    ]


def test_an_exception_without_a_text_is_a_failure_too(durable: LocalHost) -> None:
    assert durable.run("CatchFailure", "")[1:] == ["ValueError", ""]


def test_an_unknown_activity_fails_without_a_word_and_the_log_has_the_reason(
    durable: LocalHost,
) -> None:
    assert durable.run("CallUnknown") == ""  # as in Azure
    logged = next(line for line in durable.output.splitlines() if "The function 'NoSuchActivity'" in line)
    assert "'Echo'" in logged


def test_an_unknown_orchestration_fails_and_the_known_ones_are_named(durable: LocalHost) -> None:
    document = durable.end(durable.start("NoSuchOrchestration"))
    assert document["runtimeStatus"] == "Failed"
    assert "The function 'NoSuchOrchestration' doesn't exist" in document["output"]
    assert "'FanOut'" in document["output"]


def test_a_retry_policy_runs_an_activity_again(durable: LocalHost, tmp_path: Path) -> None:
    assert durable.run("Retry", str(tmp_path / "attempts")) == 3


def test_a_sub_orchestration_gives_its_result_and_knows_its_parent(durable: LocalHost) -> None:
    assert durable.run("Parent", {"name": "FanOut", "id": "sub-fan", "input": 5}) == 10
    parent = durable.start("Parent", {"name": "ParentId", "id": "sub-parent-id"})
    assert durable.end(parent)["output"] == parent


def test_a_parent_sees_why_its_sub_orchestration_failed(durable: LocalHost) -> None:
    failure = durable.run("Parent", {"name": "Fail", "id": "sub-fail", "input": "no luck"})
    assert failure == ["builtins.ValueError", "no luck"]
    parent = durable.start("Parent", {"name": "WaitFor", "id": "sub-terminated", "input": "x"})
    durable.until_status("sub-terminated", "Running")
    assert durable.post("sub-terminated", "terminate", reason="enough") == 202
    assert durable.end(parent)["output"] == ["", ""]  # as in Azure


def test_waiting_takes_no_threads(durable: LocalHost) -> None:
    """Parents and timers are woken by events, so that they may wait for as long as they like."""
    host = psutil.Process(durable.process.pid)
    durable.run("Parent", {"name": "FanOut", "id": "sub-first", "input": 1})
    before = host.num_threads()
    children = [f"sub-wait-{number}" for number in range(20)]
    parents = [durable.start("Parent", {"name": "WaitFor", "id": child, "input": "go"}) for child in children]
    timers = [durable.start("Timers", [3600.0]) for _ in range(20)]
    for instance_id in [*children, *timers]:
        durable.until_status(instance_id, "Running")
    assert host.num_threads() <= before + 2
    for child in children:
        durable.raise_event(child, "go", child)
    assert [durable.end(parent)["output"] for parent in parents] == children
    for timer in timers:
        assert durable.post(timer, "terminate") == 202


def test_a_durable_client_may_wait_for_an_end(durable: LocalHost) -> None:
    instance_id = durable.start("Timers", [0.5])
    assert durable.http.get(f"/await/{instance_id}").text == "COMPLETED"


def test_timers_fire_when_due(durable: LocalHost) -> None:
    assert 0.4 <= durable.run("Timers", [0.1, 0.4, 0.2]) < 5


def test_continuing_as_new_starts_over_and_keeps_the_custom_status(durable: LocalHost) -> None:
    document = durable.end(durable.start("CountUp", {"n": 10}))
    assert (document["output"], document["customStatus"]) == (55, "counting")


def test_what_an_earlier_generation_left_behind_does_not_reach_the_next(
    durable: LocalHost, tmp_path: Path
) -> None:
    instance_id = durable.start("LeaveBehind", {"generation": 1, "directory": str(tmp_path)})
    durable.until_status(instance_id, "Running")
    until((tmp_path / "attempts").exists)
    (tmp_path / "release").touch()  # the first generation's activity ends, under the number of the second's
    assert durable.run("Timers", [0.4]) >= 0.4  # by now its timer has fired as well
    assert durable.status(instance_id)["runtimeStatus"] == "Running"
    (tmp_path / "second").touch()
    durable.raise_event(instance_id, "finish", None)
    assert durable.end(instance_id)["output"] == ["second", False]


def test_entities_keep_state_answer_and_fail(durable: LocalHost) -> None:
    instance_id = durable.start("UseCounter", [1, 2, 3])
    total, failure = durable.end(instance_id)["output"]
    assert (total, "no such luck" in failure) == (6, True)
    entity = f"/runtime/webhooks/durabletask/entities/Counter/{instance_id}"
    assert durable.http.get(entity).json() == 6
    assert durable.http.post(f"{entity}?op=add", json=10).status_code == 202
    until(lambda: durable.http.get(entity).json() == 16)
    listed = durable.http.get("/runtime/webhooks/durabletask/entities/counter?fetchState=true").json()
    assert {"name": "counter", "key": instance_id} in [document["entityId"] for document in listed]
    assert durable.http.get("/runtime/webhooks/durabletask/entities/Counter/nobody").status_code == 404


def test_terminating_is_a_message_that_has_yet_to_arrive(durable: LocalHost) -> None:
    instance_id = durable.start("WaitFor", "go")
    durable.until_status(instance_id, "Running")
    assert durable.post(instance_id, "terminate") == 202
    assert durable.status(instance_id)["runtimeStatus"] == "Running"
    assert durable.http.delete(f"{WEBHOOKS}/instances/{instance_id}").status_code == 412
    assert durable.http.post(f"{WEBHOOKS}/orchestrators/WaitFor/{instance_id}", json="go").status_code == 409
    assert durable.end(instance_id)["runtimeStatus"] == "Terminated"
    assert durable.http.delete(f"{WEBHOOKS}/instances/{instance_id}").status_code == 200


def test_activities_that_nobody_waits_for_are_run(durable: LocalHost, tmp_path: Path) -> None:
    """More of them than run at once, so that most have not begun when their orchestration ends."""
    count = 30 * (os.cpu_count() or 1)
    paths = [str(tmp_path / f"attempt-{number}") for number in range(count)]
    assert durable.run("FireAndForget", paths) == "gone"
    until(lambda: len(list(tmp_path.iterdir())) == count)


def test_a_terminated_instance_stays_so_whatever_its_activities_do(
    durable: LocalHost, tmp_path: Path
) -> None:
    instance_id = durable.start("Hold", str(tmp_path))
    until((tmp_path / "attempts").exists)
    assert durable.post(instance_id, "terminate", reason="enough") == 202
    document = durable.until_status(instance_id, "Terminated")
    assert document["output"] == "enough"
    (tmp_path / "release").touch()
    assert durable.run("FanOut", 3) == 3
    assert durable.status(instance_id)["runtimeStatus"] == "Terminated"


def test_terminating_a_parent_leaves_its_sub_orchestration_alone(durable: LocalHost) -> None:
    parent = durable.start("Parent", {"name": "WaitFor", "id": "sub-left", "input": "go"})
    durable.until_status("sub-left", "Running")
    assert durable.post(parent, "terminate") == 202
    durable.until_status(parent, "Terminated")
    durable.raise_event("sub-left", "go", "on its own")
    assert durable.end("sub-left")["output"] == "on its own"
    assert durable.status(parent)["runtimeStatus"] == "Terminated"


def test_a_late_result_does_not_reach_a_new_run_of_the_same_instance(
    durable: LocalHost, tmp_path: Path
) -> None:
    instance_id = durable.start("Hold", str(tmp_path / "old"), _made(tmp_path / "old").name + "-rerun")
    until((tmp_path / "old" / "attempts").exists)
    assert durable.post(instance_id, "terminate") == 202
    durable.until_status(instance_id, "Terminated")
    assert durable.start("Hold", str(_made(tmp_path / "new")), instance_id) == instance_id
    until((tmp_path / "new" / "attempts").exists)
    (tmp_path / "old" / "release").touch()
    assert durable.run("FanOut", 3) == 3
    assert durable.status(instance_id)["runtimeStatus"] == "Running"
    (tmp_path / "new" / "release").touch()
    assert durable.end(instance_id)["output"] == 1


def test_a_suspended_instance_waits_and_goes_on_when_resumed(durable: LocalHost) -> None:
    instance_id = durable.start("WaitFor", "go")
    durable.until_status(instance_id, "Running")
    assert durable.post(instance_id, "resume") == 500
    assert durable.post(instance_id, "suspend", reason="lunch") == 202
    durable.until_status(instance_id, "Suspended")
    assert durable.post(instance_id, "suspend") == 500
    durable.raise_event(instance_id, "go", 1)
    assert durable.run("FanOut", 3) == 3
    assert durable.status(instance_id)["runtimeStatus"] == "Suspended"
    assert durable.post(instance_id, "resume") == 202
    assert durable.end(instance_id)["output"] == 1


def test_a_failed_instance_completes_after_rewind(durable: LocalHost, tmp_path: Path) -> None:
    wanted = tmp_path / "wanted"
    instance_id = durable.start("FailUntil", str(wanted))
    failed = durable.end(instance_id)
    assert failed["runtimeStatus"] == "Failed"
    assert failed["output"].startswith("durabletask.task.TaskFailedError: ")
    wanted.write_text("here now")
    assert durable.post(instance_id, "rewind", reason="found it") == 202
    document = durable.end(instance_id)
    assert (document["runtimeStatus"], document["output"]) == ("Completed", "here now")


def test_rewinding_a_parent_rewinds_its_failed_sub_orchestration(durable: LocalHost, tmp_path: Path) -> None:
    wanted = tmp_path / "wanted"
    parent = durable.start(
        "ParentThatFails", {"name": "FailUntil", "id": "sub-rewound", "input": str(wanted)}
    )
    assert durable.end(parent)["runtimeStatus"] == "Failed"
    wanted.write_text("here now")
    assert durable.post(parent, "rewind") == 202
    assert durable.until_status(parent, "Completed")["output"] == "here now"


def _made(directory: Path) -> Path:
    directory.mkdir()
    return directory
