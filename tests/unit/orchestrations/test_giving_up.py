"""A run that gives up still writes the manifest of what it saved."""

from sitebackup import names
from sitebackup.messages import Answer
from sitebackup.ranges import Portion
from tests.support.hub import Activity
from tests.support.site import MANIFEST, Reply, Request, Site, copied, down, listing

GAVE_UP = "Gave up after waiting 705 seconds in all: storage is down"


def without(batch: int) -> dict[str, Activity]:
    """Activities of a run that never gets one batch done."""
    return {names.COPY_FILE_TO_BLOB: lambda request: down() if request["batch"] == batch else copied()}


def test_a_run_that_gives_up_writes_the_manifest_of_what_it_saved() -> None:
    site = Site(40, without(3))
    run = site.backup()
    assert run.failure == GAVE_UP
    [request] = site.asked[names.WRITE_MANIFEST]
    assert request["gave_up"] == run.failure
    assert request["kept"] == "The run was given up before anything was removed."
    assert [plan[:2] for plan in request["plans"]] == [["p", 40]]
    assert run.statuses[-1]["phase"] == "done"
    assert run.statuses[-1]["manifest"] == MANIFEST
    assert run.statuses[-1]["files"]["done"] == 39
    assert "waitingFor" not in run.statuses[-1]
    assert site.ended == {
        **site.ended,
        "state": "failed",
        "message": run.failure,
        "has_manifest": True,
        "tally": {"files": 39, "bytes": 390, "new": 39, "uploaded": 390},
    }


def test_a_run_that_gives_up_waits_little_for_its_manifest_and_says_so_in_the_end() -> None:
    site = Site(40, {**without(3), names.WRITE_MANIFEST: down})
    assert site.backup().failure == GAVE_UP
    assert len(site.asked[names.WRITE_MANIFEST]) == 3
    assert "has_manifest" not in site.ended
    assert site.ended["state"] == "failed"


def test_a_run_that_gives_up_listing_hands_on_what_was_not_listed() -> None:
    def get_file_list(request: Request) -> Reply:
        portions = [Portion(*portion) for portion in request.get("portions", [])]
        if portions == [Portion("p", 1, 1)]:
            return down()
        return listing("q", 1) if portions else listing("p", 3, portions=2)

    site = Site(0, {names.GET_FILE_LIST: get_file_list})
    assert site.backup().failure == GAVE_UP
    [request] = site.asked[names.WRITE_MANIFEST]
    assert request["portions"] == [["p", 1, 1]]
    assert [plan[0] for plan in request["plans"]] == ["p", "q"]


def test_a_directory_that_never_answers_does_not_keep_the_others_from_being_saved() -> None:
    def get_file_list(request: Request) -> Reply:
        return down() if request.get("portions") else listing("p", 40, portions=1)

    run = Site(0, {names.GET_FILE_LIST: get_file_list}).backup()
    assert run.failure == GAVE_UP
    assert run.statuses[-1]["files"]["done"] == 40


def test_what_an_error_kept_from_being_listed_is_handed_on_too() -> None:
    def get_file_list(request: Request) -> Reply:
        portions = request.get("portions")
        if portions == [["p", 1, 1]]:
            return Answer(errors=("It is another tree.",)).to_json()
        return listing("q", 1) if portions else listing("p", 3, portions=2)

    site = Site(0, {names.GET_FILE_LIST: get_file_list})
    assert site.backup().failure == "It is another tree."
    [request] = site.asked[names.WRITE_MANIFEST]
    assert request["portions"] == [["p", 1, 1]]


def test_an_error_in_the_middle_of_a_run_does_not_throw_it_away() -> None:
    def copy(request: Request) -> Reply:
        wrong = Answer(errors=("Storage refuses the app's credentials.",)).to_json()
        return wrong if request["batch"] == 3 else copied()

    site = Site(40, {names.COPY_FILE_TO_BLOB: copy})
    assert site.backup().failure == "Storage refuses the app's credentials."
    assert len(site.asked[names.WRITE_MANIFEST]) == 1


def test_a_run_that_listed_nothing_writes_no_manifest_over_that_of_the_run_before() -> None:
    """A large baseline is cut into portions first: nothing is listed then."""

    def get_file_list(request: Request) -> Reply:
        return down() if request.get("portions") else listing("-", 0, portions=5, plans=(), baseline=90_000)

    site = Site(0, {names.GET_FILE_LIST: get_file_list})
    assert site.backup().failure == GAVE_UP
    assert not site.asked[names.WRITE_MANIFEST]
    assert site.ended["state"] == "failed"
