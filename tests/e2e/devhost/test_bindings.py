"""What the host has not: said when it starts, and an error when it is used; never silence."""

from collections.abc import Generator
from pathlib import Path

import pytest

from .hosts import APPS, LocalHost, host_process


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Generator[LocalHost]:
    with host_process(APPS / "bindings", tmp_path_factory.mktemp("bindings") / "log") as host:
        yield host.ready()


@pytest.mark.parametrize(
    "sentence",
    [
        "Function 'order' fails here when it sets 'orders': this host has no queue output.",
        "Function 'read' fails here: this host has no blob input ('content').",
        "Function 'tick' is not called on its schedule here; POST /admin/functions/tick calls it.",
        "Function 'take_order' is not called by its queueTrigger here; "
        "POST /admin/functions/take_order calls it.",
    ],
)
def test_what_the_host_has_not_is_said_at_start(host: LocalHost, sentence: str) -> None:
    assert sentence in host.output


def test_a_function_whose_input_is_missing_fails_and_says_why(host: LocalHost) -> None:
    assert host.http.get("/read").status_code == 500
    assert (
        "Function 'read' failed. NotSupportedError: This host has no blob input ('content')." in host.output
    )


def test_an_output_that_goes_nowhere_is_no_success(host: LocalHost) -> None:
    assert host.http.get("/order/milk").status_code == 500
    assert (
        "Function 'order' failed. NotSupportedError: This host has no queue output ('orders')." in host.output
    )


def test_an_output_that_is_not_set_does_no_harm(host: LocalHost) -> None:
    assert host.http.get("/order").text == "taken"


def test_an_app_that_streams_http_is_refused_and_does_not_hang(tmp_path: Path) -> None:
    with host_process(APPS / "streaming", tmp_path / "log") as host:
        assert host.process.wait(20) == 1
        assert "This host has no HTTP streaming" in host.output
