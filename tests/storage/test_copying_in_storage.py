"""Copies that the service makes, when it takes its time, fails or is not heard; deletions not heard."""

import asyncio
import uuid
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager

import pytest
from azure.storage.blob import BlobClient

from localstack.azurite import Azurite
from sitebackup.blobs import azure
from sitebackup.blobs.account import connect
from sitebackup.blobs.azure import AzureContainer
from sitebackup.blobs.container import Condition, Properties
from sitebackup.errors import BlobMissingError, SourceConditionNotMetError, StorageUnavailableError
from tests.e2e.support.proxy import Trouble, at_first, storage_proxy

ETAG = '"0x1"'
KEY = "c2VjcmV0"

type Answer = tuple[int, dict[str, str]]
"""A status and headers."""

PENDING: Answer = (202, {"x-ms-copy-status": "pending"})
THERE: Answer = (409, {"x-ms-error-code": "BlobAlreadyExists"})


def blob(status: str) -> Answer:
    return 200, {"ETag": ETAG, "Content-Length": "5", "x-ms-copy-status": status}


@asynccontextmanager
async def a_service(
    answers: Mapping[str, Sequence[Answer]],
) -> AsyncGenerator[tuple[AzureContainer, list[str]]]:
    """A service with these answers to requests of a method, the last of them for ever.

    Yields a container of it, and what it was asked.
    """
    asked: list[str] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        method = head.split(" ")[0]
        before = asked.count(method)
        asked.append(method)
        status, headers = answers[method][min(before, len(answers[method]) - 1)]
        lines = {"Content-Length": "0", "Connection": "close", **headers}
        text = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        writer.write(f"HTTP/1.1 {status} Said\r\n{text}\r\n".encode())
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        address = f"AccountName=a;AccountKey={KEY};BlobEndpoint=http://127.0.0.1:{port}/a"
        storage = connect({"AzureWebJobsStorage": address}, retries=0)
        try:
            yield storage.container("backup-history"), asked
        finally:
            await storage.close()


async def test_a_copy_that_takes_its_time_is_waited_for() -> None:
    answers = {"PUT": [PENDING], "HEAD": [blob("pending"), blob("success")]}
    async with a_service(answers) as (container, asked):
        copied = await container.copy_from(container, "a", ETAG, "b")
    assert copied is not None
    assert copied.size == 5
    assert asked == ["PUT", "HEAD", "HEAD"]


async def test_so_is_one_that_another_attempt_has_begun() -> None:
    answers = {"PUT": [THERE], "HEAD": [blob("pending"), blob("pending"), blob("success")]}
    async with a_service(answers) as (container, asked):
        assert await container.copy_from(container, "a", ETAG, "b") is not None
    assert asked.count("HEAD") == 3


async def test_a_copy_that_takes_too_long_is_waited_for_again_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(azure, "COPY_TIMEOUT", 0.3)
    answers = {"PUT": [PENDING, THERE], "HEAD": [blob("pending"), blob("success")]}
    async with a_service(answers) as (container, _):
        with pytest.raises(StorageUnavailableError):
            await container.copy_from(container, "a", ETAG, "b")
        assert await container.copy_from(container, "a", ETAG, "b") is not None


@pytest.mark.parametrize("status", ["failed", "aborted"])
async def test_a_copy_that_failed_is_cleared_away_for_another_one(status: str) -> None:
    copied: Answer = (202, {"x-ms-copy-status": "success"})
    deleted: Answer = (202, {})
    answers = {"PUT": [PENDING, copied], "HEAD": [blob("pending"), blob(status)], "DELETE": [deleted]}
    async with a_service(answers) as (container, asked):
        with pytest.raises(StorageUnavailableError):
            await container.copy_from(container, "a", ETAG, "b")
        assert await container.copy_from(container, "a", ETAG, "b") is None
    assert asked == ["PUT", "HEAD", "HEAD", "DELETE", "PUT"]


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        (404, "CannotVerifyCopySource", BlobMissingError),
        (404, "BlobNotFound", BlobMissingError),
        (412, "CannotVerifyCopySource", SourceConditionNotMetError),
        (412, "SourceConditionNotMet", SourceConditionNotMetError),
        (503, "CannotVerifyCopySource", StorageUnavailableError),
    ],
)
async def test_what_is_wrong_with_the_source_is_told_apart(
    status: int, code: str, error: type[Exception]
) -> None:
    async with a_service({"PUT": [(status, {"x-ms-error-code": code})]}) as (container, _):
        with pytest.raises(error, match=code):
            await container.copy_from(container, "a", ETAG, "b")


@pytest.mark.parametrize("code", ["ConditionNotMet", "TargetConditionNotMet"])
async def test_a_condition_that_is_not_met_is_the_source_s_unless_there_is_a_blob(code: str) -> None:
    refused: Answer = (412, {"x-ms-error-code": code})
    async with a_service({"PUT": [refused], "HEAD": [blob("success"), (404, {})]}) as (container, _):
        # One look at what stands in the way, and one at whether it is complete.
        with pytest.raises(StorageUnavailableError):
            await container.copy_from(container, "a", ETAG, "b")
    async with a_service({"PUT": [refused], "HEAD": [blob("success")]}) as (container, _):
        assert await container.copy_from(container, "a", ETAG, "b") is not None
    async with a_service({"PUT": [refused], "HEAD": [(404, {})]}) as (container, _):
        with pytest.raises(SourceConditionNotMetError):
            await container.copy_from(container, "a", ETAG, "b")


@pytest.mark.parametrize(("name", "status"), [("short", "success"), ("日" * 300, None)])
async def test_a_copy_is_the_service_s_unless_no_request_could_name_its_source_and_both_keep_the_type(
    azurite: Azurite, name: str, status: str | None
) -> None:
    container = f"test-{uuid.uuid4().hex}"
    storage = connect({"AzureWebJobsStorage": azurite.connection_string})
    backups, history = storage.container(container), storage.container(f"{container}-history")
    try:
        etag = await backups.put(name, b"content", Properties(content_type="text/x"))
        assert await history.copy_from(backups, name, etag, name) is None
    finally:
        await storage.close()
    with BlobClient.from_connection_string(azurite.connection_string, f"{container}-history", name) as blob:
        properties = blob.get_blob_properties()
    assert properties.content_settings.content_type == "text/x"
    assert properties.copy.status == status


@pytest.mark.parametrize("trouble", [Trouble.RESET, Trouble.ANSWER_RESET, Trouble.BUSY, Trouble.INTERNAL])
async def test_what_is_not_heard_at_once_is_done_all_the_same(azurite: Azurite, trouble: Trouble) -> None:
    name = f"test-{uuid.uuid4().hex}"
    with storage_proxy(azurite) as proxy:
        storage = connect({"AzureWebJobsStorage": proxy.connection_string})
        backups, history = storage.container(name), storage.container(f"{name}-history")
        try:
            etag = await backups.put("a", b"content", Properties())
            with proxy.rule("/copy", at_first(1, trouble)):
                await history.copy_from(backups, "a", etag, "copy")
            with proxy.rule("/a", at_first(1, trouble)):
                is_lost = trouble is Trouble.ANSWER_RESET
                assert await backups.delete("a", Condition(etag)) is not is_lost
            assert await history.get("copy") == b"content"
            assert await backups.find("a") is None
        finally:
            await storage.close()
