"""Walking real trees."""

import os
import socket
from pathlib import Path

import pytest

from sitebackup.filetree import Entry, File, Left, Skipped, Unreadable, walk


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for number in range(30):
        folder = tmp_path / f"d{number % 5}" / f"e{number % 3}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"f{number}").write_bytes(b"x" * number)
    return tmp_path


def files_of(root: Path) -> set[File]:
    return {
        File(os.path.relpath(path, root), path.stat().st_size) for path in root.rglob("*") if path.is_file()
    }


def test_a_walk_finds_every_file_with_its_size(tree: Path) -> None:
    found = list(walk(str(tree), [""]))
    assert len(found) == 30
    assert set(found) == files_of(tree)


@pytest.mark.parametrize("budget", [1, 2, 7, 20, 1_000])
def test_rounds_of_walks_within_a_budget_find_everything_once(tree: Path, budget: int) -> None:
    found: list[Entry] = []
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


def test_links_and_special_files_are_named_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "file").touch()
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "dangling").symlink_to("nowhere")
    os.mkfifo(tmp_path / "fifo")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        found = set(walk(str(tmp_path), [""]))
    assert found == {
        File("real/file", 0),
        Skipped("link", "symbolic link"),
        Skipped("dangling", "symbolic link"),
        Skipped("fifo", "fifo"),
        Skipped("socket", "socket"),
    }


def test_a_directory_that_cannot_be_entered_is_an_entry_and_not_the_end(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    found = set(walk(str(tmp_path), ["", "missing"]))
    assert found == {File("file", 0), Unreadable("missing", "No such file or directory")}


def test_names_that_are_not_text_are_found(tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\n")).touch()
    assert list(walk(str(tmp_path), [""])) == [File("\udcff\n", 0)]
