"""The app's JSON files as the Functions host reads them: comments allowed, names in any case, overridable."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

_OVERRIDE = re.compile(r"AzureFunctionsJobHost(?:__|:)(.+)", re.IGNORECASE)
_STRING = r'"(?:\\.|[^"\\])*"'
_COMMENT = re.compile(rf"{_STRING}|//[^\n]*|/\*.*?\*/", re.DOTALL)
_LAST_COMMA = re.compile(rf"{_STRING}|,(?=\s*[}}\]])", re.DOTALL)


class SettingsError(Exception):
    """A setting or a settings file is missing or wrong; the text says which and why."""


class Section:
    """An object of a settings file. Names compare without regard to case."""

    def __init__(self, values: dict[str, Any], file: str) -> None:
        self._values = values
        self._file = file

    @classmethod
    def read(cls, path: Path) -> "Section":
        """A whole file. Raises SettingsError."""
        try:
            text = path.read_text(encoding="utf-8-sig")
            content: object = json.loads(_LAST_COMMA.sub(_blank, _COMMENT.sub(_blank, text)))
        except FileNotFoundError:
            raise SettingsError(f"{path} is missing.") from None
        except OSError as error:
            raise SettingsError(f"{path} cannot be read: {error.strerror}.") from error
        except ValueError as error:
            raise SettingsError(f"{path} is not valid JSON: {error}") from error
        if not isinstance(content, dict):
            raise SettingsError(f"{path} must hold a JSON object.")
        return cls(cast(dict[str, Any], content), path.name)

    def override(self, environment: Mapping[str, str]) -> None:
        """Puts in what settings like `AzureFunctionsJobHost__extensions__http__routePrefix` say instead."""
        for name, value in environment.items():
            if match := _OVERRIDE.fullmatch(name):
                *path, last = re.split("__|:", match[1])
                values = self._values
                for part in path:
                    key = _key(values, part)
                    if not isinstance(values.get(key), dict):
                        values[key] = {}
                    values = values[key]
                values[_key(values, last)] = value

    def get(self, name: str) -> Any:
        """A value as it stands, or None."""
        return self._values.get(_key(self._values, name))

    def items(self) -> Iterator[tuple[str, Any]]:
        """The names as they are written, and their values without the nulls."""
        return ((name, value) for name, value in self._values.items() if value is not None)

    def section(self, name: str) -> "Section":
        """An object in this one; an absent one is empty. Raises SettingsError, as those below do."""
        value = self.get(name)
        if value is None:
            return Section({}, self._file)
        if not isinstance(value, dict):
            raise SettingsError(f'"{name}" must be a JSON object.')
        return Section(cast(dict[str, Any], value), self._file)

    def text(self, name: str, default: str) -> str:
        """A string."""
        value = self.get(name)
        if value is None:
            return default
        if not isinstance(value, str):
            raise self.error(name, "must be a string")
        return value

    def count(self, name: str, default: int) -> int:
        """A whole number from 1; an override is a string of digits."""
        value = self.get(name)
        if value is None:
            return default
        if isinstance(value, str) and re.fullmatch("[0-9]{1,18}", value):
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise self.error(name, "must be a whole number, 1 or more")
        return value

    def choice[T](self, name: str, choices: Mapping[str, T]) -> T | None:
        """What one of a few words stands for, in any case; None if the value is absent."""
        value = self.get(name)
        if value is None:
            return None
        for word, meaning in choices.items():
            if isinstance(value, str) and value.lower() == word.lower():
                return meaning
        *first, last = choices
        raise self.error(name, f"must be {', '.join(first)} or {last}")

    def error(self, name: str, what: str) -> SettingsError:
        """The refusal of a value."""
        return SettingsError(f'"{name}" in {self._file} {what}.')


def _key(values: Mapping[str, Any], name: str) -> str:
    return next((key for key in values if key.lower() == name.lower()), name)


def _blank(match: re.Match[str]) -> str:
    """Keeps a string; blanks out all else, so that an error's line and column stay right."""
    return match[0] if match[0].startswith('"') else re.sub(r"[^\n]", " ", match[0])
