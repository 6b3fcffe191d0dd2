"""What is in doubt after it was read, and what a saved file counts for."""

import pytest
from msgspec.structs import replace

from sitebackup.activities.saved import Clock, Read, saved
from sitebackup.records.entries import Entry
from sitebackup.records.plans import Task
from sitebackup.tally import Tally
from sitebackup.tree.attributes import Attributes
from sitebackup.tree.reading import Content

NOW = 1_800_000_000 * 10**9
SECOND = 10**9
MINUTE = 60 * SECOND


def attributes(mtime: int, ctime: int = 0) -> Attributes:
    return Attributes(mtime, 0o100644, 1, 2, ctime or mtime, 7, 4)


@pytest.mark.parametrize(
    ("mtime", "ctime", "is_in_doubt"),
    [
        (NOW, NOW, True),
        (NOW - 2 * SECOND, NOW - 2 * SECOND, True),
        (NOW - 4 * SECOND, NOW - 4 * SECOND, False),
        (NOW - MINUTE, NOW - 2 * SECOND, True),
        (NOW + MINUTE, NOW - MINUTE, True),
        (NOW + 100_000 * MINUTE, NOW - MINUTE, True),
        (1, 1, False),
    ],
)
@pytest.mark.parametrize("is_share", [False, True])
def test_what_changed_just_before_it_was_read_or_in_the_future_is_in_doubt(
    mtime: int, ctime: int, is_in_doubt: bool, is_share: bool
) -> None:
    clock = Clock(is_share=is_share)
    clock.doubts(attributes(NOW), NOW)  # the share's clock is right
    assert clock.doubts(attributes(mtime, ctime), NOW) == is_in_doubt


def test_on_a_share_whose_clock_is_behind_what_changed_last_is_in_doubt() -> None:
    clock = Clock(is_share=True)
    assert clock.doubts(attributes(NOW - 5 * MINUTE), NOW)
    assert not clock.doubts(attributes(NOW - 5 * MINUTE - 4 * SECOND), NOW)
    assert clock.doubts(attributes(NOW - 4 * MINUTE), NOW), "as far as is known, it was written now"
    assert not clock.doubts(attributes(NOW - 5 * MINUTE), NOW)
    assert not Clock(is_share=False).doubts(attributes(NOW - 5 * MINUTE), NOW)


def test_a_share_on_which_nothing_has_changed_for_long_is_not_in_doubt() -> None:
    clock = Clock(is_share=True)
    clock.doubts(attributes(NOW + 100_000 * MINUTE), NOW)  # a file from the future says nothing
    assert not clock.doubts(attributes(NOW - 11 * MINUTE), NOW)


def read(task: Task, about: Attributes, data: bytes = b"data") -> Read:
    return Read.of(task, "root", "srv/f", Content(data, data.ljust(16), about), recheck=False)


def entry_of(about: Attributes, data: bytes = b"data") -> Entry:
    task = Task("f", "file")
    return saved(task, read(task, about, data), '"1"', "first", 0).entry


BASE = entry_of(attributes(NOW))


@pytest.mark.parametrize(
    ("base", "about", "counts"),
    [
        (None, attributes(NOW), Tally(new=1)),
        (Entry("f", "file", outcome="failed", reason="?"), attributes(NOW), Tally(new=1)),
        (BASE, attributes(NOW), Tally(unchanged=1)),
        (BASE, attributes(NOW, NOW + 1), Tally(unchanged=1, touched=1)),
        (BASE, replace(attributes(NOW), inode=8), Tally(unchanged=1, touched=1)),
        (BASE, attributes(NOW + 1), Tally(changed=1)),
        (BASE, replace(attributes(NOW), mode=0o100600), Tally(changed=1)),
        (replace(BASE, recheck=True), attributes(NOW, NOW + 1), Tally(unchanged=1)),
        (replace(BASE, ctime=None, inode=None), attributes(NOW), Tally(unchanged=1)),
        (entry_of(attributes(NOW), b"else"), attributes(NOW), Tally(changed=1)),
        (BASE.not_saved("failed", "?"), attributes(NOW), Tally(changed=1)),
    ],
)
def test_a_file_is_new_changed_or_unchanged(base: Entry | None, about: Attributes, counts: Tally) -> None:
    task = Task("f", "file", base=base)
    outcome = saved(task, read(task, about), '"2"', "second", 4)
    assert outcome.tally == Tally(files=1, bytes=4, uploaded=4) + counts
    is_old = base is not None and base.content is not None and base.content.md5 == outcome.entry.md5
    assert outcome.entry.since == ("first" if is_old else "second")
    assert outcome.entry.etag == '"2"'


@pytest.mark.parametrize("kind", ["link", "directory"])
def test_links_and_directories_are_neither_new_nor_changed(kind: str) -> None:
    task = Task("f", "link") if kind == "link" else Task("f/", "directory")
    tally = saved(task, read(task, attributes(NOW), b""), '"1"', "run", 0).tally
    assert tally == Tally(links=int(kind == "link"), directories=int(kind == "directory"))
