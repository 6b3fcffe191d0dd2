"""One contract for every container."""

import hashlib
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

import pytest

from sitebackup.blobs import requests
from sitebackup.blobs.azure import AzureContainer
from sitebackup.blobs.container import ABSENT, Blob, Condition, Container, Properties
from sitebackup.errors import (
    BlobMissingError,
    BlobRefusedError,
    ConditionNotMetError,
    FatalError,
    SourceConditionNotMetError,
    StorageUnavailableError,
)
from tests.support.memory import MemoryContainer


def md5(data: bytes) -> bytes:
    return hashlib.md5(data, usedforsecurity=False).digest()


async def names_in(container: Container, prefix: str = "") -> list[str]:
    return [blob.name async for blob in container.list(prefix)]


async def test_a_blob_comes_back_as_it_was_put_and_the_container_is_made_for_it(container: Container) -> None:
    properties = Properties(md5(b"hello"), "text/plain", {"mode": "644"})
    etag = await container.put("a/b c/ü🎉.txt", b"hello", properties)
    assert await container.get("a/b c/ü🎉.txt") == b"hello"
    expected = Blob("a/b c/ü🎉.txt", 5, md5(b"hello"), etag, {"mode": "644"})
    assert await container.find("a/b c/ü🎉.txt") == expected
    assert [blob async for blob in container.list("")] == [replace(expected, metadata=None)]


async def test_an_empty_blob_is_a_blob(container: Container) -> None:
    await container.put("empty", b"", Properties(md5(b"")))
    assert await container.get("empty") == b""


async def test_putting_again_overwrites(container: Container) -> None:
    first = await container.put("a", b"first and longer", Properties(md5(b"first and longer")))
    second = await container.put("a", b"second", Properties(md5(b"second")))
    assert first != second
    assert await container.get("a") == b"second"
    assert [blob async for blob in container.list("a")] == [Blob("a", 6, md5(b"second"), second)]


async def test_blocks_become_a_blob_in_the_order_of_the_commit(container: Container) -> None:
    for block_id, data in (("b1", b"one "), ("b0", b"zero "), ("b2", b"two")):
        await container.stage("blob", block_id, data, md5(data))
    etag = await container.commit("blob", ["b0", "b1", "b2"], Properties(md5(b"zero one two")))
    assert await container.get("blob") == b"zero one two"
    assert [blob async for blob in container.list("")] == [Blob("blob", 12, md5(b"zero one two"), etag)]


async def test_staged_blocks_alone_are_no_blob(container: Container) -> None:
    await container.stage("blob", "b0", b"x", md5(b"x"))
    assert await names_in(container) == []


async def test_two_attempts_with_block_ids_of_their_own_never_mix(container: Container) -> None:
    first, second = uuid.uuid4().hex, uuid.uuid4().hex
    for part in range(2):
        for attempt, data in ((first, b"1"), (second, b"2")):
            await container.stage("blob", f"{attempt}-{part}", data, md5(data))
    await container.commit("blob", [f"{second}-0", f"{second}-1"], Properties(md5(b"22")))
    with pytest.raises(StorageUnavailableError):
        await container.commit("blob", [f"{first}-0", f"{first}-1"], Properties(md5(b"11")))
    assert await container.get("blob") == b"22"


type Write = Callable[[Container, bytes, Condition], Awaitable[str]]


async def put(container: Container, data: bytes, condition: Condition) -> str:
    return await container.put("blob", data, Properties(md5(data)), condition)


async def commit(container: Container, data: bytes, condition: Condition) -> str:
    block_id = uuid.uuid4().hex
    await container.stage("blob", block_id, data, md5(data))
    return await container.commit("blob", [block_id], Properties(md5(data)), condition)


@pytest.mark.parametrize("write", [put, commit])
async def test_a_blob_that_must_not_be_there_is_never_overwritten(container: Container, write: Write) -> None:
    etag = await write(container, b"first", ABSENT)
    with pytest.raises(ConditionNotMetError):
        await write(container, b"second", ABSENT)
    assert await container.get("blob") == b"first"
    assert await container.find("blob") == Blob("blob", 5, md5(b"first"), etag, {})


@pytest.mark.parametrize("write", [put, commit])
async def test_a_blob_is_overwritten_under_its_etag_and_never_under_an_older_one(
    container: Container, write: Write
) -> None:
    first = await write(container, b"first", ABSENT)
    second = await write(container, b"second", Condition(first))
    assert second != first
    with pytest.raises(ConditionNotMetError):
        await write(container, b"late", Condition(first))
    assert await container.get("blob") == b"second"
    listed = [blob.etag async for blob in container.list("")]
    assert listed == [second]
    assert await write(container, b"third", Condition(listed[0]))


