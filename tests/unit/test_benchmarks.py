"""The parts of the benchmarks that could be wrong without anyone seeing it in the table."""

import base64
from xml.etree import ElementTree

import pytest

from benchmarks.contest import contest
from benchmarks.figures import Figure
from benchmarks.null_blobs import Blobs, Request


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
