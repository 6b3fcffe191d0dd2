"""A disk or share that does not answer now: nothing of it is lost, or said to be what it is not."""

import errno
import os
import time
from collections import Counter
from collections.abc import Generator
from contextlib import closing
from pathlib import Path

import pytest

from sitebackup.errors import SourceError, SourceUnavailableError, VanishedError
from sitebackup.tree.place import Place, is_directory
from sitebackup.tree.reading import Stream, read, size_of
from sitebackup.tree.selecting import Selection
from sitebackup.tree.walking import Item, Odd, Range, Rest, Unreached, walk
from tests.support.fuse import Share, Trouble, mounted
from tests.support.walks import bare

MANY = 120
"""Files in a directory: more than one answer of the share holds."""


@pytest.fixture
def share(tmp_path: Path) -> Generator[Share]:
    """A share with a file, a link and a directory of many files in it."""
    source = tmp_path / "source"
    (source / "many").mkdir(parents=True)
    (source / "file").write_bytes(b"hello")
    (source / "link").symlink_to("file")
    for number in range(MANY):
        (source / "many" / f"f{number}").write_bytes(b"x")
    with mounted(source, tmp_path / "share") as share:
        yield share


def failing(operation: str, path: str, number: int, after: int = 0) -> Trouble:
    """Fail one operation with the errno `number`, once it has gone well `after` times."""
    seen: Counter[str] = Counter()

    def trouble(asked: str, of: str) -> int | None:
        if (asked, of) != (operation, path):
            return None
        seen[of] += 1
        return number if seen[of] > after else None

    return trouble


def stream_of(share: Share) -> Stream:
    return Stream(str(share.point / "file"), str(share.point))


def test_closing_a_file_neither_fails_nor_waits_for_a_share_that_is_silent(share: Share) -> None:
    streams = [stream_of(share) for _ in range(2)]
    for stream, number in zip(streams, (errno.EIO, 0), strict=True):
        share.trouble = failing("close", "file", number)
        assert stream.read_next(5) == b"hello"
        stream.close()


MANY_FILES = {Item(f"many/f{number}", "file", 1) for number in range(MANY)}
OTHERS = {Item("file", "file", 5), Item("link", "link")}


@pytest.mark.parametrize(("operation", "after"), [("opendir", 0), ("readdir", 0), ("readdir", 1)])
def test_a_directory_that_does_not_answer_is_neither_lost_nor_listed_twice(
    share: Share, operation: str, after: int
) -> None:
    share.trouble = failing(operation, "many", errno.EHOSTDOWN, after)
    found = bare(walk(str(share.point)))
    assert len(found) == 3
    assert set(found) == OTHERS | {Unreached("many", "Host is down")}

    share.trouble = lambda operation, path: None
    again = bare(walk(str(share.point), Range.below("many/")))
    assert len(again) == MANY
    assert set(again) == MANY_FILES


def test_a_share_that_is_gone_is_no_empty_tree(share: Share) -> None:
    share.end()
    found = list(walk(str(share.point)))
    assert found == [Unreached("", "Transport endpoint is not connected")]
    with pytest.raises(SourceUnavailableError, match=r"^Transport endpoint is not connected$"):
        is_directory(str(share.point))


def test_a_file_that_does_not_answer_when_it_is_listed_is_left_to_its_copying(share: Share) -> None:
    for path, item in (("file", Item("file")), ("link", Item("link", "link"))):
        share.trouble = failing("lstat", path, errno.EIO)
        assert item in list(walk(str(share.point)))


def test_a_large_directory_that_stops_answering_is_not_listed_in_part(share: Share) -> None:
    for number in range(MANY, 1_200):
        (share.source / "many" / f"f{number}").touch()
    share.trouble = failing("readdir", "many", errno.ESTALE, after=22)
    found = list(walk(str(share.point), Range("many/", "many0")))
    assert found == [None, Unreached("many", "Stale file handle")]


