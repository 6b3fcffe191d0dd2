"""What a walk finds, joined with what the run before has saved."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec
import pytest

from sitebackup.activities.joining import Found, Join
from sitebackup.records.entries import Content, Entry, entry_of, to_line
from sitebackup.request import BackupRequest
from sitebackup.tally import Tally
from sitebackup.tree.attributes import Attributes
from sitebackup.tree.entries import Item, Kind, Odd
from sitebackup.tree.keys import Range

ATTRIBUTES = Attributes(
    mtime_ns=1_700_000_000_123_456_789,
    mode=0o100644,
    uid=1,
    gid=2,
    ctime_ns=1_700_000_001_000_000_000,
    inode=7,
    size=5,
)


def item(key: str, *, size: int = 5, is_empty: bool = False, link: bool = False, **other: Any) -> Item:
    """What a walk finds at a key, with `ATTRIBUTES` but for `other` ones."""
    kind: Kind = "directory" if key == "" or key.endswith("/") else "link" if link else "file"
    size = 0 if kind == "directory" else size
    return Item(key.removesuffix("/"), kind, size, msgspec.structs.replace(ATTRIBUTES, **other), is_empty)


def saved(key: str, **other: object) -> Entry:
    """What the run before has of an entry that a walk finds as `item` gives it."""
    entry = Entry(
        path=key,
        kind="file",
        size=5,
        mtime=ATTRIBUTES.mtime,
        ctime=ATTRIBUTES.ctime,
        inode=7,
        mode="100644",
        uid=1,
        gid=2,
        blob=f"site/{key}".removesuffix("/"),
        md5="0" * 32,
        etag='"1"',
        since="first",
    )
    if key == "" or key.endswith("/"):
        entry = msgspec.structs.replace(
            entry, kind="directory", size=0, blob=None, md5=None, etag=None, since=None
        )
    return msgspec.structs.replace(entry, **other)


async def joined(
    found: Sequence[Item | Odd],
    before: Sequence[Entry],
    detection: str = "ctime",
    exclude: Sequence[str] = (),
    begin: str = "",
    end: str | None = None,
) -> tuple[Found, list[Entry]]:
    """What comes of it, and the lines of the draft as entries."""

    async def baseline() -> AsyncIterator[tuple[bytes, Entry]]:
        for entry in before:
            yield to_line(entry).rstrip(b"\n"), entry

    selection = BackupRequest("/", exclude=tuple(exclude)).selection(None)
    join = Join(baseline(), selection, detection, begin)
    await join.add(found)
    await join.skip_to(end)
    result = join.take()
    lines = [entry_of(line) for line in bytes(result.lines).splitlines()]
    assert len(lines) == result.entries
    return result, lines


async def test_what_is_unchanged_keeps_its_line_and_gets_no_task() -> None:
    before = [saved(""), saved("a"), saved("b/"), saved("b/c", kind="link")]
    found = [item(""), item("a"), item("b/"), item("b/c", link=True)]
    result, lines = await joined(found, before)
    assert lines == before
    assert not result.tasks
    assert result.tally == Tally(files=1, bytes=5, unchanged=1, links=1, directories=2)


@pytest.mark.parametrize(
    "difference",
    [{"mtime_ns": 1}, {"ctime_ns": 1}, {"inode": 8}, {"mode": 0o100600}, {"uid": 9}, {"gid": 9}],
)
async def test_any_difference_in_the_attributes_makes_a_file_a_task(difference: dict[str, Any]) -> None:
    result, lines = await joined([item("a", **difference)], [saved("a")])
    assert not lines
    assert [(task.path, task.base, task.gone) for task in result.tasks] == [("a", saved("a"), False)]
    assert result.pending == Tally(files=1, bytes=5)


@pytest.mark.parametrize("difference", [{"ctime_ns": 1}, {"inode": 8}])
async def test_other_inodes_and_ctimes_count_for_nothing_if_only_mtime_is_to_count(
    difference: dict[str, Any],
) -> None:
    result, lines = await joined([item("a", **difference)], [saved("a")], detection="mtime")
    assert lines == [saved("a")]
    assert not result.tasks


async def test_all_files_and_links_are_read_if_their_hash_is_to_count() -> None:
    before = [saved(""), saved("a"), saved("b", kind="link")]
    result, lines = await joined([item(""), item("a"), item("b", link=True)], before, detection="hash")
    assert [task.path for task in result.tasks] == ["a", "b"]
    assert lines == [saved("")]


async def test_an_entry_that_may_have_changed_unseen_is_read() -> None:
    result, _ = await joined([item("a")], [saved("a", recheck=True)])
    assert [task.path for task in result.tasks] == ["a"]


async def test_an_entry_whose_attributes_cannot_be_seen_is_read() -> None:
    result, _ = await joined([msgspec.structs.replace(item("a"), attributes=None)], [saved("a")])
    assert [task.path for task in result.tasks] == ["a"]


async def test_an_entry_that_could_not_be_saved_is_read_and_knows_what_was_saved_before() -> None:
    content = Content(5, "0" * 32, '"1"', "first")
    before = Entry("a", "file", outcome="failed", reason="Permission denied", previous=content)
    result, _ = await joined([item("a")], [before])
    assert [task.base for task in result.tasks] == [before]
    result, _ = await joined([item("a")], [msgspec.structs.replace(before, previous=None)])
    assert [task.base for task in result.tasks] == [None]


async def test_what_is_not_there_any_more_is_gone() -> None:
    before = [saved(""), saved("a"), saved("b/"), saved("b/c"), saved("d")]
    result, lines = await joined([item(""), item("d")], before)
    assert lines == [saved(""), saved("d")]
    assert [(task.path, task.gone, task.base) for task in result.tasks] == [
        ("a", True, saved("a")),
        ("b/c", True, saved("b/c")),
    ]
    assert result.pending == Tally(gone=2)


async def test_only_what_the_listed_range_would_have_is_gone() -> None:
    result, _ = await joined([item("")], [saved(""), saved("a"), saved("b"), saved("c")], end="b")
    assert [task.path for task in result.tasks] == ["a"]


@pytest.mark.parametrize("outcome", ["failed", "skipped"])
async def test_nothing_below_a_directory_that_was_not_entered_is_gone(outcome: str) -> None:
    odd = Odd("b", outcome, "Permission denied", "directory")  # pyright: ignore[reportArgumentType]
    before = [
        saved(""),
        saved("b.txt"),
        saved("b/"),
        saved("b/c"),
        saved("b/d/"),
        saved("b/d/e"),
        saved("b0"),
    ]
    result, lines = await joined([item(""), odd], before)
    assert [task.path for task in result.tasks] == ["b.txt", "b0"]
    kept = {line.path: line for line in lines if line.outcome == "kept"}
    assert kept.keys() == {"b/c", "b/d/e"}
    assert kept["b/c"].previous == Content(5, "0" * 32, '"1"', "first")
    assert [line.outcome for line in lines if line.path == "b/"] == [outcome]


async def test_what_failed_and_may_be_a_directory_keeps_what_is_below_it_another_one_in_between_too() -> None:
    unknown = Odd("b", "failed", "Permission denied")
    found = [item(""), unknown, Odd("b-", "skipped", "another file system", "directory")]
    before = [saved(key) for key in ("", "b-/", "b-/c", "b/", "b/c", "b0")]
    result, lines = await joined(found, before)
    assert [task.path for task in result.tasks] == ["b0"]
    assert [(line.path, line.outcome) for line in lines if line.path] == [
        ("b", "failed"),
        ("b-/", "skipped"),
        ("b-/c", "kept"),
        ("b/c", "kept"),
    ]


async def test_a_fifo_where_a_directory_was_has_replaced_it() -> None:
    before = [saved(""), saved("b/"), saved("b/c")]
    result, _ = await joined([item(""), Odd("b", "skipped", "fifo")], before)
    assert [task.path for task in result.tasks] == ["b/c"]


async def test_trouble_above_a_range_is_told_where_the_range_begins_of_what_was_there() -> None:
    odd = Odd("b", "failed", "Permission denied", "directory")
    result, lines = await joined([odd], [saved("b/m"), saved("b/n"), saved("c")], begin="b/m")
    assert [task.path for task in result.tasks] == ["c"]
    assert [(line.path, line.kind, line.outcome) for line in lines] == [
        ("b/m", "file", "failed"),
        ("b/n", "file", "kept"),
    ]
    assert lines[0].previous == saved("b/m").content


async def test_a_directory_that_vanished_while_it_was_listed_is_gone_with_all_that_is_in_it() -> None:
    odd = Odd("b", "vanished", "vanished while the tree was listed", "directory")
    result, _ = await joined([item(""), odd], [saved(""), saved("b/"), saved("b/c")])
    assert [task.path for task in result.tasks] == ["b/c"]


async def test_what_is_excluded_now_is_kept_and_not_gone() -> None:
    before = [saved(""), saved("cache/"), saved("cache/x"), saved("a.tmp"), saved("b")]
    before.sort(key=lambda entry: entry.path)
    result, lines = await joined([item("")], before, exclude=["*.tmp", "/cache/"])
    assert [task.path for task in result.tasks] == ["b"]
    assert {line.path for line in lines if line.outcome == "kept"} == {"a.tmp", "cache/x"}
    again, same = await joined([item("")], lines, exclude=["*.tmp", "/cache/"])
    assert not again.tasks
    assert same == lines


async def test_a_file_that_has_become_a_directory_is_gone_and_the_directory_new() -> None:
    result, lines = await joined([item(""), item("a/"), item("a/b")], [saved(""), saved("a")])
    assert [(task.path, task.gone) for task in result.tasks] == [("a", True), ("a/b", False)]
    assert [line.path for line in lines] == ["", "a/"]


async def test_a_directory_has_a_blob_while_nothing_is_in_it_and_the_blob_is_gone_when_it_fills() -> None:
    marker = saved("d/", blob="site/d", md5="0" * 32, etag='"1"', since="first")
    result, lines = await joined([item("d/", is_empty=True)], [saved("d/")])
    assert [(task.path, task.gone) for task in result.tasks] == [("d/", False)]
    result, lines = await joined([item("d/", is_empty=True)], [marker])
    assert (result.tasks, lines) == ([], [marker])
    result, lines = await joined([item("d/"), item("d/x")], [marker])
    assert [(task.path, task.gone) for task in result.tasks] == [("d/", True), ("d/x", False)]
    assert lines == [saved("d/")]


async def test_the_baseline_of_a_hole_is_left_to_whoever_lists_it() -> None:
    async def baseline() -> AsyncIterator[tuple[bytes, Entry]]:
        for key in ("a", "h/", "h/x", "z"):
            yield to_line(saved(key)).rstrip(b"\n"), saved(key)

    join = Join(baseline(), BackupRequest("/").selection(None), "ctime")
    await join.add([item("a")])
    await join.leave_out(Range("h/", "h0"))
    await join.skip_to(None)
    assert [task.path for task in join.take().tasks] == ["z"]
