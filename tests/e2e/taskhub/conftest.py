"""A hub without a host, and the clock that it goes by."""

from collections.abc import Generator

import pytest

from taskhub.hub import Hub

from .steps import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def hub(clock: Clock) -> Generator[Hub]:
    hub = Hub(wake=lambda: None, call_later=clock.call_later)
    yield hub
    hub.stop()
