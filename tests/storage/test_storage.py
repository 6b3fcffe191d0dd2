"""Connecting, and what an unfriendly storage turns into."""

import asyncio
import socket
import time
import traceback
import uuid
from collections.abc import AsyncGenerator, Awaitable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta

import pytest
from azure.storage.blob import AccountSasPermissions, ResourceTypes, generate_account_sas

from localstack.azurite import Azurite
from sitebackup.blobs.account import connect
from sitebackup.blobs.container import ABSENT, Properties
from sitebackup.engine.process import ProcessEngine
from sitebackup.errors import (
    BlobMissingError,
    BlobRefusedError,
    ConditionNotMetError,
    FatalError,
    SourceConditionNotMetError,
    StorageUnavailableError,
)
from sitebackup.settings import Settings
from tests.e2e.support.proxy import Request, Trouble, always, at_first, storage_proxy

SECRET = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldC0="  # noqa: S105 - the point is that it never shows


def emulator_with_another_key(azurite: Azurite) -> str:
    parts = dict(part.split("=", 1) for part in azurite.connection_string.strip(";").split(";"))
    return ";".join(f"{key}={value}" for key, value in {**parts, "AccountKey": SECRET}.items())


def test_storage_that_is_not_configured_says_so() -> None:
    with pytest.raises(FatalError, match=r"^AzureWebJobsStorage is not configured\.$"):
        connect({})


@pytest.mark.parametrize("name", ["AzureWebJobsStorage", "BackupStorage"])
def test_a_connection_string_that_cannot_be_read_is_named_and_not_quoted(name: str) -> None:
    with pytest.raises(FatalError, match=f"^{name} is not a valid connection string") as failed:
        connect({name: f"AccountKey:{SECRET}"})
    assert SECRET not in "".join(traceback.format_exception(failed.value))


async def test_a_wrong_key_is_fatal_at_once_and_stays_secret(azurite: Azurite) -> None:
    storage = connect({"AzureWebJobsStorage": emulator_with_another_key(azurite)})
    try:
        with pytest.raises(FatalError, match=r"^Storage refuses the app's credentials \(Auth") as failed:
            await storage.container("backups").put("a", b"", Properties())
        assert SECRET not in "".join(traceback.format_exception(failed.value))
        assert SECRET not in repr(storage)
    finally:
        await storage.close()


async def test_a_shared_access_signature_is_enough(azurite: Azurite) -> None:
    parts = dict(part.split("=", 1) for part in azurite.connection_string.strip(";").split(";"))
    signature = generate_account_sas(
        parts["AccountName"],
        parts["AccountKey"],
        ResourceTypes(container=True, object=True),
        AccountSasPermissions(read=True, write=True, list=True, create=True, delete=True),
        datetime.now(UTC) + timedelta(minutes=5),
    )
    endpoint = f"BlobEndpoint={parts['BlobEndpoint']};SharedAccessSignature={signature}"
    storage = connect({"AzureWebJobsStorage": endpoint})
    name = f"test-{uuid.uuid4().hex}"
    container = storage.container(name)
    try:
        etag = await container.put("a b/ü", b"hello", Properties())
        assert await container.get("a b/ü") == b"hello"
        await storage.container(f"{name}-copies").copy_from(container, "a b/ü", etag, "copy/ü")
        assert await storage.container(f"{name}-copies").get("copy/ü") == b"hello"
        assert await container.delete("a b/ü")
        assert "sig=" not in storage.url
    finally:
        await storage.close()


async def test_backup_storage_is_preferred(azurite: Azurite) -> None:
    name = f"test-{uuid.uuid4().hex}"
    storage = connect(
        {
            "AzureWebJobsStorage": emulator_with_another_key(azurite),
            "BackupStorage": azurite.connection_string,
        }
    )
    try:
        await storage.container(name).put("a", b"", Properties())
    finally:
        await storage.close()


@pytest.mark.parametrize(
    "environment",
    [
        {"AzureWebJobsStorage__accountName": "site"},
        {"AzureWebJobsStorage__blobServiceUri": "https://site.blob.core.windows.net"},
        {
            "AzureWebJobsStorage__blobServiceUri": "https://site.blob.core.windows.net",
            "AzureWebJobsStorage__credential": "managedidentity",
            "AzureWebJobsStorage__clientId": "00000000-0000-0000-0000-000000000000",
        },
        {"AzureWebJobsStorage": SECRET, "BackupStorage__accountName": "site"},
    ],
)
async def test_an_identity_needs_no_connection_string(environment: dict[str, str]) -> None:
    storage = connect(environment)
    assert storage.url == "https://site.blob.core.windows.net/"
    await storage.close()


async def test_storage_that_does_not_answer_is_unavailable() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound and not listening: refuses connections
        port = closed.getsockname()[1]
        address = f"AccountName=a;AccountKey={SECRET};BlobEndpoint=http://127.0.0.1:{port}/a"
        storage = connect({"AzureWebJobsStorage": address}, retries=1)
        try:
            with pytest.raises(StorageUnavailableError, match="does not answer"):
                await storage.container("backups").put("a", b"", Properties())
        finally:
            await storage.close()


