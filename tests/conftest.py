"""What every tier shares: one emulator for the whole run, on ports of its own, in memory."""

from collections.abc import Generator

import pytest

from localstack.azurite import Azurite
from localstack.settings import EmulatorPorts


def pytest_configure(config: pytest.Config) -> None:
    """Say what the markers mean."""
    config.addinivalue_line(
        "markers",
        "any_host: passes against every Functions host; `make test-e2e HOST_URL=...` runs these alone",
    )


@pytest.fixture(scope="session")
def azurite() -> Generator[Azurite]:
    """A real emulator; its `connection_string` says how to reach it. If it cannot start, the tests fail."""
    with Azurite(EmulatorPorts(0, 0, 0), data=None) as emulator:
        yield emulator
