"""News from the processes moves the figures of a run between the answers of its activities."""

import itertools
from typing import Any

import pytest

from sitebackup import names
from sitebackup.messages import Progress
from sitebackup.tally import Tally
from tests.support.site import MANIFEST, Reply, Request, Site, copied, listing, status_of


def shown(statuses: list[dict[str, Any]], phase: str) -> list[tuple[int, int, int]]:
    """Files found, files done and bytes uploaded, as the statuses of a phase show them."""
    figures = [
        (status["files"]["total"], status["files"]["done"], status["bytes"]["uploaded"])
        for status in statuses
        if status["phase"] == phase
    ]
    return list(dict.fromkeys(figures))


def test_figures_move_while_a_single_batch_is_copied_and_end_exact() -> None:
    def copy(_: Request) -> Reply:
        for done in (100, 250, 400):
            news = Tally(files=done, bytes=10 * done, new=done, uploaded=10 * done)
            site.last_hub.raise_event(names.PROGRESS, Progress(done=news).to_json())
        tally = {"files": 500, "bytes": 5_000, "new": 500, "uploaded": 5_000}
        return {**copied(), "tally": tally}

    found = Tally(files=500, bytes=5_000)
    site = Site(
        0, {names.GET_FILE_LIST: lambda _: listing("p", 1, pending=found), names.COPY_FILE_TO_BLOB: copy}
    )
    run = site.backup()
    assert shown(run.statuses, "copying") == [(500, done, 10 * done) for done in (0, 100, 250, 400)]
    assert shown(run.statuses, "finishing") == [(500, 500, 5_000)]
    assert run.statuses[-1] == status_of("done", {"total": 500}, 500, manifest=MANIFEST)


def test_figures_move_while_a_tree_is_listed() -> None:
    def get_file_list(_: Request) -> Reply:
        for files in (1_000, 5_000):
            found, done = Tally(files=files, unchanged=900), Tally(files=900, unchanged=900)
            site.last_hub.raise_event(names.PROGRESS, Progress(found, done).to_json())
        return listing("p", 1)

    site = Site(1, {names.GET_FILE_LIST: get_file_list})
    run = site.backup()
    assert shown(run.statuses, "listing") == [(0, 0, 0), (1_000, 900, 0), (5_000, 900, 0)]
    assert shown(run.statuses, "done") == [(1, 1, 10)]


def test_news_that_counts_too_much_or_comes_late_shows_no_more_than_was_found_and_never_less() -> None:
    def copy(request: Request) -> Reply:
        number = request["batch"]
        done = {3: 8, 5: 2, 7: 99}.get(number, 0)
        if done:
            news = Tally(files=done, bytes=10 * done, new=done, uploaded=10 * done)
            site.last_hub.raise_event(names.PROGRESS, Progress(done=news).to_json())
        return copied()

    site = Site(20, {names.COPY_FILE_TO_BLOB: copy})
    run = site.backup()
    figures = [(status["files"]["done"], status["bytes"]["done"]) for status in run.statuses]
    assert figures == sorted(figures)
    assert max(figures) == (20, 200)
    assert run.output == 200


@pytest.mark.parametrize("news", [None, 7, "x", [], {"done": {"lost": 1}}, {"done": {"files": "many"}}])
def test_what_anybody_else_raises_under_this_name_is_ignored(news: Any) -> None:
    def copy(_: Request) -> Reply:
        site.last_hub.raise_event(names.PROGRESS, news)
        return copied()

    site = Site(3, {names.COPY_FILE_TO_BLOB: copy})
    assert site.backup().output == 30


def test_news_that_comes_while_a_run_waits_for_nothing_of_that_kind_is_kept_for_later_and_does_no_harm() -> (
    None
):
    def write(request: Request) -> Reply:
        site.last_hub.raise_event(names.PROGRESS, Progress(done=Tally(files=5)).to_json())
        return site.write(request)

    site = Site(3, {names.WRITE_MANIFEST: write})
    run = site.backup()
    assert run.output == 30
    assert [status["files"]["done"] for status in run.statuses][-1] == 3


def test_a_run_of_six_hours_of_news_has_less_than_700_events() -> None:
    """As many as `engine.progress` tells in that time; its own tests hold it to that number."""
    most = 165

    def copy(request: Request) -> Reply:
        if request["batch"] == 0:
            for number in range(most):
                site.last_hub.raise_event(names.PROGRESS, Progress(done=Tally(files=number)).to_json())
        return copied()

    site = Site(24, {names.COPY_FILE_TO_BLOB: copy})
    run = site.backup()
    assert run.output == 240
    assert run.longest_history < 700
    done = [status["files"]["done"] for status in run.statuses]
    assert all(before <= after for before, after in itertools.pairwise(done))
