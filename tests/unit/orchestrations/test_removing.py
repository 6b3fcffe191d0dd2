"""What is gone from the tree is removed, unless that is so much that it may be a mistake."""

from typing import Any

import pytest

from sitebackup import names
from sitebackup.messages import Plan
from sitebackup.tally import Tally
from tests.support.hub import Activity
from tests.support.site import MANIFEST, Reply, Request, Site, became, copied, down, listing


def shrunk(gone: int, baseline: int, batches: int = 2, **tally: int) -> dict[str, Activity]:
    """A run of a root of which so many of `baseline` entries are gone, in three batches of removals."""

    def get_file_list(_: Request) -> Reply:
        return listing(
            "p",
            0,
            tally=Tally(**tally),
            pending=Tally(files=batches, bytes=10 * batches, gone=gone),
            plans=(Plan("p", batches, 3), Plan("q")),
            baseline=baseline,
        )

    def copy(request: Request) -> Reply:
        if request["batch"] < batches:
            return copied()
        return became(gone=gone // 3 + (gone % 3 if request["batch"] == batches else 0))

    return {names.GET_FILE_LIST: get_file_list, names.COPY_FILE_TO_BLOB: copy}


def test_what_is_gone_is_removed_after_all_else_is_copied() -> None:
    site = Site(0, shrunk(gone=50, baseline=100, batches=30))
    run = site.backup()
    assert (run.failure, run.output) == (None, 300)
    batches = [request["batch"] for request in site.asked[names.COPY_FILE_TO_BLOB]]
    assert sorted(batches[:30]) == list(range(30))
    assert sorted(batches[30:]) == [30, 31, 32]
    assert list(dict.fromkeys(status["phase"] for status in run.statuses)) == [
        "listing",
        "copying",
        "removing",
        "finishing",
        "done",
    ]
    assert run.statuses[-1]["files"] == {**run.statuses[-1]["files"], "total": 30, "done": 30, "gone": 50}
    [request] = site.asked[names.WRITE_MANIFEST]
    assert "kept" not in request


def test_a_run_in_which_nothing_is_gone_does_not_say_that_it_removes() -> None:
    assert "removing" not in {status["phase"] for status in Site(3).backup().statuses}


@pytest.mark.parametrize(
    ("gone", "baseline", "vanished", "options", "most"),
    [
        (51, 100, 0, {}, 50),
        (40, 100, 11, {}, 50),
        (501, 1_001, 0, {}, 500),
        (1, 10, 0, {"maxDelete": 0}, 0),
        (6, 1_000, 0, {"maxDelete": 5}, 5),
        (60, 100, 0, {"allowPartial": True}, 50),
    ],
)
def test_too_much_that_is_gone_fails_the_run_which_removes_nothing_and_copies_all_the_same(
    gone: int, baseline: int, vanished: int, options: dict[str, Any], most: int
) -> None:
    site = Site(0, shrunk(gone, baseline, vanished=vanished))
    run = site.backup(**options)
    missing = gone + vanished
    assert run.failure == (
        f"{missing} of the {baseline} entries of the run before are gone, and {most} may be. Nothing was"
        f" removed from the backup. If that is right, set maxDelete to {missing} or more."
    )
    assert sorted(request["batch"] for request in site.asked[names.COPY_FILE_TO_BLOB]) == [0, 1]
    assert "removing" not in {status["phase"] for status in run.statuses}
    [request] = site.asked[names.WRITE_MANIFEST]
    assert request["kept"] == run.failure
    assert "gave_up" not in request
    assert run.statuses[-1]["manifest"] == MANIFEST
    assert run.statuses[-1]["files"]["gone"] == 0
    assert (site.ended["state"], site.ended["message"]) == ("failed", run.failure)


@pytest.mark.parametrize(
    ("gone", "baseline", "options"),
    [
        (50, 100, {}),
        (99, 99, {}),
        (100, 100, {"maxDelete": 100}),
        (5, 1_000, {"maxDelete": 5}),
    ],
)
def test_as_much_as_may_be_is_removed(gone: int, baseline: int, options: dict[str, Any]) -> None:
    site = Site(0, shrunk(gone, baseline))
    run = site.backup(**options)
    assert run.failure is None
    assert run.statuses[-1]["files"]["gone"] == gone
    assert Tally(**site.ended["tally"]).gone == gone


def test_files_that_vanish_while_they_are_copied_count_as_gone_too() -> None:
    def copy(request: Request) -> Reply:
        return became(vanished=30) if request["batch"] == 0 else became(gone=1)

    site = Site(0, {**shrunk(gone=25, baseline=100, batches=1), names.COPY_FILE_TO_BLOB: copy})
    assert (site.backup().failure or "").startswith(
        "55 of the 100 entries of the run before are gone, and 50 may be"
    )


@pytest.mark.parametrize("options", [{}, {"allowPartial": True}, {"maxDelete": 0}])
def test_a_first_run_fails_if_more_than_half_of_the_tree_vanishes(options: dict[str, Any]) -> None:
    def copy(request: Request) -> Reply:
        return copied() if request["batch"] < 2 else became(vanished=1)

    site = Site(102, {names.COPY_FILE_TO_BLOB: copy})
    run = site.backup(**options)
    assert run.failure == "100 of 102 entries vanished while the backup ran: more than half."
    assert site.ended["state"] == "failed"
    fewer = Site(
        102, {names.COPY_FILE_TO_BLOB: lambda r: copied() if r["batch"] < 51 else became(vanished=1)}
    )
    assert fewer.backup().failure is None


def test_removals_that_meet_a_trouble_are_done_again() -> None:
    tries = 0
    answers = shrunk(gone=50, baseline=100)
    usual = answers[names.COPY_FILE_TO_BLOB]

    def copy(request: Request) -> Reply:
        nonlocal tries
        tries += request["batch"] == 3
        return down() if request["batch"] == 3 and tries < 3 else usual(request)

    run = Site(0, {**answers, names.COPY_FILE_TO_BLOB: copy}).backup()
    assert run.failure is None
    assert tries == 3
    assert run.statuses[-1]["files"]["gone"] == 50


def test_a_run_that_gives_up_in_the_middle_of_removing_says_so_of_the_rest() -> None:
    answers = shrunk(gone=30, baseline=100)
    usual = answers[names.COPY_FILE_TO_BLOB]

    def copy(request: Request) -> Reply:
        return down() if request["batch"] == 3 else usual(request)

    site = Site(0, {**answers, names.COPY_FILE_TO_BLOB: copy})
    run = site.backup()
    [request] = site.asked[names.WRITE_MANIFEST]
    assert request["gave_up"] == run.failure
    assert "kept" not in request
    assert run.statuses[-1]["files"]["gone"] == 20


def test_many_removals_are_shared_out_like_copies() -> None:
    def get_file_list(_: Request) -> Reply:
        pending = Tally(gone=200)
        return listing(
            "p", 0, tally=Tally(files=1), pending=pending, plans=(Plan("p", 0, 200),), baseline=1_000
        )

    site = Site(0, {names.GET_FILE_LIST: get_file_list, names.COPY_FILE_TO_BLOB: lambda _: became(gone=1)})
    run = site.backup()
    assert run.failure is None
    assert sorted(request["batch"] for request in site.asked[names.COPY_FILE_TO_BLOB]) == list(range(200))
    assert any(instance.name == names.COPY_BATCHES for instance in site.last_hub.instances)
