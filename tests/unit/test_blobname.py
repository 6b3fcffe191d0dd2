"""Blob names: pinned examples, and what holds for every path."""

import os

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sitebackup.blobs import blobname
from sitebackup.errors import BlobRefusedError

segments = st.binary(min_size=1, max_size=20).filter(
    lambda segment: b"/" not in segment and b"\0" not in segment and segment not in (b".", b"..")
)
paths = st.lists(segments, min_size=1, max_size=6).map(lambda parts: os.fsdecode(b"/" + b"/".join(parts)))


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/home/site/wwwroot/index.html", "home/site/wwwroot/index.html"),
        ("/a b/ü/日本/🎉.txt", "a b/ü/日本/🎉.txt"),
        ("/100%/50%off/%41", "100%/50%off/%2541"),
        ("/a\\b", "a%5Cb"),
        ("/dots./...", "dots%2E/..%2E"),
        ("/.hidden/a.b", ".hidden/a.b"),
        ("/tab\t/line\n/del\x7f/c1\x85", "tab%09/line%0A/del%7F/c1%C2%85"),
        (os.fsdecode(b"/latin1-\xe9"), "latin1-%E9"),
        ("/not a character \uffff", "not a character %EF%BF%BF"),
    ],
)
def test_a_name_that_storage_keeps_stays_and_the_rest_is_escaped_byte_by_byte(path: str, name: str) -> None:
    assert blobname.encode(path) == name
    assert blobname.decode(name) == path


@given(paths)
@example("/%2E").via("an escape in the path itself")
def test_decoding_gives_back_every_path(path: str) -> None:
    assert blobname.decode(blobname.encode(path)) == path


@given(paths)
def test_a_name_holds_nothing_that_storage_refuses_or_changes(path: str) -> None:
    name = blobname.encode(path)
    name.encode()  # valid text
    assert "\\" not in name
    assert not any(ord(c) < 0x20 or 0x7F <= ord(c) <= 0x9F or c in "\ufffe\uffff" for c in name)
    assert not any(segment.endswith(".") for segment in name.split("/"))


@given(st.lists(paths, unique=True, max_size=20))
def test_no_two_paths_share_a_name(some: list[str]) -> None:
    assert len({blobname.encode(path) for path in some}) == len(some)


@pytest.mark.parametrize("path", ["/" + "x" * 1_025, "/" + "🎉" * 513, "/" + "a/" * 254 + "a"])
def test_a_name_too_long_or_too_deep_for_storage_is_refused(path: str) -> None:
    with pytest.raises(BlobRefusedError, match=r"1024 characters|254 segments"):
        blobname.encode(path)


@pytest.mark.parametrize("path", ["/" + "x" * 1_024, "/" + "🎉" * 512, "/" + "a/" * 253 + "a"])
def test_the_longest_and_deepest_name_is_taken(path: str) -> None:
    assert blobname.encode(path) == path[1:]
