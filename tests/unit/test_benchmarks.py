"""The parts of the benchmarks that could be wrong without anyone seeing it in the table."""

import base64
import hashlib
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks.contest import contest
from benchmarks.figures import Figure
from benchmarks.first_run import record_first_run
from benchmarks.made_up import SIZE, MadeUpTree
from benchmarks.null_blobs import Blobs, Request
from benchmarks.saved_tree import ETAG, SavedTree
from benchmarks.shapes import Keys, Shape
from benchmarks.sorted_names import SortedNames
from benchmarks.storage import null_service
from localstack.settings import STORAGE_SETTING
from sitebackup.blobs.account import connect
from sitebackup.blobs.container import ABSENT, Blob, Condition, Properties
from sitebackup.errors import BlobMissingError, ConditionNotMetError, SourceConditionNotMetError
from sitebackup.records.catalogue import newest_manifest
from sitebackup.records.manifest import read_range
from sitebackup.tree.entries import Entry, Item, Rest
from sitebackup.tree.keys import Range
from sitebackup.tree.walking import walk


@pytest.mark.parametrize(
    ("ours", "yardstick", "bound", "target", "ok"),
    [
        (90.0, 100.0, "at least", 0.9, True),
        (89.0, 100.0, "at least", 0.9, False),
        (0.3, None, "at most", 0.3, True),
        (0.31, None, "at most", 0.3, False),
    ],
)
def test_a_figure_is_ok_when_its_ratio_or_else_its_value_reaches_the_target(
    ours: float, yardstick: float | None, bound: str, target: float, ok: bool
) -> None:
    assert bound in ("at least", "at most")
    assert Figure("speed", ours, yardstick, bound, target).ok is ok


def test_contenders_take_turns_and_each_round_begins_with_another_one() -> None:
    order: list[str] = []

    def contender(name: str, seconds: float) -> float:
        order.append(name)
        return seconds

    results = contest(
        "Test",
        {"a": lambda: contender("a", 1.0), "b": lambda: contender("b", 3.0)},
        rounds=2,
        before=lambda: order.append("empty"),
    )
    assert order == ["empty", "a", "empty", "b", "empty", "b", "empty", "a"]
    assert (results.seconds("a"), results.seconds("b")) == (1.0, 3.0)


def test_the_service_that_forgets_lists_what_it_was_sent_page_by_page_in_order_of_names() -> None:
    blobs = Blobs()
    names = [f"d/{number:05}" for number in range(5_001)]
    for name in reversed(names):
        _ask(blobs, "PUT", "backups", name, {"content-md5": "abc="}, size=7)
    _ask(blobs, "PUT", "backups", "e", {}, size=7)
    found: list[str] = []
    marker = ""
    while True:
        query = {"comp": ["list"], "prefix": ["d/"], "marker": [marker]}
        page = ElementTree.fromstring(_ask(blobs, "GET", "backups", "", {}, query=query)[1])  # noqa: S314 - made here
        for blob in page.iterfind("Blobs/Blob"):
            found.append(blob.findtext("Name") or "")
            assert blob.findtext("Properties/Content-Length") == "7"
            assert blob.findtext("Properties/Content-MD5") == "abc="
        marker = page.findtext("NextMarker") or ""
        if not marker:
            break
    assert found == names


def test_the_service_that_forgets_gives_back_what_a_run_keeps_for_itself() -> None:
    blobs = Blobs()
    for number, block in enumerate((b"one", b"two")):
        query = {"comp": ["block"], "blockid": [_block_id(number)]}
        _ask(blobs, "PUT", "backup-runs", "plan", {}, block, query=query)
    order = "".join(f"<Latest>{_block_id(number)}</Latest>" for number in (1, 0)).encode()
    _ask(blobs, "PUT", "backup-runs", "plan", {}, order, query={"comp": ["blocklist"]})
    head, body = _ask(blobs, "GET", "backup-runs", "plan", {"x-ms-range": "bytes=1-4"})
    assert body == b"woon"
    assert "Content-Range: bytes 1-4/6" in head
    assert "416" in _ask(blobs, "GET", "backup-runs", "plan", {"x-ms-range": "bytes=6-9"})[0]
    assert "404" in _ask(blobs, "HEAD", "backup-runs", "other", {})[0]


