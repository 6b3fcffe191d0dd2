"""What host.json, local.settings.json and the environment make of the host, and what is refused."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from devhost.settings import Cors, HostSettings, SettingsError, load_settings


def _load(app: Path, host: dict[str, Any], values: dict[str, Any] | None = None) -> HostSettings:
    (app / "host.json").write_text(json.dumps({"version": "2.0", **host}))
    if values is not None:
        (app / "local.settings.json").write_text(json.dumps({"Values": values}))
    return load_settings(app, None)


def test_defaults_are_those_of_the_functions_host(tmp_path: Path) -> None:
    settings = _load(tmp_path, {})
    assert (settings.route_prefix, settings.hub_name) == ("api", "TestHubName")
    assert (settings.function_timeout_seconds, settings.worker_count) == (1800, 1)
    assert settings.max_activities == settings.max_orchestrators >= 10


def test_host_json_says_how_to_host(tmp_path: Path) -> None:
    durable = {"hubName": "H", "maxConcurrentActivityFunctions": 3, "maxConcurrentOrchestratorFunctions": 2}
    settings = _load(tmp_path, {"extensions": {"http": {"routePrefix": ""}, "durableTask": durable}})
    assert (settings.route_prefix, settings.hub_name) == ("", "H")
    assert (settings.max_activities, settings.max_orchestrators) == (3, 2)


def test_comments_and_last_commas_are_no_part_of_the_files(tmp_path: Path) -> None:
    (tmp_path / "host.json").write_text("""{
        // the hub
        "version": "2.0", /* of
        the schema */
        "extensions": {"durableTask": {"hubName": "a//b/*c*/\\",d", },},
    }""")
    (tmp_path / "local.settings.json").write_text("""{"Values": {"A": "https://x", /* */ } // }""" + "\n}")
    settings = load_settings(tmp_path, None)
    assert settings.hub_name == 'a//b/*c*/",d'
    assert settings.environment["A"] == "https://x"


def test_names_in_the_files_compare_without_regard_to_case(tmp_path: Path) -> None:
    (tmp_path / "host.json").write_text('{"Version": "2.0", "Extensions": {"DurableTask": {"HubName": "H"}}}')
    (tmp_path / "local.settings.json").write_text('{"values": {"a": "1"}}')
    settings = load_settings(tmp_path, None)
    assert (settings.hub_name, settings.environment["a"]) == ("H", "1")


def test_settings_override_host_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AzureFunctionsJobHost__extensions__durableTask__MaxConcurrentActivityFunctions", "5")
    monkeypatch.setenv("AzureFunctionsJobHost__Extensions__DurableTask__HubName", "FromEnvironment")
    values = {
        "AzureFunctionsJobHost__extensions__durableTask__hubName": "FromValues",
        "AzureFunctionsJobHost:functionTimeout": "00:00:07",
        "AzureFunctionsJobHost__extensions__http__routePrefix": "",
    }
    host = {"functionTimeout": "00:01:00", "extensions": {"durableTask": {"hubName": "FromFile"}}}
    settings = _load(tmp_path, host, values)
    assert (settings.max_activities, settings.hub_name) == (5, "FromEnvironment")
    assert (settings.function_timeout_seconds, settings.route_prefix) == (7, "")


def test_the_hubs_name_may_be_that_of_a_setting(tmp_path: Path) -> None:
    host = {"extensions": {"durableTask": {"hubName": "Pre%HUB_OF_STAGE%Post"}}}
    assert _load(tmp_path, host, {"HUB_OF_STAGE": "Test"}).hub_name == "PreTestPost"
    with pytest.raises(SettingsError) as refusal:
        _load(tmp_path, host, {})
    assert str(refusal.value) == '"hubName" in host.json: there is no setting HUB_OF_STAGE.'


def test_connection_strings_are_settings_with_a_prefix(tmp_path: Path) -> None:
    (tmp_path / "host.json").write_text('{"version": "2.0"}')
    strings = {"One": "Server=1", "Two": {"ConnectionString": "Server=2", "ProviderName": "x"}}
    (tmp_path / "local.settings.json").write_text(json.dumps({"ConnectionStrings": strings}))
    environment = load_settings(tmp_path, None).environment
    assert (environment["ConnectionStrings:One"], environment["ConnectionStrings:Two"]) == (
        "Server=1",
        "Server=2",
    )


def test_the_durable_settings_of_host_json(tmp_path: Path) -> None:
    settings = _load(tmp_path, {})
    assert (settings.default_version, settings.overrides_any_state) == ("", False)
    assert settings.max_message_bytes == 4_194_304
    durable = {
        "defaultVersion": "1.2",
        "overridableExistingInstanceStates": "AnyState",
        "maxGrpcMessageSizeInBytes": 8_000_000,
    }
    settings = _load(tmp_path, {"extensions": {"durableTask": durable}})
    assert (settings.default_version, settings.overrides_any_state) == ("1.2", True)
    assert settings.max_message_bytes == 8_000_000


@pytest.mark.parametrize(
    ("levels", "host", "functions"),
    [
        ({}, logging.WARNING, logging.INFO),
        ({"default": "Error"}, logging.ERROR, logging.ERROR),
        ({"default": "Trace", "Function": "none"}, logging.DEBUG, logging.CRITICAL + 1),
        ({"Function": "Debug"}, logging.WARNING, logging.DEBUG),
    ],
)
def test_log_levels(tmp_path: Path, levels: dict[str, str], host: int, functions: int) -> None:
    settings = _load(tmp_path, {"logging": {"logLevel": levels}})
    assert (settings.host_log_level, settings.function_log_level) == (host, functions)


@pytest.mark.parametrize(
    ("host", "cors"),
    [
        ({}, None),
        ({"CORS": ""}, None),
        ({"CORS": "*"}, Cors(frozenset({"*"}), credentials=False)),
        (
            {"CORS": "https://A.example,http://b", "CORSCredentials": True},
            Cors(frozenset({"https://a.example", "http://b"}), credentials=True),
        ),
    ],
)
def test_cors_comes_from_local_settings(tmp_path: Path, host: dict[str, Any], cors: Cors | None) -> None:
    (tmp_path / "host.json").write_text('{"version": "2.0"}')
    (tmp_path / "local.settings.json").write_text(json.dumps({"Host": host}))
    assert load_settings(tmp_path, None).cors == cors


def test_credentials_need_origins_by_name(tmp_path: Path) -> None:
    (tmp_path / "host.json").write_text('{"version": "2.0"}')
    (tmp_path / "local.settings.json").write_text('{"Host": {"CORS": "*", "CORSCredentials": true}}')
    with pytest.raises(SettingsError):
        load_settings(tmp_path, None)


@pytest.mark.parametrize(
    ("timeout", "seconds"), [("00:05:00", 300), ("01:00:30", 3630), ("1.00:00:00", 86400), ("-1", None)]
)
def test_function_timeouts(tmp_path: Path, timeout: str, seconds: float | None) -> None:
    assert _load(tmp_path, {"functionTimeout": timeout}).function_timeout_seconds == seconds


def test_values_reach_the_workers_below_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BOTH", "environment")
    values = {"BOTH": "values", "ONE": "values", "FUNCTIONS_WORKER_PROCESS_COUNT": "4"}
    monkeypatch.delenv("FUNCTIONS_WORKER_PROCESS_COUNT", raising=False)
    settings = _load(tmp_path, {}, values)
    assert (settings.environment["BOTH"], settings.environment["ONE"]) == ("environment", "values")
    assert settings.worker_count == 4
    assert load_settings(tmp_path, 2).worker_count == 2


def test_functions_are_switched_off_by_a_setting(tmp_path: Path) -> None:
    values = {
        "AzureWebJobs.one.Disabled": "true",
        "AzureWebJobs_two_Disabled": "1",
        "AzureWebJobs.x.Disabled": "0",
    }
    settings = _load(tmp_path, {}, values)
    assert [settings.disabled(name) for name in ("one", "two", "x", "y")] == [True, True, False, False]


@pytest.mark.parametrize(
    ("host", "message"),
    [
        ({"version": "1.0"}, '"version" must be "2.0"'),
        ({"functionTimeout": "soon"}, '"functionTimeout" in host.json must be like "00:30:00"'),
        ({"functionTimeout": "00:00:00"}, '"functionTimeout" in host.json must be like "00:30:00"'),
        ({"extensions": []}, '"extensions" must be a JSON object.'),
        ({"extensions": {"http": {"routePrefix": 1}}}, '"routePrefix" in host.json must be a string.'),
        (
            {"extensions": {"durableTask": {"maxConcurrentActivityFunctions": 0}}},
            '"maxConcurrentActivityFunctions" in host.json must be a whole number, 1 or more.',
        ),
        (
            {"extensions": {"durableTask": {"overridableExistingInstanceStates": "Some"}}},
            '"overridableExistingInstanceStates" in host.json must be NonRunningStates or AnyState.',
        ),
        (
            {"logging": {"logLevel": {"default": "Loud"}}},
            '"default" in host.json must be Trace, Debug, Information, Warning, Error, Critical or None.',
        ),
    ],
)
def test_a_wrong_value_is_refused(tmp_path: Path, host: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError) as refusal:
        _load(tmp_path, host)
    assert message in str(refusal.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [("{", "is not valid JSON"), ("[]", "must hold a JSON object."), ("\xff", "is not valid JSON")],
)
def test_a_broken_file_is_refused(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "host.json").write_bytes(content.encode("latin-1"))
    with pytest.raises(SettingsError) as refusal:
        load_settings(tmp_path, None)
    assert message in str(refusal.value)


@pytest.mark.parametrize("count", ["0", "11", "many"])
def test_the_number_of_workers_is_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: str
) -> None:
    monkeypatch.setenv("FUNCTIONS_WORKER_PROCESS_COUNT", count)
    with pytest.raises(SettingsError) as refusal:
        _load(tmp_path, {})
    assert str(refusal.value) == "The number of workers must be a whole number from 1 to 10."


def test_encrypted_settings_are_refused(tmp_path: Path) -> None:
    (tmp_path / "local.settings.json").write_text('{"IsEncrypted": true}')
    with pytest.raises(SettingsError) as refusal:
        _load(tmp_path, {})
    assert "is encrypted" in str(refusal.value)
