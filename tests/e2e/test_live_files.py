"""Files that change, vanish or turn into something else while a backup is at them."""

import os
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from localstack.client import Document
from tests.e2e.support.apps import RunningApp
from tests.e2e.support.containers import assert_container_equals_tree, blob_content
from tests.e2e.support.manifests import read_manifest
from tests.e2e.support.proxy import Gate, Proxy, Request
from tests.e2e.support.trees import Size, make_tree, total_bytes

type Ending = Callable[[], Document]

BLOCKS = 8 * 1024 * 1024 + 1
"""Bytes of a file that goes up in blocks."""


@contextmanager
def between_listing_and_copying(app: RunningApp, proxy: Proxy, root: Path) -> Generator[Ending]:
    """A backup of `root` that has been listed and not begun to copy while the block runs.

    What is given waits for the end of the backup, after the block.
    """
    gate = Gate("GET")  # an activity that copies begins with reading the plan that the listing has written
    with proxy.rule("/plans/", gate):
        started = app.client.start(str(root))
        try:
            gate.wait_until_reached()
            yield lambda: app.client.wait(started, 60)
        finally:
            gate.open()


def test_files_that_vanish_after_they_were_listed_are_counted_and_are_no_failure(
    proxied_app: RunningApp, proxy: Proxy, tmp_path: Path
) -> None:
    root = make_tree(tmp_path / "site", {f"f{n}": Size(n) for n in range(300)})
    with between_listing_and_copying(proxied_app, proxy, root) as ending:
        gone = sorted(root.iterdir())[:100]
        for path in gone:
            path.unlink()
    document = ending()

    assert document["runtimeStatus"] == "Completed", document
    assert document["output"] == total_bytes(root)
    assert document["customStatus"]["files"] == {
        "total": 300,
        "done": 200,
        "failed": 0,
        "vanished": 100,
        "skipped": 0,
        "new": 200,
        "changed": 0,
        "unchanged": 0,
        "gone": 0,
        "checked": 200,
    }
    assert_container_equals_tree(proxied_app.container, root)
    _, entries = read_manifest(proxied_app.blobs, document)
    vanished = [path for path, entry in entries.items() if entry.get("outcome") == "vanished"]
    assert vanished == sorted(path.name for path in gone)


def test_what_took_a_files_place_fails_with_its_reason_and_nothing_outside_the_tree_is_read(
    proxied_app: RunningApp, proxy: Proxy, tmp_path: Path
) -> None:
    secret = make_tree(tmp_path / "secret", {f"f{n}": b"secret" for n in range(10)})
    root = make_tree(tmp_path / "site", {f"d{n}": {f"f{m}": b"mine" for m in range(10)} for n in range(30)})
    link, fifo, directory = (root / "d0" / name for name in ("f0", "f1", "f2"))
    swapped = root / "d1"
    below = list(swapped.iterdir())
    with between_listing_and_copying(proxied_app, proxy, root) as ending:
        for path in (link, fifo, directory):
            path.unlink()
        link.symlink_to(secret / "f0")
        os.mkfifo(fifo)
        directory.mkdir()
        swapped.rename(tmp_path / "aside")
        swapped.symlink_to(secret)
    document = ending()

    assert document["runtimeStatus"] == "Failed"
    _, entries = read_manifest(proxied_app.blobs, document)
    reasons = {
        root / path: entry["reason"] for path, entry in entries.items() if entry.get("outcome") == "failed"
    }
    assert reasons == {
        link: "is a symbolic link now",
        fifo: "is a fifo now",
        directory: "is a directory now",
        **dict.fromkeys(below, "a link on its way leads out of the tree now"),
    }
    assert f"{len(reasons)} of 331 entries were not backed up" in document["output"]
    for path in (link, fifo, swapped):
        path.unlink()
    directory.rmdir()
    assert_container_equals_tree(proxied_app.container, root)


def on_every_block(action: Callable[[], object]) -> Callable[[Request], None]:
    """A rule that does `action` before a block is uploaded, when the file it is of was read."""

    def rule(request: Request) -> None:
        if "comp=block&" in request.query:
            action()

    return rule


