"""The yardsticks: uploads with nothing around them. Each function returns the seconds that it took."""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path

from azure.storage.blob.aio import ContainerClient

from sitebackup import digests
from sitebackup.blobs.account import connect
from sitebackup.blobs.container import Properties
from sitebackup.names import BACKUPS_CONTAINER
from sitebackup.tree import reading
from sitebackup.tree.attributes import Attributes

CONCURRENCY = 32
"""Files in flight, here as in the app."""

BLOCKS_AT_ONCE = 8
"""Blocks of one file in flight; the app has fewer."""


def storage_client_loop(storage: str, tree: Path) -> float:
    """Upload a tree with `ContainerClient.upload_blob`, `CONCURRENCY` files at once."""
    return asyncio.run(_storage_client_loop(storage, tree))


def own_upload_loop(storage: str, tree: Path) -> float:
    """Upload a tree with the app's own requests, everything that goes into them at hand already."""
    return asyncio.run(_own_upload_loop(storage, {path: _ready(path) for path in _paths(tree)}))


def one_blob(storage: str, tree: Path) -> float:
    """Upload a tree's only file with `BlobClient.upload_blob`, `BLOCKS_AT_ONCE` blocks at once."""
    (path,) = tree.iterdir()
    return asyncio.run(_one_blob(storage, path))


async def _storage_client_loop(storage: str, tree: Path) -> float:
    async with ContainerClient.from_connection_string(storage, BACKUPS_CONTAINER) as container:

        async def upload(path: str) -> None:
            with open(path, "rb") as file:  # noqa: ASYNC230, PTH123 - a bare loop has no thread to wait in
                await container.upload_blob(path.lstrip("/"), file, overwrite=True)

        return await _drive(_paths(tree), upload)


async def _own_upload_loop(storage: str, blobs: Mapping[str, tuple[bytes, Properties]]) -> float:
    connection = connect({"AzureWebJobsStorage": storage})
    container = connection.container(BACKUPS_CONTAINER)

    async def upload(path: str) -> None:
        await container.put(path.lstrip("/"), *blobs[path])

    try:
        return await _drive(blobs, upload)
    finally:
        await connection.close()


def _ready(path: str) -> tuple[bytes, Properties]:
    data = Path(path).read_bytes()
    metadata = Attributes.of(os.stat(path)).to_metadata()  # noqa: PTH116 - what the app keeps of a file
    return data, Properties(digests.md5(data), reading.content_type(path), metadata)


async def _one_blob(storage: str, path: Path) -> float:
    async with ContainerClient.from_connection_string(storage, BACKUPS_CONTAINER) as container:
        begin = time.perf_counter()
        with path.open("rb") as file:
            blob = container.get_blob_client(path.name)
            await blob.upload_blob(file, overwrite=True, max_concurrency=BLOCKS_AT_ONCE)
        return time.perf_counter() - begin


async def _drive(paths: Iterable[str], upload: Callable[[str], Awaitable[None]]) -> float:
    waiting = iter(list(paths))

    async def worker() -> None:
        for path in waiting:
            await upload(path)

    begin = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(CONCURRENCY):
            group.create_task(worker())
    return time.perf_counter() - begin


def _paths(tree: Path) -> list[str]:
    return [os.path.join(folder, name) for folder, _, names in os.walk(tree) for name in names]  # noqa: PTH118
