"""A tree is listed in portions, and no history grows with it."""

from collections import Counter

import pytest

from sitebackup import names
from sitebackup.messages import Findings, Plan
from sitebackup.tally import Tally
from tests.support.site import MOST_EVENTS, Reply, Request, Site, compared, down, listing, steps_before

PART = 14_300
"""Entries in a portion, when a run is the second one of its root: some less than a listing's budget."""


def below(request: Request) -> list[tuple[str, int]]:
    """The portions that a listing is asked for, one by one."""
    return [
        (of, number)
        for of, first, count in request.get("portions", [])
        for number in range(first, first + count)
    ]


def test_the_first_listing_is_of_the_whole_tree_and_each_other_one_of_a_single_portion() -> None:
    def get_file_list(request: Request) -> Reply:
        asked = below(request)
        depth = asked[0][0].count("x") if asked else 0
        plan = "x" * (depth + 1) + str(len(site.asked[names.GET_FILE_LIST]))
        return listing(plan, 1, portions=3 if depth < 4 else 0)

    site = Site(0, {names.GET_FILE_LIST: get_file_list})
    run = site.backup()
    first, *others = map(below, site.asked[names.GET_FILE_LIST])
    assert first == []
    assert {len(asked) for asked in others} == {1}
    assert Counter(portion for asked in others for portion in asked).most_common(1)[0][1] == 1
    assert len(others) == 3 + 9 + 27 + 81
    assert run.output == 10 * (1 + len(others))
    assert any(instance.name == names.LIST_TREE for instance in site.last_hub.instances)
    assert site.longest_history <= MOST_EVENTS


def test_a_listing_that_fails_for_a_while_loses_no_part_of_the_tree() -> None:
    def get_file_list(request: Request) -> Reply:
        asked = below(request)
        if list(map(below, site.asked[names.GET_FILE_LIST])).count(asked) < 4:
            return down()
        depth = asked[0][0].count("x") if asked else 0
        plan = "x" * (depth + 1) + str(len(site.asked[names.GET_FILE_LIST]))
        return listing(plan, 1, portions=2 if depth < 3 else 0)

    site = Site(0, {names.GET_FILE_LIST: get_file_list})
    run = site.backup()
    assert (run.failure, run.output) == (None, 10 * (1 + 2 + 4 + 8))


def test_a_portion_that_is_left_for_a_trouble_does_not_hold_up_what_else_was_found() -> None:
    """A directory that does not answer is a portion of its own, and the answer has a trouble and a plan."""
    answers = iter(
        [
            listing("p", 2, portions=1, troubles=("A directory cannot be listed now.",)),
            listing("q", 1),
        ]
    )
    site = Site(0, {names.GET_FILE_LIST: lambda _: next(answers)})
    run = site.backup()
    assert run.output == 30
    assert [below(request) for request in site.asked[names.GET_FILE_LIST]] == [[], [("p", 0)]]
    assert "A directory cannot be listed now." in [status.get("waitingFor") for status in run.statuses]


@pytest.mark.timeout(110)
@pytest.mark.parametrize(("entries", "steps"), [(1_000_000, 4), (10_000_000, 15)])
def test_a_run_in_which_nothing_changed_has_at_most_500_events_in_any_history(
    entries: int, steps: int
) -> None:
    """`steps`: activities that the comparison with the container takes."""
    portions = -(-entries // PART)

    def get_file_list(request: Request) -> Reply:
        asked = below(request)
        if not asked:
            return listing("-", 0, portions=portions, plans=(), baseline=entries)
        unchanged = Tally(files=PART, bytes=10 * PART, unchanged=PART)
        plan = Plan(f"{asked[0][1]:032d}", entries=PART, bytes=350 * PART)
        return listing("", 0, tally=unchanged, pending=Tally(), plans=(plan,))

    def compare(request: Request) -> Reply:
        after = steps_before(request)
        return compared(Findings(checked=entries // steps), request, is_done=after == steps - 1)

    site = Site(0, {names.GET_FILE_LIST: get_file_list, names.VERIFY_MANIFEST: compare})
    hub = site.hub(keep_turns=False)
    run = hub.run(names.BACKUP_SITE_CONTENT, "/site")
    assert (run.failure, run.output) == (None, 10 * PART * portions)
    assert site.longest_history <= 500
    assert not site.asked[names.COPY_FILE_TO_BLOB]
    [index] = site.asked[names.WRITE_MANIFEST]
    assert len(index["plans"]) == portions
    assert index["tally"]["unchanged"] == PART * portions
    assert max(event.ByteSize() for instance in hub.instances for event in instance.history) < 64 * 1024