def test_a_file_that_changes_while_it_is_read_is_read_again(
    proxied_app: RunningApp, proxy: Proxy, tmp_path: Path
) -> None:
    root = make_tree(tmp_path / "site", {"file": b"1" * BLOCKS})
    changes = iter([b"2" * BLOCKS, b"3" * (BLOCKS + 1)])

    def change() -> None:
        for data in changes:
            (root / "file").write_bytes(data)
            return

    with proxy.rule(f"{root}/file", on_every_block(change)):
        document = proxied_app.back_up(root)
    assert document["runtimeStatus"] == "Completed", document
    assert document["output"] == BLOCKS + 1
    assert_container_equals_tree(proxied_app.container, root)


def test_a_file_that_never_stays_still_fails_and_leaves_no_blob(
    proxied_app: RunningApp, proxy: Proxy, tmp_path: Path
) -> None:
    root = make_tree(tmp_path / "site", {"file": b"0" * BLOCKS, "other": b"still"})
    versions = count(1)

    def change() -> None:
        (root / "file").write_bytes(b"%d" % (next(versions) % 10) * BLOCKS)

    with proxy.rule(f"{root}/file", on_every_block(change)):
        document = proxied_app.back_up(root)
    assert document["runtimeStatus"] == "Failed"
    assert "1 of 3 entries were not backed up: file: changed while being read, 3 times" in document["output"]
    (root / "file").unlink()
    assert_container_equals_tree(proxied_app.container, root)


@contextmanager
def kept_doing(action: Callable[[int], object]) -> Generator[None]:
    """`action` with 0, 1, 2 ... again and again, in a thread, from before the block begins to its end."""
    ended, begun = threading.Event(), threading.Event()

    def work() -> None:
        for number in count():
            if ended.wait(0.002):  # a rest, so that others get the processor too
                return
            action(number)
            begun.set()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        assert begun.wait(10)
        yield
    finally:
        ended.set()
        thread.join()


def test_a_file_written_all_the_time_is_saved_whole_as_it_once_was_or_fails(
    app: RunningApp, tmp_path: Path
) -> None:
    root = make_tree(tmp_path / "site", {"small.log": b"", "large.log": b"-" * BLOCKS, "replaced": b"0" * 9})
    written = 0

    def write(number: int) -> None:
        nonlocal written
        for log in (root / "small.log", root / "large.log"):
            with log.open("ab") as file:
                file.write(b"line %d\n" % number)
        new = tmp_path / "new"
        new.write_bytes(b"%d" % (number % 10) * (number % 1_000 + 1))
        new.rename(root / "replaced")
        written += 1

    with kept_doing(write):
        before = written
        document = app.back_up(root)
        assert written > before + 20

    _, entries = read_manifest(app.blobs, document)
    assert entries.keys() == {"", "small.log", "large.log", "replaced"}
    saved = {path for path, entry in entries.items() if entry["kind"] == "file" and "outcome" not in entry}
    for path in entries.keys() - saved - {""}:
        assert entries[path]["reason"] == "changed while being read, 3 times"
    assert document["runtimeStatus"] == ("Completed" if len(saved) == 3 else "Failed")
    for path in saved:
        content = blob_content(app.container, root / path)
        if path == "replaced":
            assert len(set(content)) == 1
        else:
            assert (root / path).read_bytes().startswith(content)
    assert "replaced" in saved


def test_two_runs_of_one_root_at_the_same_time_both_leave_the_tree(app: RunningApp, tmp_path: Path) -> None:
    root = make_tree(
        tmp_path / "site",
        {"blocks.bin": Size(3 * BLOCKS), "empty": {}, **{f"f{n}": Size(n * 100) for n in range(50)}},
    )
    started = [app.client.start(str(root)) for _ in range(2)]
    for run in started:
        document = app.client.wait(run, 60)
        assert document["runtimeStatus"] == "Completed", document
        assert document["output"] == total_bytes(root)
    assert_container_equals_tree(app.container, root)
