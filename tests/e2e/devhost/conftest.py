"""Running hosts, shared by the tests that leave them as they found them."""

import json
from collections.abc import Generator
from pathlib import Path

import pytest

from .hosts import APPS, LocalHost, copy_app, host_process


@pytest.fixture(scope="session")
def durable(tmp_path_factory: pytest.TempPathFactory) -> Generator[LocalHost]:
    """A host with the sample app of orchestrations and entities."""
    log = tmp_path_factory.mktemp("durable") / "log"
    with host_process(APPS / "durable", log) as host:
        yield host.ready()


@pytest.fixture(scope="session")
def web(tmp_path_factory: pytest.TempPathFactory) -> Generator[LocalHost]:
    """A host with the sample app of HTTP functions; keys are not enforced."""
    directory = tmp_path_factory.mktemp("web")
    app = copy_app("http", directory, '{"version": "2.0"}')
    values = {"FROM_SETTINGS": "settings", "FROM_BOTH": "settings"}
    local_settings = {
        "IsEncrypted": False,
        "Values": values,
        "ConnectionStrings": {"Db": "Server=here"},
        "Host": {"CORS": "https://one.example,https://two.example", "CORSCredentials": True},
    }
    (app / "local.settings.json").write_text(json.dumps(local_settings))
    environment = {
        "FROM_BOTH": "environment",
        "AzureWebJobs.switched_off.Disabled": "true",
        "TICK_FILE": str(directory / "tick"),
    }
    with host_process(app, directory / "log", environment=environment) as host:
        yield host.ready()


@pytest.fixture
def own_log(tmp_path: Path) -> Path:
    """Where a host of the test's own may write."""
    return tmp_path / "host.log"
