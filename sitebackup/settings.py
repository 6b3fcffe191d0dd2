"""The app's settings: read once, validated at start, passed on from there.

`docs/settings.md` is the table for operators. Storage connections are settings too, but of the deployment's
own naming, and `sitebackup.blobs.account` reads them.
"""

import logging
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath

APP_DIRECTORY = str(Path(__file__).resolve().parents[1])
"""What an empty request backs up: the directory that the app is deployed to."""


class SettingError(ValueError):
    """A setting has a value that the app cannot start with."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that an operator may tune.

    `allowed_roots`: only these directories and what is below them may be backed up; one that is a link means
    what the link leads to when it is asked.
    `concurrency`: uploads in flight at once in one worker process, and threads that read.
    `list_budget`: entries after which one listing call leaves the rest to others.
    `log_paths`: whether log and error messages may name what is backed up.
    `source`: what the records of runs call this app: its name in Azure, else the machine's.
    """

    allowed_roots: tuple[str, ...]
    concurrency: int
    list_budget: int
    log_paths: bool = True
    source: str = ""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Settings":
        """Read the settings; raises `SettingError` that names the variable and what it takes."""
        return cls(
            allowed_roots=_roots(environment),
            concurrency=_integer(environment, "BACKUP_CONCURRENCY", 32, 1, 100),
            list_budget=_integer(environment, "BACKUP_LIST_BUDGET", 20_000, 1, 200_000),
            log_paths=_boolean(environment, "BACKUP_LOG_PATHS", default=True),
            source=environment.get("WEBSITE_SITE_NAME") or socket.gethostname(),
        )

    @property
    def path_level(self) -> int:
        """The level to log a line at that names a file or a directory."""
        return logging.INFO if self.log_paths else logging.DEBUG

    def allows(self, directory: str) -> bool:
        """Tell whether `directory`, its symbolic links resolved, is inside an allowed root."""
        real = PurePath(os.path.realpath(directory))

        def is_elsewhere(root: str) -> bool:
            return not (PurePath(directory).is_relative_to(root) or real.is_relative_to(root))

        # Those that it is in by name come first: another one may be on a share that is silent.
        roots = sorted(self.allowed_roots, key=is_elsewhere)
        return any(real.is_relative_to(os.path.realpath(root)) for root in roots)


def _roots(environment: Mapping[str, str]) -> tuple[str, ...]:
    name = "BACKUP_ALLOWED_ROOTS"
    value = environment.get(name, "").strip()
    if not value:
        home = environment.get("HOME")
        return tuple(str(PurePath(root)) for root in (APP_DIRECTORY, home) if root)
    roots = [root for root in value.split(os.pathsep) if root]
    for root in roots:
        if not os.path.isabs(root):
            raise SettingError(
                f"{name} takes absolute paths separated by '{os.pathsep}'; '{root}' is relative."
            )
    return tuple(str(PurePath(root)) for root in roots)


def _integer(environment: Mapping[str, str], name: str, default: int, least: int, most: int) -> int:
    value = environment.get(name, "").strip()
    if not value:
        return default
    if not value.isascii() or not value.isdecimal() or not least <= int(value) <= most:
        raise SettingError(f"{name} takes a whole number from {least} to {most}, not '{value}'.")
    return int(value)


def _boolean(environment: Mapping[str, str], name: str, *, default: bool) -> bool:
    value = environment.get(name, "").strip()
    if not value:
        return default
    if value.lower() not in ("true", "false"):
        raise SettingError(f"{name} takes true or false, not '{value}'.")
    return value.lower() == "true"