@pytest.mark.parametrize("write", [put, commit])
async def test_a_blob_that_is_gone_is_not_written_under_the_etag_it_had(
    container: Container, write: Write
) -> None:
    with pytest.raises(ConditionNotMetError):
        await write(container, b"late", Condition('"0x8DE0000000000"'))
    assert await container.find("blob") is None


async def test_a_range_is_what_there_is_of_it(container: Container) -> None:
    await container.put("a", b"0123456789", Properties())
    assert await container.get("a", 2, 3) == b"234"
    assert await container.get("a", 8, 100) == b"89"
    assert await container.get("a", 0, 100) == b"0123456789"
    assert await container.get("a", 4) == b"456789"


@pytest.mark.parametrize("wrong", [md5(b"other"), bytes(16)])
async def test_content_that_does_not_match_its_md5_is_not_stored(container: Container, wrong: bytes) -> None:
    with pytest.raises((StorageUnavailableError, BlobRefusedError)):
        await container.put("a", b"content", Properties(wrong))
    with pytest.raises((StorageUnavailableError, BlobRefusedError)):
        await container.stage("a", "b0", b"content", wrong)
    await container.put("witness", b"", Properties())
    assert await names_in(container) == ["witness"]


async def test_a_missing_blob_is_an_error(container: Container) -> None:
    await container.put("other", b"", Properties())
    with pytest.raises(FatalError, match="BlobNotFound"):
        await container.get("missing")
    assert await container.find("missing") is None


async def test_a_container_that_does_not_exist_has_no_blobs(container: Container) -> None:
    assert await names_in(container) == []
    assert await container.find("any") is None


async def test_a_listing_is_sorted_and_stops_at_its_prefix(container: Container) -> None:
    for name in ("b/2", "a/1", "b/10", "c", "b"):
        await container.put(name, b"", Properties())
    assert await names_in(container, "b/") == ["b/10", "b/2"]
    assert await names_in(container) == ["a/1", "b", "b/10", "b/2", "c"]


def whole(name: str, data: bytes, etag: str, metadata: dict[str, str]) -> Blob:
    return Blob(name, len(data), md5(data), etag, metadata)


@pytest.fixture
def source(request: pytest.FixtureRequest, container: Container) -> Container:
    """Another container, of the same kind and account as `container`."""
    if isinstance(container, MemoryContainer):
        return MemoryContainer()
    return request.getfixturevalue("storage").container(f"test-{uuid.uuid4().hex}")


@pytest.mark.parametrize("name", ["a/b c/ü🎉%41+&?#.txt", "日" * 300])
@pytest.mark.parametrize("data", [b"", b"hello", bytes(range(250)) * 10_000])
async def test_a_copy_has_what_its_source_has_and_the_container_is_made_for_it(
    container: Container, source: Container, name: str, data: bytes
) -> None:
    etag = await source.put(name, data, Properties(md5(data), "text/plain", {"mode": "644"}))
    assert await container.copy_from(source, name, etag, f"{name}/copy") is None
    copy = await container.find(f"{name}/copy")
    assert copy is not None
    assert copy == whole(f"{name}/copy", data, copy.etag, {"mode": "644"})
    assert await container.get(copy.name) == data
    assert await source.find(name) == whole(name, data, etag, {"mode": "644"})


@pytest.mark.parametrize("name", ["short", "日" * 300])
async def test_a_copy_never_overwrites_and_returns_what_is_there(
    container: Container, source: Container, name: str
) -> None:
    etag = await source.put(name, b"new", Properties(md5(b"new")))
    there = await container.put(name, b"first", Properties(md5(b"first"), None, {"a": "b"}))
    assert await container.copy_from(source, name, etag, name) == whole(name, b"first", there, {"a": "b"})
    assert await container.get(name) == b"first"


@pytest.mark.parametrize("name", ["short", "日" * 300])
async def test_a_copy_is_of_the_content_with_its_etag_or_there_is_none(
    container: Container, source: Container, name: str
) -> None:
    older = await source.put(name, b"older", Properties())
    await source.put(name, b"newer", Properties())
    with pytest.raises(SourceConditionNotMetError):
        await container.copy_from(source, name, older, "copy")
    with pytest.raises(BlobMissingError):
        await container.copy_from(source, f"{name}-other", older, "copy")
    await source.delete(name)
    with pytest.raises(BlobMissingError):
        await container.copy_from(source, name, older, "copy")
    assert await container.find("copy") is None


async def test_there_is_nothing_to_copy_in_a_container_that_does_not_exist(
    container: Container, source: Container
) -> None:
    with pytest.raises(BlobMissingError):
        await container.copy_from(source, "any", '"0x8DE0000000000"', "copy")


