"""E2_VerifyBackup: a manifest against the containers, by their listing or by reading every blob."""

from typing import Any

import pytest

from sitebackup import names
from sitebackup.messages import Findings
from sitebackup.ranges import Span
from tests.support.hub import Activity, Instance
from tests.support.site import MOST_EVENTS, Reply, Request, Site, compared, down, read_back, steps_before


def verify(answers: dict[str, Activity], request: Any) -> tuple[Site, Instance]:
    site = Site(0, answers)
    return site, site.hub(keep_turns=False).run(names.VERIFY_BACKUP, request, "verification")


def test_a_verification_answers_with_what_it_found() -> None:
    site, run = verify({}, "0123")
    assert run.output == {"checked": 1, "bytes": 10, "missing": 0, "changed": 0, "extra": 0, "named": []}
    [asked] = site.asked[names.VERIFY_MANIFEST]
    assert asked == {"run": "verification", "verified": "0123"}


def test_a_verification_goes_on_until_it_is_done_and_all_that_it_finds_counts() -> None:
    def compare(request: Request) -> Reply:
        after = steps_before(request)
        return compared(Findings(checked=10, extra=2 * (after == 2)), request, is_done=after == 2)

    site, run = verify({names.VERIFY_MANIFEST: compare}, "0123")
    assert run.output == {**run.output, "checked": 30, "extra": 2}
    assert [steps_before(asked) for asked in site.asked[names.VERIFY_MANIFEST]] == [0, 1, 2]


@pytest.mark.parametrize(
    "sizes",
    [
        [1],
        [300_000],
        [100 * 256 * 1024 + 1],
        [400 * 256 * 1024],
        [70_000, 1, 65_536, 200_000],
        [5_000_000] * 70,
    ],
)
def test_a_deep_verification_reads_every_byte_of_every_part_once(sizes: list[int]) -> None:
    spans = tuple(Span(f"p{n}", 0, size) for n, size in enumerate(sizes))
    ranges: list[tuple[str, int, int]] = []

    def read(request: Request) -> Reply:
        assert (request["run"], request["verified"]) == ("verification", "0123")
        ranges.extend((of, begin, begin + count) for of, begin, count in request["spans"])
        return read_back(checked=1, bytes=5)

    def compare(_: Request) -> Reply:
        return {**compared(Findings(checked=1, extra=3)), "spans": [[s.of, s.first, s.count] for s in spans]}

    site, run = verify(
        {names.VERIFY_MANIFEST: compare, names.VERIFY_BLOBS: read}, {"instanceId": "0123", "deep": True}
    )
    for span in spans:
        pieces = sorted((begin, end) for of, begin, end in ranges if of == span.of)
        assert [begin for begin, _ in pieces] == [0, *(end for _, end in pieces[:-1])]
        assert pieces[-1][1] == span.count
    assert run.output["extra"] == 3
    assert run.output["checked"] == len(site.asked[names.VERIFY_BLOBS])
    assert site.longest_history <= MOST_EVENTS


def test_a_verification_that_finds_trouble_fails_and_names_it() -> None:
    trouble = read_back(checked=5, changed=1, named=("a has another content",))
    _, run = verify({names.VERIFY_BLOBS: lambda _: trouble}, {"instanceId": "0123", "deep": True})
    assert run.failure == "1 of 5 blobs are not what was saved: a has another content."


def test_a_deep_verification_sits_out_what_fails_for_a_while() -> None:
    calls = 0

    def read(_: Any) -> Reply:
        nonlocal calls
        calls += 1
        return down() if calls < 6 else read_back(checked=1, bytes=5)

    _, run = verify({names.VERIFY_BLOBS: read}, {"instanceId": "0123", "deep": True})
    assert (run.failure, run.output["checked"]) == (None, 1)


def test_nothing_is_repaired_or_recorded_by_a_verification() -> None:
    site, _ = verify({}, "0123")
    assert set(site.asked) == {names.VERIFY_MANIFEST}
