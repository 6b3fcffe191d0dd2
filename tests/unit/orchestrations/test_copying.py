"""Batches are copied, and a run says what came of them."""

import itertools

import pytest

from sitebackup import names
from sitebackup.messages import Answer
from sitebackup.tally import Tally
from tests.support.hub import Activity
from tests.support.site import MANIFEST, MOST_EVENTS, Reply, Request, Site, became, copied, listing, status_of


@pytest.mark.parametrize("batches", [1, 20, 21, 100, 101, 256])
def test_every_batch_is_copied_once_and_the_output_is_the_sum_of_bytes(batches: int) -> None:
    site = Site(batches)
    assert site.backup().output == 10 * batches
    asked = [(request["plan"], request["batch"]) for request in site.asked[names.COPY_FILE_TO_BLOB]]
    assert sorted(asked) == [("p", batch) for batch in range(batches)]
    assert site.longest_history <= MOST_EVENTS


def test_without_news_progress_is_reported_in_steps_of_5_percent_or_less() -> None:
    run = Site(256).backup()
    done = [status["files"]["done"] for status in run.statuses if status["phase"] == "copying"]
    assert max(after - before for before, after in itertools.pairwise(done)) <= 256 * 0.055
    assert run.statuses[0] == status_of("listing", {}, 0)
    assert run.statuses[-1] == status_of("done", {"total": 256}, 256, manifest=MANIFEST)


def test_failed_files_do_not_stop_the_others_and_the_run_ends_failed_naming_them() -> None:
    def copy(request: Request) -> Reply:
        return became(failed=1) if request["batch"] % 10 == 0 else copied()

    site = Site(120, {names.COPY_FILE_TO_BLOB: copy})
    site.named = tuple(f"f{n}: Permission denied" for n in range(10))
    run = site.backup()
    named = "; ".join(site.named)
    assert run.failure == (
        f"12 of 120 entries were not backed up: {named}; and 2 more. All outcomes: {MANIFEST}."
    )
    assert run.statuses[-1] == status_of("done", {"total": 120, "failed": 12}, 108, manifest=MANIFEST)
    assert (site.ended["state"], site.ended["message"]) == ("failed", run.failure)

    partial = Site(120, {names.COPY_FILE_TO_BLOB: copy})
    run = partial.backup(allowPartial=True)
    assert (run.failure, run.output) == (None, 1_080)
    assert run.statuses[-1]["files"]["failed"] == 12
    assert (partial.ended["state"], partial.ended["tally"]["failed"]) == ("partial", 12)


def test_what_failed_in_a_listing_is_named_first() -> None:
    answers: dict[str, Activity] = {
        names.GET_FILE_LIST: lambda _: listing("p", 1, failed=1, named=("d/: Permission denied",)),
        names.COPY_FILE_TO_BLOB: lambda _: became(failed=1),
    }
    site = Site(1, answers)
    site.named = ("f: Permission denied",)
    failure = site.backup().failure or ""
    assert failure.startswith(
        "2 of 2 entries were not backed up: d/: Permission denied; f: Permission denied. All outcomes:"
    )


def test_a_vanished_file_is_counted_and_is_no_failure() -> None:
    run = Site(1, {names.COPY_FILE_TO_BLOB: lambda _: became(vanished=1)}).backup()
    assert (run.failure, run.output) == (None, 0)
    assert run.statuses[-1]["files"]["vanished"] == 1


def test_a_run_vouches_for_what_is_unchanged_too() -> None:
    unchanged = Tally(files=90, bytes=900, links=2, directories=3, unchanged=90)

    def copy(request: Request) -> Reply:
        if request["batch"]:
            return became(files=1, bytes=10, unchanged=1)
        return became(files=1, bytes=10, changed=1, uploaded=10)

    site = Site(
        2, {names.GET_FILE_LIST: lambda _: listing("p", 2, tally=unchanged), names.COPY_FILE_TO_BLOB: copy}
    )
    run = site.backup()
    assert run.output == 920
    files = {"total": 92, "done": 92, "new": 0, "changed": 1, "unchanged": 91}
    sizes = {"total": 920, "done": 920, "uploaded": 10}
    assert run.statuses[-1] == status_of(
        "done", files, 92, bytes=sizes, links=2, directories=3, manifest=MANIFEST
    )
    assert site.ended["state"] == "completed"
    assert Tally(**site.ended["tally"]) == unchanged + Tally(
        files=2, bytes=20, changed=1, unchanged=1, uploaded=10
    )


