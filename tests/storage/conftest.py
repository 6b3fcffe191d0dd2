"""Fixtures of the storage tests: containers of every kind, empty, and an engine that uses them."""

import uuid
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

import pytest

from localstack.azurite import Azurite
from sitebackup.blobs.account import Storage, connect
from sitebackup.blobs.container import Container
from sitebackup.engine.engine import MEMORY, Engine
from sitebackup.engine.limits import ByteBudget
from sitebackup.settings import Settings
from tests.support.memory import MemoryContainer


@pytest.fixture
async def storage(azurite: Azurite) -> AsyncGenerator[Storage]:
    """A connection to the emulator."""
    connection = connect({"AzureWebJobsStorage": azurite.connection_string})
    yield connection
    await connection.close()


@pytest.fixture(params=["azurite", "memory"])
def container(request: pytest.FixtureRequest) -> Container:
    """A container of each kind that does not exist yet."""
    if request.param == "memory":
        return MemoryContainer()
    return request.getfixturevalue("storage").container(f"test-{uuid.uuid4().hex}")


@pytest.fixture
def backups() -> MemoryContainer:
    """Where the copies of `engine` go."""
    return MemoryContainer()


@pytest.fixture
def runs() -> MemoryContainer:
    """Where the plans and outcomes of `engine` go."""
    return MemoryContainer()


@pytest.fixture
def history() -> MemoryContainer:
    """Where `engine` keeps what it overwrites or deletes."""
    return MemoryContainer()


@pytest.fixture
def catalog() -> MemoryContainer:
    """Where the records and manifests of `engine` go."""
    return MemoryContainer()


async def goes_on(_: str) -> bool:
    """A task hub that says of every run that it is not over."""
    return False


@asynccontextmanager
async def an_engine(
    backups: Container,
    runs: Container,
    root: Path,
    *,
    history: Container | None = None,
    catalog: Container | None = None,
    list_budget: int = 20_000,
) -> AsyncGenerator[Engine]:
    """An engine that may back up `root`."""
    settings = Settings((str(root),), concurrency=8, list_budget=list_budget)
    engine = Engine(settings, backups, runs, history or MemoryContainer(), catalog or MemoryContainer())
    try:
        yield engine
    finally:
        engine.close()


@pytest.fixture
async def engine(
    backups: MemoryContainer,
    runs: MemoryContainer,
    history: MemoryContainer,
    catalog: MemoryContainer,
    tmp_path: Path,
) -> AsyncGenerator[Engine]:
    """An engine that may back up the test's own directory."""
    async with an_engine(backups, runs, tmp_path, history=history, catalog=catalog) as engine:
        yield engine


type NewEngine = Callable[..., Engine]
"""Makes an engine with these `backups`, and maybe with a `history` and with so many bytes of `memory`."""


@pytest.fixture
def new_engine(runs: MemoryContainer, catalog: MemoryContainer, tmp_path: Path) -> Generator[NewEngine]:
    """Makes engines that may back up the test's own directory, as if each were a process of its own."""
    with ExitStack() as engines:

        def make(backups: Container, history: Container | None = None, memory: int = MEMORY) -> Engine:
            settings = Settings((str(tmp_path),), concurrency=8, list_budget=20_000)
            engine = Engine(settings, backups, runs, history or MemoryContainer(), catalog)
            engine.memory = ByteBudget(memory)
            engines.callback(engine.close)
            return engine

        yield make