async def test_in_an_outage_a_request_is_tried_once_and_after_it_as_often_as_before(azurite: Azurite) -> None:
    name = f"test-{uuid.uuid4().hex}"
    with storage_proxy(azurite) as proxy:
        storage = connect({"AzureWebJobsStorage": proxy.connection_string}, retries=1)
        container = storage.container(name)

        async def tries(request: Awaitable[object]) -> int:
            before = proxy.made(name)
            with pytest.raises(StorageUnavailableError):
                await request
            return proxy.made(name) - before

        try:
            with proxy.rule(name, always(Trouble.BUSY)):
                puts = [await tries(container.put("a", b"", Properties())) for _ in range(3)]
                assert puts == [2, 1, 1]
                assert await tries(container.find("a")) == 1  # through the storage client
            await container.put("a", b"", Properties())
            with proxy.rule(name, at_first(1, Trouble.BUSY)):
                await container.put("a", b"", Properties())
        finally:
            await storage.close()


@asynccontextmanager
async def a_service_that_answers(status: int, code: str) -> AsyncGenerator[str]:
    """A service that refuses whatever it is asked; yields a connection string."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        headers = f"x-ms-error-code: {code}\r\nConnection: close\r\nContent-Length: 0\r\n"
        writer.write(f"HTTP/1.1 {status} No\r\n{headers}\r\n".encode())
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        yield f"AccountName=a;AccountKey={SECRET};BlobEndpoint=http://127.0.0.1:{port}/a"


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        (409, "BlobAlreadyExists", ConditionNotMetError),
        (412, "ConditionNotMet", ConditionNotMetError),
        (412, "TargetConditionNotMet", ConditionNotMetError),
        (412, "SourceConditionNotMet", SourceConditionNotMetError),
        (404, "BlobNotFound", BlobMissingError),
        (412, "LeaseIdMissing", BlobRefusedError),
        (409, "CodeOfNextYear", BlobRefusedError),
        (412, "CodeOfNextYear", BlobRefusedError),
        (400, "CodeOfNextYear", BlobRefusedError),
        (409, "ContainerBeingDeleted", StorageUnavailableError),
        (429, "CodeOfNextYear", StorageUnavailableError),
        (503, "CodeOfNextYear", StorageUnavailableError),
        (403, "CodeOfNextYear", FatalError),
    ],
)
async def test_each_code_has_its_error_and_an_unknown_one_is_about_the_one_blob(
    status: int, code: str, error: type[Exception]
) -> None:
    async with a_service_that_answers(status, code) as connection_string:
        storage = connect({"AzureWebJobsStorage": connection_string}, retries=0)
        container = storage.container("backups")
        try:
            with pytest.raises(error, match=code) as small:
                await container.put("a", b"", Properties(), ABSENT)
            with pytest.raises(error, match=code) as large:
                await container.commit("a", [], Properties(), ABSENT)
        finally:
            await storage.close()
    assert type(small.value) is type(large.value) is error


@pytest.mark.parametrize(
    ("trouble", "tries"), [(Trouble.BUSY_FOR_5_SECONDS, 2), (Trouble.BUSY_FOR_AN_HOUR, 1)]
)
async def test_a_busy_service_is_not_asked_again_before_it_wishes_and_an_hour_is_not_waited_for(
    azurite: Azurite, trouble: Trouble, tries: int
) -> None:
    name = f"test-{uuid.uuid4().hex}"
    asked: list[float] = []

    def busy(_: Request) -> Trouble:
        asked.append(time.monotonic())
        return trouble

    with storage_proxy(azurite) as proxy:
        storage = connect({"AzureWebJobsStorage": proxy.connection_string}, retries=1)
        try:
            with proxy.rule(name, busy), pytest.raises(StorageUnavailableError, match="ServerBusy"):
                await storage.container(name).put("a", b"", Properties())
        finally:
            await storage.close()
    assert len(asked) == tries
    assert asked[-1] - asked[0] >= 5 * (tries - 1)


@pytest.mark.parametrize("trouble", [Trouble.BUSY, Trouble.BUSY_SILENT, Trouble.TOO_MANY])
async def test_a_busy_answer_leaves_fewer_requests_at_once_though_the_client_tries_again(
    azurite: Azurite, trouble: Trouble
) -> None:
    name = f"test-{uuid.uuid4().hex}"
    with storage_proxy(azurite) as proxy:
        process = ProcessEngine(
            Settings((), concurrency=32, list_budget=1), {"AzureWebJobsStorage": proxy.connection_string}
        )
        engine = process()
        try:
            with proxy.rule("/backups/", at_first(1, trouble)), suppress(StorageUnavailableError):
                await engine.backups.put(name, b"", Properties())
            assert engine.transfers.slots == 16
        finally:
            await process.close()


async def test_a_request_that_waits_for_its_next_try_keeps_no_other_waiting(azurite: Azurite) -> None:
    reached = asyncio.Event()
    loop = asyncio.get_running_loop()

    def busy(_: Request) -> Trouble:
        loop.call_soon_threadsafe(reached.set)
        return Trouble.BUSY_FOR_5_SECONDS

    with storage_proxy(azurite) as proxy:
        process = ProcessEngine(
            Settings((), concurrency=1, list_budget=1), {"AzureWebJobsStorage": proxy.connection_string}
        )
        engine = process()

        async def put(name: str) -> None:
            async with engine.transfers:
                await engine.backups.put(name, b"", Properties())

        refused, taken = uuid.uuid4().hex, uuid.uuid4().hex
        try:
            with proxy.rule(refused, busy):
                waiting = asyncio.ensure_future(put(refused))
                await asyncio.wait_for(reached.wait(), 10)
                await asyncio.wait_for(put(taken), 4)
                assert not waiting.done()
                waiting.cancel()
                await asyncio.gather(waiting, return_exceptions=True)
            await asyncio.wait_for(put(refused), 4)
        finally:
            await process.close()
