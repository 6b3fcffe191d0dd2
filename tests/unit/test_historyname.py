"""Names in the history: pinned examples, and what holds for every blob."""

import hashlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sitebackup.blobs.blobname import violated_limit
from sitebackup.blobs.historyname import history_name

A = hashlib.md5(b"a", usedforsecurity=False).hexdigest()
B = hashlib.md5(b"b", usedforsecurity=False).hexdigest()

LONGEST = "x" * (1024 - 33)
DEEPEST = "a/" * 252 + "a"
HASHED = f"%long/{hashlib.sha256(f'{LONGEST}y'.encode()).hexdigest()}"

blobs = st.lists(st.sampled_from(["a", "é", "🎉", "%long", A, B, "x" * 300]), min_size=1, max_size=300).map(
    "/".join
)
versions = st.sampled_from([A, B, "0x8DCEA9E6C0B3D4F"])


@pytest.mark.parametrize("blob", ["srv/www/index.html", "a b/ü/日本/🎉.txt", "%long", LONGEST, DEEPEST])
def test_a_version_is_found_below_the_name_of_its_blob(blob: str) -> None:
    assert history_name(blob, A) == f"{blob}/{A}"


@pytest.mark.parametrize("blob", [f"{LONGEST}y", "🎉" * 512, f"{DEEPEST}/a", HASHED])
def test_where_that_would_be_too_long_the_name_is_hashed(blob: str) -> None:
    assert history_name(blob, A) == f"%long/{hashlib.sha256(blob.encode()).hexdigest()}/{A}"


@given(st.sets(st.tuples(blobs, versions), max_size=20))
@example({(f"{LONGEST}y", A), (HASHED, A), (f"{HASHED}/{A}", A), ("%long", A), (LONGEST, A)})
@example({("a", B), (f"a/{A}", B), (f"a/{B}", A), ("a", A)})
def test_no_two_versions_share_a_name(some: set[tuple[str, str]]) -> None:
    assert len({history_name(blob, version) for blob, version in some}) == len(some)


@given(blobs, versions)
def test_storage_can_hold_the_name_of_every_version(blob: str, version: str) -> None:
    assert violated_limit(history_name(blob, version)) is None
