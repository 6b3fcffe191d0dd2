"""How many requests to storage a task costs, as the emulator counts them."""

import os
import uuid
from collections import Counter
from collections.abc import AsyncGenerator, Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from localstack.azurite import Azurite
from sitebackup.activities.copier import SINGLE_PUT
from sitebackup.blobs.account import connect
from sitebackup.blobs.container import Properties
from sitebackup.engine.engine import Engine
from sitebackup.tally import Tally
from tests.e2e.support.proxy import Proxy, Request, storage_proxy
from tests.storage.conftest import NewEngine
from tests.support.tasks import remove, save, saved

COPY, PUT, HEAD, METADATA, DELETE, BLOCK, COMMIT = (
    "copy",
    "put",
    "head",
    "metadata",
    "delete",
    "block",
    "blocklist",
)


class Counting:
    """Counts the requests about the blob of `path`, and of its versions."""

    def __init__(self, proxy: Proxy, path: Path) -> None:
        self._proxy = proxy
        self._path = path
        self._made: Counter[str] = Counter()

    @contextmanager
    def expects(self, *requests: str) -> Generator[None]:
        """Fail unless the block makes exactly these requests."""
        self._made.clear()
        with self._proxy.rule(str(self._path), self._count):
            yield
        assert self._made == Counter(requests)

    def _count(self, request: Request) -> None:
        operation = request.query.partition("comp=")[2].partition("&")[0]
        is_copy = request.method == "PUT" and "/history-" in request.path
        self._made[COPY if is_copy else operation or request.method.lower()] += 1


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "f"


@pytest.fixture
def proxy(azurite: Azurite) -> Generator[Proxy]:
    with storage_proxy(azurite) as proxy:
        yield proxy


@pytest.fixture
async def engine(proxy: Proxy, new_engine: NewEngine) -> AsyncGenerator[Engine]:
    storage = connect({"AzureWebJobsStorage": proxy.connection_string})
    containers = [storage.container(f"{kind}-{uuid.uuid4().hex}") for kind in ("backups", "history")]
    for container in containers:
        await container.put("warm", b"", Properties())  # the container is there
    yield new_engine(*containers)
    await storage.close()


async def test_a_small_file(engine: Engine, proxy: Proxy, path: Path) -> None:
    made = Counting(proxy, path)
    path.write_bytes(b"1")
    with made.expects(PUT):  # new
        base = await saved(engine, path)
    with made.expects():  # read, and unchanged
        assert (await save(engine, path, base)).tally == Tally(files=1, bytes=1, unchanged=1)
    os.utime(path, ns=(1, 1))
    with made.expects(METADATA):  # touched
        base = await saved(engine, path, base)
    path.write_bytes(b"2")
    with made.expects(COPY, PUT):  # changed
        base = await saved(engine, path, base)
    path.write_bytes(b"1")
    with made.expects(COPY, PUT):  # changed back
        base = await saved(engine, path, base)
    path.write_bytes(b"2")
    with made.expects(COPY, HEAD, HEAD, PUT):  # and again: what it was is in the history already
        base = await saved(engine, path, base)
    path.unlink()
    with made.expects(COPY, HEAD, HEAD, DELETE):  # gone, and in the history already
        await remove(engine, path, base)
    path.write_bytes(b"3")
    base = await saved(engine, path)
    with made.expects(PUT, HEAD):  # there, but no run before knows it
        await saved(engine, path)
    path.unlink()
    with made.expects(COPY, DELETE):  # gone
        await remove(engine, path, base)


async def test_a_large_file(engine: Engine, proxy: Proxy, path: Path) -> None:
    made = Counting(proxy, path)
    path.write_bytes(b"1" * (SINGLE_PUT + 1))
    with made.expects(HEAD, BLOCK, BLOCK, COMMIT):  # new
        base = await saved(engine, path)
    with made.expects():  # read, and unchanged
        assert (await save(engine, path, base)).tally == Tally(files=1, bytes=SINGLE_PUT + 1, unchanged=1)
    os.utime(path, ns=(1, 1))
    with made.expects(METADATA):  # touched
        base = await saved(engine, path, base)
    path.write_bytes(b"2" * (SINGLE_PUT + 1))
    with made.expects(BLOCK, BLOCK, COPY, COMMIT):  # changed
        base = await saved(engine, path, base)
    with made.expects(HEAD):  # there, but no run before knows it
        await saved(engine, path)
    path.unlink()
    with made.expects(COPY, DELETE):  # gone
        await remove(engine, path, base)
