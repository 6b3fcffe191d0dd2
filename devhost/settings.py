"""What the app's files say about how to host it: `host.json` and `local.settings.json`.

Read once at start. Anything wrong in them is a `SettingsError` with a message for the person at the terminal.
"""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

_TIMEOUT = re.compile(r"(?:(\d+)\.)?(\d{1,2}):(\d{2}):(\d{2})")
_DEFAULT_TIMEOUT_SECONDS = 30 * 60.0


class SettingsError(Exception):
    """A setting or a settings file is missing or wrong; the text says which and why."""


@dataclass(frozen=True, slots=True)
class HostSettings:
    """How to host one app."""

    app: Path
    """Directory of the app, absolute."""
    environment: Mapping[str, str]
    """Environment of the workers: the host's own, over the `Values` of local.settings.json."""
    route_prefix: str
    """First part of every function's route, without slashes around it; may be empty."""
    hub_name: str
    max_activities: int
    """Activities in flight at once, over all workers."""
    max_orchestrators: int
    """Orchestrator turns in flight at once, over all workers; the same bound holds for entity batches."""
    function_timeout_seconds: float | None
    """None: no bound."""
    worker_count: int

    def disabled(self, function_name: str) -> bool:
        """Whether `AzureWebJobs.<name>.Disabled` (or its form with underscores) switches the function off."""
        names = (f"AzureWebJobs.{function_name}.Disabled", f"AzureWebJobs_{function_name}_Disabled")
        return any(self.environment.get(name, "").lower() in {"1", "true"} for name in names)


def load_settings(app: Path, workers: int | None) -> HostSettings:
    """Reads the app's settings; `workers`, when given, wins over `FUNCTIONS_WORKER_PROCESS_COUNT`."""
    app = app.resolve()
    host = _read_object(app / "host.json")
    if host.get("version") != "2.0":
        raise SettingsError(f'{app / "host.json"}: "version" must be "2.0".')
    environment = _environment(app)
    extensions = _section(host, "extensions")
    durable = _section(extensions, "durableTask")
    concurrency = 10 * (os.cpu_count() or 1)  # the extension's default, except on the Consumption plan
    return HostSettings(
        app=app,
        environment=environment,
        route_prefix=_text(_section(extensions, "http"), "routePrefix", "api").strip("/"),
        hub_name=_text(durable, "hubName", "TestHubName"),
        max_activities=_count(durable, "maxConcurrentActivityFunctions", concurrency),
        max_orchestrators=_count(durable, "maxConcurrentOrchestratorFunctions", concurrency),
        function_timeout_seconds=_timeout(host),
        worker_count=_worker_count(workers, environment),
    )


def _environment(app: Path) -> dict[str, str]:
    environment = {"AZURE_FUNCTIONS_ENVIRONMENT": "Development", "AzureWebJobsScriptRoot": str(app)}
    path = app / "local.settings.json"
    if path.exists():
        settings = _read_object(path)
        if settings.get("IsEncrypted") is True:
            raise SettingsError(f"{path} is encrypted; decrypt it first (func settings decrypt).")
        values = _section(settings, "Values")
        environment |= {name: str(value) for name, value in values.items() if value is not None}
    return environment | dict(os.environ)


def _read_object(path: Path) -> Mapping[str, Any]:
    try:
        content: object = json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise SettingsError(f"{path} is missing.") from None
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise SettingsError(f"{path} is not valid JSON: {error}") from error
    if not isinstance(content, dict):
        raise SettingsError(f"{path} must hold a JSON object.")
    return cast(Mapping[str, Any], content)


def _section(parent: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value: object = parent.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise SettingsError(f'"{name}" must be a JSON object.')
    return cast(Mapping[str, Any], value)


def _text(section: Mapping[str, Any], name: str, default: str) -> str:
    value: object = section.get(name, default)
    if not isinstance(value, str):
        raise SettingsError(f'"{name}" in host.json must be a string.')
    return value


def _count(section: Mapping[str, Any], name: str, default: int) -> int:
    value: object = section.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise SettingsError(f'"{name}" in host.json must be a whole number, 1 or more.')
    return value


def _timeout(host: Mapping[str, Any]) -> float | None:
    value: object = host.get("functionTimeout")
    if value is None:
        return _DEFAULT_TIMEOUT_SECONDS
    if value in ("-1", -1):
        return None
    match = _TIMEOUT.fullmatch(value) if isinstance(value, str) else None
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups()) if match else (0, 0, 0, 0)
    timeout = float(((days * 24 + hours) * 60 + minutes) * 60 + seconds)
    if timeout == 0:
        raise SettingsError('"functionTimeout" in host.json must be like "00:30:00", or "-1" for no limit.')
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
