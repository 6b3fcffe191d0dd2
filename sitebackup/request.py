"""What a caller may ask for: the body of `POST /orchestrators/{functionName}`, parsed and checked.

Whatever passes here is safe to start. The activities read and check the same input again, because an
orchestration can be started by other doors of the task hub than this one.
"""

import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast, get_args

from sitebackup import names
from sitebackup.messages import Input
from sitebackup.settings import APP_DIRECTORY, Settings
from sitebackup.tree.selecting import Selection, patterns

MAX_BODY = 64 * 1024
"""Bytes in a request's body."""

type Detection = Literal["ctime", "mtime", "hash"]
"""By what a file counts as unchanged: size, times and inode; size and modification time; or its content."""


class RequestError(Exception):
    """A request that starts nothing: HTTP `status`, a `code` for programs, a `message` for people."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message

    def to_json(self) -> str:
        """Return the body of the answer."""
        return json.dumps({"error": {"code": self.code, "message": self.message}})


@dataclass(frozen=True, slots=True)
class BackupRequest:
    """What E2_BackupSiteContent is asked for.

    `root`: absolute and normalized, without the blanks around it, which the tutorial drops too. `include`,
    `exclude`: patterns as in .gitignore. `one_file_system`: do not enter mount points below the root.
    `allow_partial`: failed files do not fail the run. `allow_empty`: nor does a root with nothing to save.
    `max_delete`: entries that may be gone since the run before; None is half of them, from 100 entries on.
    """

    root: str
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    one_file_system: bool = False
    allow_partial: bool = False
    allow_empty: bool = False
    max_delete: int | None = None
    change_detection: Detection = "ctime"

    @classmethod
    def parse(cls, value: Input) -> "BackupRequest":
        """Read an orchestration's input: the root, an object with options, or nothing for the app's own
        directory. Raises `RequestError`.
        """
        options = _options(value, "rootDirectory", _BACKUP_OPTIONS)
        request = cls(
            root=_root(options.get("rootDirectory") or ""),
            include=tuple(options.get("include", ())),
            exclude=tuple(options.get("exclude", ())),
            one_file_system=options.get("oneFileSystem", False),
            allow_partial=options.get("allowPartial", False),
            allow_empty=options.get("allowEmpty", False),
            max_delete=options.get("maxDelete"),
            change_detection=options.get("changeDetection", "ctime"),
        )
        request.selection(None)
        return request

    def selection(self, device: int | None) -> Selection:
        """Return what of the tree is taken, given the `device` that the root is on."""
        try:
            include, exclude = patterns(self.include), patterns(self.exclude)
        except ValueError as error:
            raise RequestError(400, "InvalidPattern", f"A pattern cannot be used: {error}.") from error
        if include is not None and not any(pattern.include for pattern in include.patterns):
            raise RequestError(400, "InvalidPattern", "'include' has no pattern that includes anything.")
        return Selection(include, exclude, device if self.one_file_system else None)

    def to_json(self) -> dict[str, Any]:
        """Return the options in the caller's spelling, all of them."""
        return {
            "include": list(self.include),
            "exclude": list(self.exclude),
            "oneFileSystem": self.one_file_system,
            "allowPartial": self.allow_partial,
            "allowEmpty": self.allow_empty,
            "maxDelete": self.max_delete,
            "changeDetection": self.change_detection,
        }


@dataclass(frozen=True, slots=True)
class VerifyRequest:
    """What E2_VerifyBackup is asked for: the instance ID of a `run`, and whether to read every blob back."""

    run: str
    deep: bool = False

    @classmethod
    def parse(cls, value: Input) -> "VerifyRequest":
        """Read an orchestration's input: the instance ID, or an object. Raises `RequestError`."""
        options = _options(value, "instanceId", _VERIFY_OPTIONS)
        run = options.get("instanceId") or ""
        if not re.fullmatch(r"[^\x00-\x1f/\\#?\ud800-\udfff]{1,100}", run):
            raise RequestError(400, "InvalidInstanceId", "The instance ID of a backup must be given.")
        return cls(run, options.get("deep", False))


