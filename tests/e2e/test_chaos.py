"""The benchmark of the same name, small: everything that may go wrong, in one backup."""

import pytest

from benchmarks.chaos import FAULTS, Chaos, endure


@pytest.mark.timeout(180)
def test_a_backup_endures_killed_workers_stops_of_storage_and_faults_of_every_kind() -> None:
    endured = endure(Chaos(files=600, kills=6, stops=2, kill_seconds=1.5))

    assert (endured.kills, endured.stops) == (6, 2), "the run was over before"
    assert set(endured.faults) == set(FAULTS)
    assert endured.end["runtimeStatus"] == "Completed", endured.end
    assert endured.end["output"] == endured.bytes
    assert (endured.found.lost, endured.found.wrong, endured.found.extra) == ([], [], [])
    assert endured.ok
