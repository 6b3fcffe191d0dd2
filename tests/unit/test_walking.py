"""Walking real trees."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest

from localstack.settings import PROJECT
from sitebackup.tree.mounts import parse
from sitebackup.tree.selecting import Selection, patterns
from sitebackup.tree.walking import Entry, Item, Odd, Range, walk
from tests.support.walks import bare, rounds


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for number in range(30):
        folder = tmp_path / f"d{number % 5}" / f"e{number % 3}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"f{number}").write_bytes(b"x" * number)
    return tmp_path


def files_of(root: Path) -> set[Item]:
    return {
        Item(os.path.relpath(path, root), "file", path.stat().st_size)
        for path in root.rglob("*")
        if path.is_file()
    }


def test_a_walk_finds_every_file_with_its_size(tree: Path) -> None:
    found = bare(walk(str(tree)))
    assert len(found) == 30
    assert set(found) == files_of(tree)


@pytest.mark.parametrize("budget", [1, 2, 7, 20, 1_000])
def test_rounds_of_walks_within_a_budget_find_everything_once(tree: Path, budget: int) -> None:
    pieces = list(rounds(str(tree), budget))
    found = bare(entry for _, entries in pieces for entry in entries)
    assert len(found) == 30
    assert set(found) == files_of(tree)
    assert (len(pieces) == 1) == (budget == 1_000)
    assert all(len(entries) <= budget for _, entries in pieces)


def test_links_empty_directories_and_special_files_are_named_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "real" / "empty").mkdir(parents=True)
    (tmp_path / "real" / "file").touch()
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "only" / "fifo").parent.mkdir()
    os.mkfifo(tmp_path / "only" / "fifo")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        found = bare(walk(str(tmp_path)))
    assert found == [
        Item("dangling", "link"),
        Item("link", "link"),
        Item("only", "directory", is_empty=True),
        Odd("only/fifo", "skipped", "fifo"),
        Item("real/empty", "directory", is_empty=True),
        Item("real/file"),
        Odd("socket", "skipped", "socket"),
    ]


def test_every_directory_is_an_entry_with_its_attributes_and_the_root_is_never_empty(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir(0o700)
    (tmp_path / "a" / "file").write_text("text")
    (tmp_path / "a-b").mkdir(0o750)
    root, *found = (entry for entry in walk(str(tmp_path)) if isinstance(entry, Item))
    assert (root.path, root.key, root.kind, root.is_empty) == ("", "", "directory", False)
    assert [item.key for item in found] == ["a-b/", "a/", "a/file"]
    assert [item.is_empty for item in found] == [True, False, False]
    for item in (root, *found):
        status = (tmp_path / item.path).lstat()
        assert item.attributes is not None
        assert item.attributes.inode == status.st_ino
        assert item.attributes.mode == status.st_mode
        assert item.attributes.size == status.st_size
        assert (item.attributes.mtime_ns, item.attributes.ctime_ns) == (
            status.st_mtime_ns,
            status.st_ctime_ns,
        )


def test_the_root_alone_is_an_entry_of_an_empty_tree(tmp_path: Path) -> None:
    (root,) = walk(str(tmp_path))
    assert isinstance(root, Item)
    assert (root.path, root.is_empty) == ("", False)


def walked_until(entries: Iterator[Entry | None], path: str) -> None:
    """Go on with a walk until it has yielded the entry of `path`."""
    next(entry for entry in entries if isinstance(entry, Item) and entry.path == path)


def test_a_directory_that_went_away_is_an_entry_and_not_the_end(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    (tmp_path / "b").mkdir()
    (tmp_path / "c").touch()
    entries = walk(str(tmp_path))
    walked_until(entries, "a")
    (tmp_path / "b").rmdir()
    vanished = Odd("b", "vanished", "vanished while the tree was listed", "directory")
    assert bare(entries) == [vanished, Item("c")]


@pytest.mark.parametrize("kind", ["link", "file"])
def test_a_directory_that_has_become_something_else_has_failed_and_not_vanished(
    tmp_path: Path, kind: str
) -> None:
    (tmp_path / "a").touch()
    (tmp_path / "current").mkdir()
    (tmp_path / "release").mkdir()
    (tmp_path / "release" / "file").touch()
    entries = walk(str(tmp_path))
    walked_until(entries, "a")
    (tmp_path / "current").rmdir()
    if kind == "link":
        (tmp_path / "current").symlink_to("release")
    else:
        (tmp_path / "current").touch()
    odd, *others = bare(entries)
    assert odd == Odd("current", "failed", "Not a directory", "directory")
    assert others == [Item("release/file")]


def test_a_range_in_what_is_a_link_now_is_empty(tmp_path: Path) -> None:
    (tmp_path / "release").mkdir()
    (tmp_path / "release" / "file").touch()
    (tmp_path / "current").symlink_to("release")
    assert list(walk(str(tmp_path), Range("current/a", "current/z"))) == []
    assert bare(walk(str(tmp_path), Range("release/a", "release/z"))) == [Item("release/file")]


def test_what_became_of_a_directory_above_a_range_is_told_though_it_is_not_in_it(tmp_path: Path) -> None:
    (tmp_path / "pseudo").mkdir()
    (tmp_path / "pseudo" / "file").touch()
    row = f"63 20 0:73 / {tmp_path}/pseudo rw - proc proc rw"
    found = list(walk(str(tmp_path), Range("pseudo/a", "pseudo/z"), selection=Selection(mounts=parse(row))))
    assert found == [Odd("pseudo", "skipped", "pseudo file system", "directory")]


def test_trouble_of_the_process_is_raised_and_names_nothing(tmp_path: Path) -> None:
    (tmp_path / "secret").mkdir()
    code = (
        "import resource; from sitebackup.tree.walking import walk;"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3));"
        f"list(walk({str(tmp_path / 'secret')!r}))"
    )
    ended = subprocess.run(  # noqa: S603 - its own code
        [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, timeout=30, check=False
    )
    assert "Too many open files" in ended.stderr.splitlines()[-1]
    assert not [line for line in ended.stderr.splitlines() if line.endswith("secret'")]


def test_names_that_are_not_text_are_found(tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\n")).touch()
    assert bare(walk(str(tmp_path))) == [Item("\udcff\n")]


def test_pseudo_file_systems_are_never_entered() -> None:
    found = list(walk("/", Range("proc", "proc0")))
    assert found == [Odd("proc", "skipped", "pseudo file system", "directory")]


def test_another_file_system_is_not_entered_when_that_is_asked_for(tree: Path) -> None:
    selection = Selection(device=tree.stat().st_dev + 1)
    assert bare(walk(str(tree), selection=selection)) == [
        Odd(f"d{number}", "skipped", "another file system", "directory") for number in range(5)
    ]


@pytest.mark.parametrize(
    ("include", "exclude", "taken"),
    [
        ([], ["*.log"], {"a.txt", "logs/c.txt", "keep/d.txt"}),
        ([], ["/logs/"], {"a.txt", "b.log", "keep/d.txt"}),
        ([], ["*.log", "!b.log"], {"a.txt", "b.log", "logs/c.txt", "keep/d.txt"}),
        (["*.txt"], [], {"a.txt", "logs/c.txt", "keep/d.txt"}),
        (["*.txt"], ["keep/"], {"a.txt", "logs/c.txt"}),
        ([], ["*"], set[str]()),
    ],
)
def test_patterns_select_as_gitignore_does(
    tmp_path: Path, include: list[str], exclude: list[str], taken: set[str]
) -> None:
    for name in ("a.txt", "b.log", "logs/c.txt", "logs/x.log", "keep/d.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    selection = Selection(patterns(include), patterns(exclude))
    found = walk(str(tmp_path), selection=selection)
    assert {entry.path for entry in found if isinstance(entry, Item) and entry.kind == "file"} == taken


def test_an_excluded_directory_is_not_even_opened(tmp_path: Path) -> None:
    (tmp_path / "excluded").mkdir()
    (tmp_path / "excluded").chmod(0)
    try:
        assert bare(walk(str(tmp_path), selection=Selection(exclude=patterns(["excluded"])))) == []
    finally:
        (tmp_path / "excluded").chmod(0o700)


def test_a_walk_that_selects_nothing_lets_its_caller_go_on_all_the_same(tmp_path: Path) -> None:
    for number in range(5_000):
        (tmp_path / str(number)).touch()
    walked = walk(str(tmp_path), selection=Selection(exclude=patterns(["*"])))
    *steps, root = islice(walked, 6)
    assert steps == [None] * 5
    assert isinstance(root, Item)
    assert list(walked) == [None] * 5


@pytest.mark.parametrize("pattern", ["!", "[z-a]", "\\"])
def test_a_pattern_that_cannot_be_read_is_an_error(pattern: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        patterns([pattern])