def check(function_name: str, body: bytes, settings: Settings) -> Input:
    """Return the input with which to start the orchestrator `function_name` for a request's `body`.

    Raises `RequestError`: 404 for a name that is not a public orchestrator's, 413 for a body over 64 KiB, 400
    for what cannot be read, 403 for a root that `BACKUP_ALLOWED_ROOTS` does not include.
    """
    if function_name not in names.PUBLIC_ORCHESTRATORS:
        known = ", ".join(names.PUBLIC_ORCHESTRATORS)
        raise RequestError(
            404, "UnknownOrchestrator", f"There is no '{function_name}' to start. There is: {known}."
        )
    if len(body) > MAX_BODY:
        raise RequestError(413, "BodyTooLarge", f"The body may have at most {MAX_BODY} bytes.")
    value = _load(body)
    if function_name == names.VERIFY_BACKUP:
        VerifyRequest.parse(value)
    else:
        check_root(BackupRequest.parse(value).root, settings)
    return value


def check_root(root: str, settings: Settings) -> None:
    """Raise `RequestError` (403) unless `root` may be backed up."""
    if not settings.allows(root):
        raise RequestError(
            403, "RootNotAllowed", f"'{root}' is outside the directories that BACKUP_ALLOWED_ROOTS allows."
        )


def _load(body: bytes) -> Input:
    try:
        value: object = json.loads(body) if body.strip() else None
    except (ValueError, RecursionError) as error:
        raise RequestError(400, "InvalidJson", "The body is not JSON.") from error
    if not isinstance(value, str | dict | None):
        raise RequestError(400, "InvalidBody", "The body must be a JSON string, null, or an object.")
    return cast(Input, value)


def _is_strings(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in cast("list[object]", value))


def _is_count(value: object) -> bool:
    return value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= 0)


type _Check = tuple[Callable[[object], bool], str]
_STRING: _Check = (lambda value: isinstance(value, str | None), "a string")
_STRINGS: _Check = (_is_strings, "a list of strings")
_BOOLEAN: _Check = (lambda value: isinstance(value, bool), "true or false")
_COUNT: _Check = (_is_count, "a whole number, zero or more")
_DETECTION: _Check = (lambda value: value in get_args(Detection.__value__), "'ctime', 'mtime' or 'hash'")
_BACKUP_OPTIONS: Mapping[str, _Check] = {
    "rootDirectory": _STRING,
    "include": _STRINGS,
    "exclude": _STRINGS,
    "oneFileSystem": _BOOLEAN,
    "allowPartial": _BOOLEAN,
    "allowEmpty": _BOOLEAN,
    "maxDelete": _COUNT,
    "changeDetection": _DETECTION,
}
_VERIFY_OPTIONS: Mapping[str, _Check] = {"instanceId": _STRING, "deep": _BOOLEAN}


def _options(value: Input, subject: str, known: Mapping[str, _Check]) -> dict[str, Any]:
    """Return `value` as an object with only `known` options of the right types; a bare one is `subject`."""
    options = value if isinstance(value, dict) else {subject: value}
    unknown = sorted(options.keys() - known.keys())
    if unknown:
        raise RequestError(400, "UnknownOption", f"Unknown option: {', '.join(map(repr, unknown))}.")
    for name, given in options.items():
        fits, wanted = known[name]
        if not fits(given):
            raise RequestError(400, "InvalidOption", f"'{name}' must be {wanted}.")
    return options


def _root(given: str) -> str:
    root = os.path.normpath(given.strip() or APP_DIRECTORY)
    try:
        encoded = os.fsencode(root)
    except UnicodeEncodeError as error:
        raise RequestError(400, "InvalidPath", "The root directory is not a valid path.") from error
    if b"\0" in encoded:
        raise RequestError(400, "InvalidPath", "The root directory is not a valid path.")
    if not os.path.isabs(root):
        raise RequestError(400, "RelativePath", "The root directory must be an absolute path.")
    return root
