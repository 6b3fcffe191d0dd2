"""Walking real trees."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from localstack.settings import PROJECT
from sitebackup.tree.selecting import Selection, patterns
from sitebackup.tree.walking import Entry, Item, Left, Odd, walk


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
    found = list(walk(str(tree), [""]))
    assert len(found) == 30
    assert set(found) == files_of(tree)


@pytest.mark.parametrize("budget", [1, 2, 7, 20, 1_000])
def test_rounds_of_walks_within_a_budget_find_everything_once(tree: Path, budget: int) -> None:
    found: list[Entry | None] = []
    directories = [""]
    rounds = 0
    while directories:
        entries = list(walk(str(tree), directories, budget))
        directories = [entry.path for entry in entries if isinstance(entry, Left)]
        found += [entry for entry in entries if not isinstance(entry, Left)]
        rounds += 1
    assert len(found) == 30
    assert set(found) == files_of(tree)
    assert (rounds == 1) == (budget == 1_000)


def test_a_directory_that_was_entered_is_finished_beyond_the_budget(tmp_path: Path) -> None:
    for number in range(50):
        (tmp_path / str(number)).touch()
    assert len(list(walk(str(tmp_path), [""], 3))) == 50


def test_links_empty_directories_and_special_files_are_named_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "real" / "empty").mkdir(parents=True)
    (tmp_path / "real" / "file").touch()
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "only" / "fifo").parent.mkdir()
    os.mkfifo(tmp_path / "only" / "fifo")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        found = set(walk(str(tmp_path), [""]))
    assert found == {
        Item("real/file"),
        Item("real/empty", "directory"),
        Item("link", "link"),
        Item("dangling", "link"),
        Item("only", "directory"),
        Odd("only/fifo", "skipped", "fifo"),
        Odd("socket", "skipped", "socket"),
    }


def test_an_empty_root_has_no_entries(tmp_path: Path) -> None:
    assert list(walk(str(tmp_path), [""])) == []


def test_a_directory_that_went_away_is_an_entry_and_not_the_end(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    found = set(walk(str(tmp_path), ["", "missing"]))
    assert found == {Item("file"), Odd("missing", "vanished", "vanished while the tree was listed")}


@pytest.mark.parametrize("kind", ["link", "file"])
def test_a_directory_that_has_become_something_else_has_failed_and_not_vanished(
    tmp_path: Path, kind: str
) -> None:
    if kind == "link":
        (tmp_path / "current").symlink_to("release")
    else:
        (tmp_path / "current").touch()
    (odd,) = walk(str(tmp_path), ["current"])
    assert odd == Odd("current", "failed", "Not a directory")


def test_trouble_of_the_process_is_raised_and_names_nothing(tmp_path: Path) -> None:
    (tmp_path / "secret").mkdir()
    code = (
        "import resource; from sitebackup.tree.walking import walk;"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3));"
        f"list(walk({str(tmp_path)!r}, ['secret']))"
    )
    ended = subprocess.run(  # noqa: S603 - its own code
        [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, timeout=30, check=False
    )
    assert "Too many open files" in ended.stderr.splitlines()[-1]
    assert not [line for line in ended.stderr.splitlines() if line.endswith("secret'")]


def test_names_that_are_not_text_are_found(tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\n")).touch()
    assert list(walk(str(tmp_path), [""])) == [Item("\udcff\n")]


def test_pseudo_file_systems_are_never_entered() -> None:
    found = [entry for entry in walk("/", [""], budget=1) if isinstance(entry, Odd)]
    assert Odd("proc", "skipped", "pseudo file system") in found


def test_another_file_system_is_not_entered_when_that_is_asked_for(tree: Path) -> None:
    selection = Selection(device=tree.stat().st_dev + 1)
    assert list(walk(str(tree), [""], selection=selection)) == [
        Odd(f"d{number}", "skipped", "another file system") for number in order(tree)
    ]


def order(tree: Path) -> list[int]:
    return [int(entry.name[1:]) for entry in os.scandir(tree)]


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
    found = walk(str(tmp_path), [""], selection=selection)
    assert {entry.path for entry in found if isinstance(entry, Item) and entry.kind == "file"} == taken


def test_an_excluded_directory_is_not_even_opened(tmp_path: Path) -> None:
    (tmp_path / "excluded").mkdir()
    (tmp_path / "excluded").chmod(0)
    try:
        assert list(walk(str(tmp_path), [""], selection=Selection(exclude=patterns(["excluded"])))) == []
    finally:
        (tmp_path / "excluded").chmod(0o700)


def test_a_walk_that_selects_nothing_lets_its_caller_go_on_all_the_same(tmp_path: Path) -> None:
    for number in range(5_000):
        (tmp_path / str(number)).touch()
    found = list(walk(str(tmp_path), [""], selection=Selection(exclude=patterns(["*"]))))
    assert 4 <= len(found) <= 5
    assert set(found) == {None}


@pytest.mark.parametrize("pattern", ["!", "[z-a]", "\\"])
def test_a_pattern_that_cannot_be_read_is_an_error(pattern: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        patterns([pattern])
