"""What the app's files say about how to host it: `host.json` and `local.settings.json`.

Read once at start. Anything wrong in them is a `SettingsError` with a message for the person at the terminal.
"""

import logging
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .config_files import Section, SettingsError

__all__ = ["Cors", "HostSettings", "SettingsError", "app_environment", "load_settings"]

_TIMEOUT = re.compile(r"(?:(\d+)\.)?(\d{1,2}):(\d{2}):(\d{2})")
_DEFAULT_TIMEOUT_SECONDS = 30 * 60.0
_MAX_MESSAGE_BYTES = 4_194_304  # gRPC's default, and the extension's
_LEVELS = {
    "Trace": logging.DEBUG,
    "Debug": logging.DEBUG,
    "Information": logging.INFO,
    "Warning": logging.WARNING,
    "Error": logging.ERROR,
    "Critical": logging.CRITICAL,
    "None": logging.CRITICAL + 1,
}


@dataclass(frozen=True, slots=True)
class Cors:
    """Who may call from a page of another site."""

    origins: frozenset[str]
    """`scheme://host:port` in lower case, or `*` for all."""
    credentials: bool
    """Whether a browser may send cookies along."""


@dataclass(frozen=True, slots=True)
class HostSettings:
    """How to host one app."""

    app: Path
    """Directory of the app, absolute."""
    environment: Mapping[str, str]
    """Environment of the workers: the host's own, over the `Values` of local.settings.json."""
    route_prefix: str
    """First part of every function's route, without slashes around it; may be empty."""
    cors: Cors | None
    """None: a browser gets no leave to call from another site."""
    hub_name: str
    default_version: str
    """Version of an orchestration that is started without one; empty: none."""
    overrides_any_state: bool
    """Whether a start replaces an instance that still runs, or only one that has ended."""
    max_message_bytes: int
    """Largest gRPC message between the hub and its clients."""
    max_activities: int
    """Activities in flight at once, over all workers."""
    max_orchestrators: int
    """Orchestrator turns in flight at once, over all workers; the same bound holds for entity batches."""
    function_timeout_seconds: float | None
    """None: no bound."""
    worker_count: int
    host_log_level: int
    """What of the host's own log is shown, as a level of the module `logging`."""
    function_log_level: int
    """The same for the functions' log."""

    def disabled(self, function_name: str) -> bool:
        """Whether `AzureWebJobs.<name>.Disabled` (or its form with underscores) switches the function off."""
        names = (f"AzureWebJobs.{function_name}.Disabled", f"AzureWebJobs_{function_name}_Disabled")
        return any(self.environment.get(name, "").lower() in {"1", "true"} for name in names)


def load_settings(app: Path, workers: int | None) -> HostSettings:
    """Reads the app's settings; `workers`, when given, wins over `FUNCTIONS_WORKER_PROCESS_COUNT`."""
    app = app.resolve()
    host = Section.read(app / "host.json")
    if host.get("version") != "2.0":
        raise SettingsError(f'{app / "host.json"}: "version" must be "2.0".')
    local = _local_settings(app / "local.settings.json")
    environment = _environment(app, local)
    host.override(environment)
    extensions = host.section("extensions")
    durable = extensions.section("durableTask")
    overridable = durable.choice(
        "overridableExistingInstanceStates", {"NonRunningStates": False, "AnyState": True}
    )
    concurrency = 10 * (os.cpu_count() or 1)  # the extension's default, except on the Consumption plan
    levels = host.section("logging").section("logLevel")
    level = levels.choice("default", _LEVELS)
    function_level = levels.choice("Function", _LEVELS)
    return HostSettings(
        app=app,
        environment=environment,
        route_prefix=extensions.section("http").text("routePrefix", "api").strip("/"),
        cors=_cors(local.section("Host")),
        hub_name=_resolved("hubName", durable.text("hubName", "TestHubName"), environment),
        default_version=durable.text("defaultVersion", ""),
        overrides_any_state=overridable or False,
        max_message_bytes=durable.count("maxGrpcMessageSizeInBytes", _MAX_MESSAGE_BYTES),
        max_activities=durable.count("maxConcurrentActivityFunctions", concurrency),
        max_orchestrators=durable.count("maxConcurrentOrchestratorFunctions", concurrency),
        function_timeout_seconds=_timeout(host),
        worker_count=_worker_count(workers, environment),
        host_log_level=logging.WARNING if level is None else level,
        function_log_level=next((one for one in (function_level, level) if one is not None), logging.INFO),
    )


def app_environment(app: Path) -> dict[str, str]:
    """The environment of the app's functions, from this process's and local.settings.json.

    Raises SettingsError.
    """
    app = app.resolve()
    return _environment(app, _local_settings(app / "local.settings.json"))


def _local_settings(path: Path) -> Section:
    if not path.exists():
        return Section({}, path.name)
    settings = Section.read(path)
    if settings.get("IsEncrypted") is True:
        raise SettingsError(f"{path} is encrypted; decrypt it first (func settings decrypt).")
    return settings


def _environment(app: Path, local: Section) -> dict[str, str]:
    environment = {"AZURE_FUNCTIONS_ENVIRONMENT": "Development", "AzureWebJobsScriptRoot": str(app)}
    environment |= {name: str(value) for name, value in local.section("Values").items()}
    strings = local.section("ConnectionStrings")
    for name, value in strings.items():
        text = strings.section(name).text("ConnectionString", "") if isinstance(value, dict) else str(value)
        environment[f"ConnectionStrings:{name}"] = text
    return environment | dict(os.environ)


def _cors(host: Section) -> Cors | None:
    origins = frozenset(filter(None, host.text("CORS", "").lower().split(",")))
    credentials = host.get("CORSCredentials") is True
    if credentials and "*" in origins:
        raise host.error("CORS", 'must name its origins, and not be "*", together with "CORSCredentials"')
    return Cors(origins, credentials) if origins else None


def _resolved(name: str, text: str, environment: Mapping[str, str]) -> str:
    """Puts in settings for their names: `%STAGE%Hub`."""

    def value(match: re.Match[str]) -> str:
        if match[1] not in environment:
            raise SettingsError(f'"{name}" in host.json: there is no setting {match[1]}.')
        return environment[match[1]]

    return re.sub("%([^%]+)%", value, text)


def _timeout(host: Section) -> float | None:
    value: object = host.get("functionTimeout")
    if value is None:
        return _DEFAULT_TIMEOUT_SECONDS
    if value in ("-1", -1):
        return None
    match = _TIMEOUT.fullmatch(value) if isinstance(value, str) else None
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups()) if match else (0, 0, 0, 0)
    timeout = float(((days * 24 + hours) * 60 + minutes) * 60 + seconds)
    if timeout == 0:
        raise host.error("functionTimeout", 'must be like "00:30:00", or "-1" for no limit')
    return timeout


def _worker_count(requested: int | None, environment: Mapping[str, str]) -> int:
    text = environment.get("FUNCTIONS_WORKER_PROCESS_COUNT", "1")
    try:
        count = requested if requested is not None else int(text)
    except ValueError:
        count = 0
    if not 1 <= count <= 10:
        raise SettingsError("The number of workers must be a whole number from 1 to 10.")
    return count
