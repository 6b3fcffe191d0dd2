"""One call of a function: what it is called by, and what the log says of it."""

import re
import uuid
from collections.abc import Generator

import pytest

from .hosts import APPS, LocalHost, host_process


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Generator[LocalHost]:
    with host_process(APPS / "rough", tmp_path_factory.mktemp("invocations") / "log") as host:
        yield host.ready()


def test_an_invocation_id_is_a_guid_of_its_own(host: LocalHost) -> None:
    first, second = host.http.get("/identity").text, host.http.get("/identity").text
    assert (str(uuid.UUID(first)), str(uuid.UUID(second))) == (first, second)
    assert first != second


def test_the_log_says_when_a_call_from_outside_begins_and_how_it_ends(host: LocalHost) -> None:
    identity = host.http.get("/identity").text
    reason = "This function was programmatically called via the host APIs."
    assert f"Executing 'Functions.identity' (Reason='{reason}', Id={identity})" in host.output
    assert re.search(
        rf"Executed 'Functions\.identity' \(Succeeded, Id={identity}, Duration=\d+ms\)", host.output
    )
    assert host.http.get("/identity/nobody").status_code == 500
    assert "Executed 'Functions.identity' (Failed, Id=" in host.output


def test_the_log_has_no_line_for_each_step_of_an_orchestration(durable: LocalHost) -> None:
    durable.run("FanOut", 3)
    assert "Functions.echo" not in durable.output
    assert "Functions.fan_out" not in durable.output