def test_names_are_in_order_though_some_are_taken_out() -> None:
    chance = random.Random(0)  # noqa: S311 - no secret
    names, expected = SortedNames(), set[str]()
    for _ in range(20_000):
        name = f"{chance.randrange(8_000):05}"
        if name in expected:
            names.remove(name)
            expected.remove(name)
        else:
            names.add(name)
            expected.add(name)
    assert list(names.since("")) == sorted(expected)
    assert list(names.since("04000")) == sorted(name for name in expected if name >= "04000")
    for name in expected:
        names.remove(name)
    assert list(names.since("")) == []


async def test_the_service_that_forgets_keeps_to_conditions_as_storage_does() -> None:
    with null_service() as service:
        storage = connect({STORAGE_SETTING: service.connection_string})
        backups, history = storage.container("backups"), storage.container("backup-history")
        try:
            first = await backups.put(
                "ü/a", b"content", Properties(bytes(16), "text/x", {"mode": "644"}), ABSENT
            )
            with pytest.raises(ConditionNotMetError):
                await backups.put("ü/a", b"content", Properties(), ABSENT)
            with pytest.raises(SourceConditionNotMetError):
                await history.copy_from(backups, "ü/a", '"0x0"', "copy")
            with pytest.raises(BlobMissingError):
                await history.copy_from(backups, "ü/b", first, "copy")
            assert await history.copy_from(backups, "ü/a", first, "copy") is None
            copy = await history.find("copy")
            assert copy == Blob("copy", 7, bytes(16), copy.etag if copy else "", {"mode": "644"})
            assert await history.copy_from(backups, "ü/a", first, "copy") == copy

            second = await backups.set_metadata("ü/a", {"mode": "600"}, Condition(first))
            for late in (
                backups.set_metadata("ü/a", {}, Condition(first)),
                backups.put("ü/a", b"late", Properties(), Condition(first)),
                backups.commit("ü/a", [], Properties(), Condition(first)),
                backups.delete("ü/a", Condition(first)),
            ):
                with pytest.raises(ConditionNotMetError):
                    await late
            expected = Blob("ü/a", 7, bytes(16), second, {"mode": "600"})
            assert await backups.find("ü/a") == expected
            assert [blob async for blob in backups.list("", metadata=True)] == [expected]

            assert await backups.delete("ü/a", Condition(second))
            assert not await backups.delete("ü/a", Condition(second))
            assert [blob async for blob in backups.list("")] == []
            with pytest.raises(ConditionNotMetError):
                await backups.put("ü/a", b"late", Properties(), Condition(second))
        finally:
            await storage.close()


async def test_the_service_that_forgets_has_nothing_left_when_it_is_told_to_forget_everything() -> None:
    with null_service() as service:
        storage = connect({STORAGE_SETTING: service.connection_string})
        backups = storage.container("backups")
        try:
            await backups.put("a", b"content", Properties())
            service.forget()
            assert await backups.find("a") is None
            await backups.put("a", b"content", Properties(), ABSENT)
        finally:
            await storage.close()


