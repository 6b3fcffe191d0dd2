"""`localstack/azurite_indexes.js` makes the emulator as fast with many blobs as with few, and no more."""

import asyncio
import json
import random
import shutil
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import aiohttp
import psutil
import pytest
from azure.core.exceptions import HttpResponseError
from azure.storage.blob import ContainerClient, ContainerSasPermissions, generate_container_sas

from localstack import azurite as starter
from localstack.azurite import Azurite
from localstack.settings import PROJECT, EmulatorPorts

INDEXES = PROJECT / "localstack/azurite_indexes.js"
FREE_PORTS = EmulatorPorts(0, 0, 0)


async def test_no_request_costs_more_where_there_are_thousands_of_blobs() -> None:
    with Azurite(FREE_PORTS, data=None) as emulator:
        process = _process_at(emulator.ports.blob)
        async with _requests(emulator) as at_once:
            for _ in range(2):
                await _costs(process, at_once)  # these pay for compiling
            few = await _costs(process, at_once)
            await at_once("put", (f"other-{number}" for number in range(5000)))
            many = await _costs(process, at_once)

    # Measured: 0.6 to 1.6 of the cost, and 3 to 15 where the emulator is left as it is.
    assert {kind: many[kind] / few[kind] for kind in few if many[kind] > 2.2 * few[kind]} == {}


def test_an_emulator_on_another_version_of_its_database_is_left_as_it_is_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    module = tmp_path / "node_modules/lokijs"
    module.mkdir(parents=True)
    (module / "package.json").write_text('{"version": "1.5.13", "main": "lokijs.js"}')
    (module / "lokijs.js").write_text("throw new Error('It has been loaded.')")
    monkeypatch.setattr(starter, "_INDEXES", shutil.copy(INDEXES, tmp_path / INDEXES.name))

    with Azurite(FREE_PORTS, data=None) as emulator:
        said = capsys.readouterr().err
        _a_container(emulator).upload_blob("a", b"it works")

    assert "leaves LokiJS 1.5.13 as it is" in said


def test_what_is_answered_and_stored_is_what_the_emulator_answers_and_stores_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Azurite(FREE_PORTS, tmp_path / "indexed") as emulator:
        answers = _a_history(_a_container(emulator))
    with monkeypatch.context() as patched:
        nothing = tmp_path / "nothing.js"
        nothing.touch()
        patched.setattr(starter, "_INDEXES", nothing)
        with Azurite(FREE_PORTS, tmp_path / "by itself") as emulator:
            expected = _a_history(_a_container(emulator))

    assert answers == expected
    assert _stored(tmp_path / "indexed") == _stored(tmp_path / "by itself")


def _a_history(container: ContainerClient) -> list[object]:
    """Do 600 things to a few of many blobs, the same ones each time; returns what the emulator answered."""
    for number in range(320):  # among so few rows it would rebuild the indexes for ten of them
        container.upload_blob(f"other-{number}", b"")
    names = ["1", "01", "1.0", "0x1", "a", "a/b", "b", "other-7"]  # four that an index takes for one number
    chance = random.Random(0)  # noqa: S311 - no secret
    answers: list[object] = []
    for number in range(600):
        step, name = chance.choice(_STEPS), chance.choice(names)
        try:
            answers.append(step(container, name, str(number)))
        except HttpResponseError as error:
            answers.append((error.status_code, error.reason))
        if number % 60 == 0:
            answers.append(_listed(container, None))
    _delete_all(container, "other-1", "")
    for number in range(2, 6):  # rows that are not the last ones move, too, and no rebuild comes after them
        _set_metadata(container, f"other-{number}", "0")
    _delete_all(container, "other-10", "")
    return answers


def _listed(container: ContainerClient, prefix: str | None, _: object = None) -> object:
    return [
        (blob.name, blob.snapshot is None, blob.metadata, blob.size)
        for blob in container.list_blobs(prefix, include=["snapshots", "metadata", "uncommittedblobs"])
    ]


def _put(container: ContainerClient, name: str, number: str) -> None:
    container.upload_blob(name, b"content", metadata={"number": number}, overwrite=True)


def _set_metadata(container: ContainerClient, name: str, number: str) -> None:
    container.get_blob_client(name).set_blob_metadata({"number": number})


def _take_snapshot(container: ContainerClient, name: str, number: str) -> None:
    container.get_blob_client(name).create_snapshot({"number": number})


def _stage_block(container: ContainerClient, name: str, number: str) -> None:
    container.get_blob_client(name).stage_block(number[-1], b"block")


