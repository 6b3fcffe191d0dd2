"""One contract for every container."""

import hashlib
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from sitebackup.blobs.container import ABSENT, Blob, Condition, Container, Properties
from sitebackup.errors import BlobRefusedError, ConditionNotMetError, FatalError, StorageUnavailableError


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