def test_a_directory_that_is_slow_to_read_is_listed_further_than_its_first_name(share: Share) -> None:
    def slow(operation: str, path: str) -> None:
        if operation == "readdir" and path == "many":
            time.sleep(0.3)

    share.trouble = slow
    found = list(walk(str(share.point), Range("many/f", "many0"), seconds=0.2))
    assert len(found) > 5


def test_the_kind_of_a_name_that_a_walk_cannot_use_is_not_asked_for(share: Share) -> None:
    for number in range(MANY, 1_000):
        (share.source / "many" / f"f{number}").touch()
    asked: set[str] = set()

    def note(operation: str, path: str) -> None:
        if operation == "lstat":
            asked.add(path)

    share.tells_kinds = False
    share.trouble = note
    *found, rest = walk(str(share.point), Range("many/f5", "many/f8"), budget=10)
    names = ["f5", "f50", *(f"f{number}" for number in range(500, 508))]
    assert [entry.path for entry in bare(found)] == [f"many/{name}" for name in names]
    assert isinstance(rest, Rest)
    assert len(asked) < 100


def test_a_range_in_a_directory_that_does_not_answer_is_told_apart_from_an_empty_one(share: Share) -> None:
    share.trouble = failing("opendir", "many", errno.EHOSTDOWN)
    found = list(walk(str(share.point), Range("many/f10", "many/f11")))
    assert found == [Unreached("many", "Host is down")]


def test_a_directory_in_which_nothing_could_be_mounted_on_demand_has_not_vanished(share: Share) -> None:
    share.trouble = failing("opendir", "many", errno.ENOENT)
    assert Unreached("many", "No such file or directory") in list(walk(str(share.point)))


def test_a_directory_whose_device_is_not_known_now_is_entered_if_nothing_is_mounted_in_it(
    share: Share,
) -> None:
    selection = Selection(device=share.point.stat().st_dev)
    share.trouble = failing("lstat", "many", errno.EHOSTDOWN)
    assert Unreached("many", "Host is down") in list(walk(str(share.point), selection=selection))


def test_a_share_that_is_gone_is_another_file_system_all_the_same(share: Share) -> None:
    selection = Selection(device=share.source.stat().st_dev)
    share.end()
    found = list(walk(str(share.point.parent), selection=selection))
    assert Odd("share", "skipped", "another file system", "directory") in found


@pytest.mark.parametrize("operation", ["lstat", "open", "read"])
@pytest.mark.parametrize(
    "number",
    [errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ENOTCONN],
)
def test_a_file_does_not_fail_while_its_share_does_not_answer(
    share: Share, operation: str, number: int
) -> None:
    share.trouble = failing(operation, "file", number)
    said = f"^{os.strerror(number)}$"
    with pytest.raises(SourceUnavailableError, match=said):
        read(Place(str(share.point), str(share.point)), "file", "file", 100)
    with pytest.raises(SourceUnavailableError, match=said), closing(stream_of(share)) as stream:
        stream.read_next(5)


@pytest.mark.parametrize(("number", "kind"), [(errno.EBUSY, SourceError), (errno.ENOENT, VanishedError)])
def test_what_is_a_files_own_trouble_stays_its_own(
    share: Share, number: int, kind: type[SourceError]
) -> None:
    share.trouble = failing("open", "file", number)
    with pytest.raises(kind):
        read(Place(str(share.point), str(share.point)), "file", "file", 100)
    share.trouble = failing("lstat", "file", number)
    with pytest.raises(kind):
        size_of(str(share.point / "file"))


def test_an_input_or_output_error_is_not_the_files_fault() -> None:
    process = f"/proc/{os.getpid()}"  # the memory of a process has nothing at its beginning
    with pytest.raises(SourceUnavailableError, match=r"^Input/output error$"):
        read(Place(process, process), "mem", "file", 100)
