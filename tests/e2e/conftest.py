"""Fixtures of the end-to-end tests: the app in a running host, and the host's words when a test fails."""

import os
from collections.abc import Generator
from contextlib import ExitStack
from typing import Protocol

import pytest

from localstack.azurite import Azurite
from tests.e2e.support.apps import RunningApp, app_elsewhere, running_app
from tests.e2e.support.proxy import Proxy, storage_proxy

_HOSTS = pytest.StashKey[list[RunningApp]]()
_TAIL = 8_000


class NewApp(Protocol):
    """Starts an app with `environ` as its settings, on `azurite`, or else on the shared emulator."""

    def __call__(
        self, environ: dict[str, str] | None = None, *, workers: int = 1, azurite: Azurite | None = None
    ) -> RunningApp: ...


@pytest.fixture(scope="session")
def allowed_environ(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The setting that lets an app back up what tests make in their `tmp_path`."""
    return {"BACKUP_ALLOWED_ROOTS": str(tmp_path_factory.getbasetemp().resolve())}


@pytest.fixture(scope="session")
def app(request: pytest.FixtureRequest, allowed_environ: dict[str, str]) -> Generator[RunningApp]:
    """The app that tests share: the one at HOST_URL if that is set, else one in a stack of this run.

    A test that uses nothing else, and leaves it as it was, is one for the marker `any_host`. A host at
    HOST_URL must allow the tests' directories: start it with BACKUP_ALLOWED_ROOTS naming the system's folder
    for temporary files.
    """
    host_url = os.environ.get("HOST_URL")
    if host_url:
        with app_elsewhere(host_url) as running:
            yield running
    else:
        with running_app(request.getfixturevalue("azurite"), allowed_environ) as running:
            request.config.stash.setdefault(_HOSTS, []).append(running)
            yield running


@pytest.fixture(scope="session")
def proxy(azurite: Azurite) -> Generator[Proxy]:
    """What stands between `proxied_app` and the emulator; it makes no trouble until a test asks for it."""
    with storage_proxy(azurite) as running:
        yield running


@pytest.fixture(scope="session")
def proxied_app(
    request: pytest.FixtureRequest, azurite: Azurite, proxy: Proxy, allowed_environ: dict[str, str]
) -> Generator[RunningApp]:
    """An app, shared by tests, that reaches storage by way of `proxy`; the tests themselves do not."""
    settings = {**allowed_environ, "BackupStorage": proxy.connection_string}
    with running_app(azurite, settings) as running:
        request.config.stash.setdefault(_HOSTS, []).append(running)
        yield running


@pytest.fixture
def new_app(
    request: pytest.FixtureRequest, azurite: Azurite, allowed_environ: dict[str, str]
) -> Generator[NewApp]:
    """Apps for this test alone, in hosts that it may hurt; all are stopped after it."""
    running = request.config.stash.setdefault(_HOSTS, [])
    before = len(running)
    shared = azurite
    with ExitStack() as apps:

        def start(
            environ: dict[str, str] | None = None, *, workers: int = 1, azurite: Azurite | None = None
        ) -> RunningApp:
            settings = {**allowed_environ, "FUNCTIONS_WORKER_PROCESS_COUNT": str(workers), **(environ or {})}
            app = apps.enter_context(running_app(azurite or shared, settings))
            running.append(app)
            return app

        yield start
    del running[before:]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add what the hosts wrote to the report of a failed test."""
    report = yield
    if report.failed:
        for app in item.config.stash.setdefault(_HOSTS, []):
            if app.host is not None:
                report.sections.append((f"host at {app.base_url}", app.host.output()[-_TAIL:]))
    return report
