"""Connection strings of the Durable Task Scheduler."""

import sys

import pytest

from durable_sdk.connection import SETTING, ConnectionStringError, SchedulerAddress, connect


def test_what_a_connection_string_leaves_out_is_the_emulators() -> None:
    emulator = SchedulerAddress("http://localhost:8080", "None", "default", None)
    assert SchedulerAddress.parse("Endpoint=http://localhost:8080") == emulator
    assert (
        SchedulerAddress.parse("Endpoint=http://localhost:8080;Authentication=None;TaskHub=default")
        == emulator
    )
    assert emulator.credential() is None


def test_a_connection_string_of_azure_is_read_in_any_order_and_case() -> None:
    text = "taskhub=site; authentication=ManagedIdentity;CLIENTID=abc;Endpoint=https://x.durabletask.io;"
    address = SchedulerAddress.parse(text)
    assert address == SchedulerAddress("https://x.durabletask.io", "ManagedIdentity", "site", "abc")
    assert type(address.credential()).__name__ == "ManagedIdentityCredential"


def test_the_default_credential_is_there_for_every_other_identity() -> None:
    address = SchedulerAddress.parse("Endpoint=https://x.durabletask.io;Authentication=DefaultAzure")
    assert type(address.credential()).__name__ == "DefaultAzureCredential"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("Endpoint=localhost:8080", "Endpoint must begin with http"),
        ("Endpoint=https://x;Authentication=Secret", "Authentication must be None, DefaultAzure or"),
        ("Endpoint=https://x;TaskHub=", "TaskHub is empty"),
        ("Endpoint=https://x;AccessKey=c2VjcmV0", "none of Endpoint, Authentication, TaskHub, ClientID"),
        ("c2VjcmV0", "none of Endpoint, Authentication, TaskHub, ClientID"),
    ],
)
def test_a_bad_connection_string_says_what_is_wrong_and_nothing_of_its_values(text: str, says: str) -> None:
    with pytest.raises(ConnectionStringError, match=says) as raised:
        SchedulerAddress.parse(text)
    assert SETTING in str(raised.value)
    assert "c2VjcmV0" not in str(raised.value)


def test_a_missing_package_is_named_with_the_way_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "durabletask.azuremanaged.client", None)
    with (
        pytest.raises(ConnectionStringError, match=r"pip install -r requirements-sdk\.txt"),
        connect({SETTING: "Endpoint=http://localhost:8080"}),
    ):
        pass