def test_a_root_with_nothing_but_itself_to_save_fails_the_run_unless_that_is_allowed() -> None:
    answers: dict[str, Activity] = {
        names.GET_FILE_LIST: lambda _: listing("p", 0, tally=Tally(directories=1))
    }
    site = Site(0, answers)
    run = site.backup()
    assert run.failure == (
        "There is nothing to back up: '/site' is empty, or the patterns leave nothing of it."
        " Set allowEmpty if that is right."
    )
    assert (site.ended["state"], site.ended["message"]) == ("failed", run.failure)
    assert not site.asked[names.WRITE_MANIFEST]
    allowed = Site(0, answers).backup(allowEmpty=True)
    assert (allowed.failure, allowed.output) == (None, 0)


def test_an_empty_directory_or_one_failure_is_something() -> None:
    for tally in (Tally(directories=2), Tally(links=1), Tally(directories=1, failed=1)):
        run = Site(0, {names.GET_FILE_LIST: lambda _, tally=tally: listing("p", 0, tally=tally)}).backup()
        assert "nothing to back up" not in (run.failure or "")


def test_a_run_that_saved_nothing_fails_even_if_a_partial_backup_is_allowed() -> None:
    answers: dict[str, Activity] = {
        names.GET_FILE_LIST: lambda _: listing("p", 3, tally=Tally(directories=2)),
        names.COPY_FILE_TO_BLOB: lambda _: became(failed=1),
    }
    run = Site(3, answers).backup(allowPartial=True)
    assert (run.failure or "").startswith("3 of 5 entries were not backed up")


def test_the_end_of_a_run_is_recorded_with_its_times_and_a_trouble_there_changes_nothing() -> None:
    site = Site(1, {names.END_RUN: lambda _: Answer(troubles=("storage is down",)).to_json()})
    run = site.backup()
    assert (run.failure, run.output) == (None, 10)
    first, second = site.asked[names.END_RUN]
    assert first == second
    assert first["has_manifest"]
    [asked] = site.asked[names.GET_FILE_LIST]
    assert first["started"] == asked["started"]
    assert "T" in asked["started"]
    assert asked["started"].endswith("Z")
    assert len(asked["started"]) == len("2026-11-24T10:00:00.123456Z")
    assert first["ended"] > first["started"]
    assert run.statuses[-1]["phase"] == "done"


def test_a_run_that_fails_is_recorded_even_if_that_meets_an_error() -> None:
    site = Site(1, {names.END_RUN: lambda _: 1 / 0, names.COPY_FILE_TO_BLOB: lambda _: became(failed=1)})
    assert (site.backup().failure or "").startswith("1 of 1 entries")


def test_many_files_that_were_read_in_vain_give_a_hint() -> None:
    def run(touched: int, changed: int, batches: int = 100) -> dict[str, object]:
        def copy(request: Request) -> Reply:
            number = request["batch"]
            kind = "changed" if number < changed else "unchanged"
            return became(files=1, **{kind: 1}, touched=int(number >= batches - touched))

        return Site(batches, {names.COPY_FILE_TO_BLOB: copy}).backup().statuses[-1]

    assert run(touched=21, changed=20)["hint"] == (
        "21 of the 100 files that were read again have the content that they had. Only their ctime or inode"
        " is another one. If that is so in every run, set changeDetection to 'mtime'."
    )
    assert "hint" not in run(touched=20, changed=80)
    assert "hint" not in run(touched=99, changed=0, batches=99)


def test_notes_of_a_listing_are_in_the_status_from_then_on() -> None:
    site = Site(
        1, {names.GET_FILE_LIST: lambda _: listing("p", 1, notes=("Another machine made the run before.",))}
    )
    statuses = site.backup().statuses
    assert "notes" not in statuses[0]
    assert {tuple(status["notes"]) for status in statuses[1:]} == {("Another machine made the run before.",)}