def _commit_blocks(container: ContainerClient, name: str, number: str) -> None:
    blob = container.get_blob_client(name)
    committed, staged = blob.get_block_list("all")
    blob.commit_block_list([*committed[:3], *staged], metadata={"number": number})


def _delete(container: ContainerClient, name: str, _: str) -> None:
    container.delete_blob(name)


def _delete_a_snapshot(container: ContainerClient, name: str, _: str) -> None:
    blobs = container.list_blobs(name, include=["snapshots"])
    if snapshot := next((blob for blob in blobs if blob.name == name and blob.snapshot), None):
        container.get_blob_client(name, snapshot=snapshot.snapshot).delete_blob()


def _delete_snapshots(container: ContainerClient, name: str, _: str) -> None:
    container.delete_blob(name, delete_snapshots="only")


def _delete_all(container: ContainerClient, name: str, _: str) -> None:
    container.delete_blob(name, delete_snapshots="include")


_STEPS: Sequence[Callable[[ContainerClient, str, str], object]] = (
    *(_put, _put, _set_metadata, _take_snapshot, _take_snapshot, _stage_block, _stage_block, _commit_blocks),
    *(_delete, _delete_a_snapshot, _delete_snapshots, _delete_all, _listed),
)


def _stored(data: Path) -> object:
    """The emulator's database as it saved it, with its indexes, but for what differs each time."""
    database = json.loads((data / "__azurite_db_blob__.json").read_text(encoding="utf-8"))
    return _settled(database["collections"])


def _settled(value: Any) -> object:
    if isinstance(value, list):
        return [_settled(each) for each in cast(list[object], value)]
    if not isinstance(value, dict):
        return value
    return {
        key: _settled(each) for key, each in cast(dict[str, object], value).items() if key not in _VARYING
    }


_VARYING = {
    *("etag", "creationTime", "lastModified", "accessTierChangeTime", "created", "updated"),
    *("persistency", "snapshot"),
}


type AtOnce = Callable[[str, Iterable[str]], Awaitable[None]]


async def _costs(process: psutil.Process, at_once: AtOnce) -> dict[str, float]:
    """Seconds of processor time that the emulator takes for 300 requests of each kind."""
    costs: dict[str, float] = {}
    for kind in ("put", "overwrite", "properties", "metadata", "copy", "delete"):
        before = sum(process.cpu_times()[:2])
        await at_once(kind, (f"blob-{number}" for number in range(300)))
        costs[kind] = sum(process.cpu_times()[:2]) - before
    return costs


@asynccontextmanager
async def _requests(emulator: Azurite) -> AsyncGenerator[AtOnce]:
    """Makes requests of a kind, one a name, 32 at once; the storage client would take longer than they do."""
    container = _a_container(emulator)
    signature = generate_container_sas(
        str(container.account_name),
        container.container_name,
        account_key=container.credential.account_key,
        permission=ContainerSasPermissions(read=True, write=True, delete=True),
        expiry=datetime.now(UTC) + timedelta(hours=1),
    )

    def url(name: str) -> str:
        return f"{container.url}/{name}?{signature}"

    async with aiohttp.ClientSession(raise_for_status=True) as session:
        requests: dict[str, Callable[[str], AbstractAsyncContextManager[aiohttp.ClientResponse]]] = {
            "put": lambda name: session.put(
                url(name), data=b"content", headers={"x-ms-blob-type": "BlockBlob"}
            ),
            "properties": lambda name: session.head(url(name)),
            "metadata": lambda name: session.put(f"{url(name)}&comp=metadata", headers={"x-ms-meta-a": "b"}),
            "copy": lambda name: session.put(url(f"copy-{name}"), headers={"x-ms-copy-source": url(name)}),
            "delete": lambda name: session.delete(url(name)),
        }
        requests["overwrite"] = requests["put"]

        async def at_once(kind: str, names: Iterable[str]) -> None:
            waiting = iter(names)

            async def work() -> None:
                for name in waiting:
                    async with requests[kind](name):
                        pass

            await asyncio.gather(*(work() for _ in range(32)))

        yield at_once


def _a_container(emulator: Azurite) -> ContainerClient:
    container = ContainerClient.from_connection_string(emulator.connection_string, "container")
    container.create_container()
    return container


def _process_at(port: int) -> psutil.Process:
    """The child process that listens at `port`."""
    return next(
        child
        for child in psutil.Process().children()
        if any(each.laddr.port == port for each in child.net_connections())
    )