async def test_a_copy_stays_when_its_source_is_overwritten_or_deleted(
    container: Container, source: Container
) -> None:
    etag = await commit(source, b"first", ABSENT)
    await container.copy_from(source, "blob", etag, "copy")
    etag = await commit(source, b"second", Condition(etag))
    assert await source.delete("blob", Condition(etag))
    assert await container.get("copy") == b"first"


async def test_a_copy_goes_back_the_way_it_came(container: Container, source: Container) -> None:
    etag = await source.put("a", b"content", Properties(md5(b"content")))
    await container.copy_from(source, "a", etag, "copy")
    await source.delete("a")
    copy = await container.find("copy")
    assert copy is not None
    await source.copy_from(container, "copy", copy.etag, "a")
    assert await source.get("a") == b"content"


async def test_metadata_is_replaced_under_an_etag_and_the_content_stays(container: Container) -> None:
    first = await container.put("a", b"x", Properties(md5(b"x"), "text/plain", {"mode": "644", "old": "1"}))
    second = await container.set_metadata("a", {"mode": "600", "owner": "a b"}, Condition(first))
    assert second != first
    assert await container.find("a") == whole("a", b"x", second, {"mode": "600", "owner": "a b"})
    with pytest.raises(ConditionNotMetError):
        await container.set_metadata("a", {}, Condition(first))
    assert await container.find("a") == whole("a", b"x", second, {"mode": "600", "owner": "a b"})
    assert await container.get("a") == b"x"


async def test_a_blob_that_is_gone_has_no_metadata_to_set(container: Container) -> None:
    with pytest.raises(ConditionNotMetError):  # the container is not there either
        await container.set_metadata("a", {}, Condition('"0x8DE0000000000"'))
    etag = await container.put("a", b"", Properties())
    await container.delete("a")
    with pytest.raises(ConditionNotMetError):
        await container.set_metadata("a", {}, Condition(etag))


async def test_a_blob_is_deleted_once(container: Container) -> None:
    assert not await container.delete("a")  # the container is not there either
    etag = await container.put("a", b"", Properties())
    assert await container.delete("a")
    assert await container.find("a") is None
    assert not await container.delete("a")
    assert not await container.delete("a", Condition(etag))


async def test_a_blob_is_deleted_under_its_etag_and_never_under_an_older_one(container: Container) -> None:
    older = await container.put("a", b"older", Properties())
    newer = await container.put("a", b"newer", Properties())
    with pytest.raises(ConditionNotMetError):
        await container.delete("a", Condition(older))
    assert await container.get("a") == b"newer"
    assert await container.delete("a", Condition(newer))
    assert await names_in(container) == []


async def test_a_blob_that_is_put_again_after_its_deletion_has_another_etag(container: Container) -> None:
    first = await container.put("a", b"same", Properties())
    await container.delete("a")
    assert await container.put("a", b"same", Properties(), ABSENT) != first


async def test_a_listing_has_metadata_if_it_is_asked_for(container: Container) -> None:
    state = {"state": "running", "note": "a < b & c"}
    etag = await container.put("runs/1", b"{}", Properties(md5(b"{}"), None, state))
    await container.put("runs/2", b"", Properties())
    blobs = [blob async for blob in container.list("runs/", metadata=True)]
    assert blobs[0] == whole("runs/1", b"{}", etag, state)
    assert blobs[1].metadata == {}
    assert [blob.metadata async for blob in container.list("runs/")] == [None, None]
    assert (await container.page("runs/", metadata=True)).blobs == tuple(blobs)


async def test_a_listing_can_be_taken_up_at_the_marker_of_a_page(
    container: Container, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MemoryContainer, "page_size", 3)
    if isinstance(container, AzureContainer):
        small_pages(monkeypatch, 3)
    for number in range(8):
        await container.put(f"p/{number}", b"", Properties())
    await container.put("q", b"", Properties())
    first = await container.page("p/")
    assert [blob.name for blob in first.blobs] == ["p/0", "p/1", "p/2"]
    await container.delete("p/4")  # between two pages
    second = await container.page("p/", first.marker)
    third = await container.page("p/", second.marker)
    assert [blob.name for blob in second.blobs + third.blobs] == ["p/3", "p/5", "p/6", "p/7"]
    assert third.marker == ""
    assert await names_in(container, "p/") == [f"p/{number}" for number in (0, 1, 2, 3, 5, 6, 7)]


def small_pages(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    """Ask storage for pages of `size` blobs: its own would take thousands."""

    def asking(query: Mapping[str, str], **options: Any) -> str:
        return urlencode({**query, "maxresults": size} if query.get("comp") == "list" else query, **options)

    monkeypatch.setattr(requests, "urlencode", asking)