def test_paths_and_keys_that_follow_from_numbers_are_sorted_and_all_different() -> None:
    for shape in (Shape(300, 50), Shape(2_000, 10), Shape(30, 15)):
        for names in (shape, Keys(shape)):
            assert list(names) == sorted(set(names))
        assert len(Keys(shape)) == 1 + shape.directories + shape.files
        for number in (0, 1, shape.files // 2, shape.files - 1):
            assert list(shape.since(number)) == shape[number:]
    with pytest.raises(ValueError, match="evenly"):
        Shape(10, 3)


@pytest.mark.parametrize("begin", ["", "03/", "03/0000013.bin", "04/x", "9"])
@pytest.mark.parametrize("end", [None, "03/0000023.bin", "050"])
def test_a_walk_of_a_tree_that_is_made_up_finds_what_a_walk_of_that_tree_finds(
    begin: str, end: str | None, tmp_path: Path
) -> None:
    shape = Shape(200, 10)
    for path in shape:
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes(bytes(SIZE))

    def found(walk: Callable[..., Iterator[Entry | None]]) -> list[tuple[str, str, int]]:
        items = [entry for entry in walk(str(tmp_path), Range(begin, end)) if isinstance(entry, Item)]
        return [(item.key, item.kind, item.size) for item in items]

    assert found(MadeUpTree(shape).walk) == found(walk)


def test_walks_of_a_tree_that_is_made_up_go_on_where_their_budget_ended() -> None:
    shape = Shape(200, 10)
    wanted: Range | None = Range()
    keys: list[str] = []
    while wanted is not None:
        *entries, last = MadeUpTree(shape).walk("/any", wanted, 7)
        wanted = last.ranges[0] if isinstance(last, Rest) else None
        items = entries if wanted is not None else [*entries, last]
        keys += [entry.key for entry in items if isinstance(entry, Item)]
    assert keys == list(Keys(shape))


def test_the_service_that_forgets_lists_a_saved_tree_that_nobody_has_sent_beside_what_it_was_sent() -> None:
    tree = SavedTree(Path("/srv/big"), Shape(6_000, 3), 0)
    blobs = Blobs(tree)
    _ask(blobs, "PUT", "backups", "srv/other", {}, size=7)
    assert _names(blobs, "srv/big/") == [f"srv/big/{path}" for path in tree.shape]
    assert _names(blobs, "srv/o") == ["srv/other"]
    head, _ = _ask(blobs, "HEAD", "backups", "srv/big/1/0000004.bin", {})
    assert f"ETag: {ETAG}" in head
    assert f"Content-MD5: {base64.b64encode(hashlib.md5().digest()).decode()}" in head  # noqa: S324 - no secret
    assert "404" in _ask(blobs, "HEAD", "backups", "srv/big/1/0000005.bin", {})[0]
    assert SavedTree.from_argument(tree.to_argument()) == tree


async def test_the_run_before_of_a_tree_that_is_made_up_is_found_with_every_entry_of_it() -> None:
    tree = MadeUpTree(Shape(30_000, 3))
    root = Path("/srv/big")
    with null_service() as service:
        await record_first_run(service.connection_string, root, tree.walk(str(root)), bytes(16))
        storage = connect({STORAGE_SETTING: service.connection_string})
        catalog = storage.container("backup-catalog")
        try:
            found = await newest_manifest(catalog, str(root))
            assert found is not None
            paths = [entry.path async for _, entry in read_range(catalog, found[1], Range(), [])]
        finally:
            await storage.close()
    assert paths == list(Keys(tree.shape))
    assert [part.entries for part in found[1].parts] == [20_000, 10_004]


def _names(blobs: Blobs, prefix: str) -> list[str]:
    """List the blobs below a prefix, page by page."""
    names: list[str] = []
    marker = ""
    while True:
        query = {"comp": ["list"], "prefix": [prefix], "marker": [marker]}
        page = ElementTree.fromstring(_ask(blobs, "GET", "backups", "", {}, query=query)[1])  # noqa: S314 - made here
        names += [blob.findtext("Name") or "" for blob in page.iterfind("Blobs/Blob")]
        marker = page.findtext("NextMarker") or ""
        if not marker:
            return names


def _block_id(number: int) -> str:
    return base64.b64encode(f"{number:05}".encode()).decode()


def _ask(
    blobs: Blobs,
    method: str,
    container: str,
    blob: str,
    headers: dict[str, str],
    body: bytes = b"",
    *,
    query: dict[str, list[str]] | None = None,
    size: int | None = None,
) -> tuple[str, bytes]:
    length = len(body) if size is None else size
    answer = blobs.answer(Request(method, container, blob, query or {}, headers, body, length))
    head, _, content = answer.partition(b"\r\n\r\n")
    return head.decode(), content
