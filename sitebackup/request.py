"""What a caller may ask for: the body of `POST /orchestrators/{functionName}`, parsed and checked.

Whatever passes here is safe to start. The activities check the root again, because an orchestration can be
started by other doors of the task hub than this one.
"""

import json
import os
from typing import Any, cast

from sitebackup import names
from sitebackup.settings import APP_DIRECTORY, Settings

MAX_BODY = 64 * 1024
"""Bytes in a request's body."""


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


def check_name(function_name: str) -> None:
    """Raise `RequestError` unless `function_name` is an orchestrator that may be started over HTTP."""
    if function_name not in names.PUBLIC_ORCHESTRATORS:
        known = ", ".join(names.PUBLIC_ORCHESTRATORS)
        raise RequestError(
            404, "UnknownOrchestrator", f"There is no '{function_name}' to start. There is: {known}."
        )


def parse(body: bytes, settings: Settings) -> str | dict[str, Any] | None:
    """Return the orchestration's input for a request's `body`, in the form that the caller chose.

    The body is JSON: a string (the root directory), null, or an object with `rootDirectory`. Null and blanks
    mean the app's own directory. Raises `RequestError`: 400 for what cannot be read, 403 for a root that
    `BACKUP_ALLOWED_ROOTS` does not include, 413 for a body over 64 KiB.
    """
    if len(body) > MAX_BODY:
        raise RequestError(413, "BodyTooLarge", f"The body may have at most {MAX_BODY} bytes.")
    request = _load(body)
    if isinstance(request, dict):
        unknown = sorted(request.keys() - {"rootDirectory"})
        if unknown:
            raise RequestError(400, "UnknownOption", f"Unknown option: {', '.join(map(repr, unknown))}.")
    _check_root(root_of(request), settings)
    return request


def root_of(request: str | dict[str, Any] | None) -> str:
    """Return the root directory of an orchestration's input, normalized; the app's own if it names none."""
    root = request.get("rootDirectory") if isinstance(request, dict) else request
    return os.path.normpath((root or "").strip() or APP_DIRECTORY)


def _load(body: bytes) -> str | dict[str, Any] | None:
    try:
        request: object = json.loads(body) if body.strip() else None
    except (ValueError, RecursionError) as error:
        raise RequestError(400, "InvalidJson", "The body is not JSON.") from error
    root = cast(dict[str, Any], request).get("rootDirectory") if isinstance(request, dict) else request
    if not isinstance(root, str | None):
        raise RequestError(
            400, "InvalidBody", "The body must be a JSON string, null, or an object with 'rootDirectory'."
        )
    return cast("str | dict[str, Any] | None", request)


def _check_root(root: str, settings: Settings) -> None:
    try:
        os.fsencode(root)
    except UnicodeEncodeError as error:
        raise RequestError(400, "InvalidPath", "The root directory is not a valid path.") from error
    if "\0" in root:
        raise RequestError(400, "InvalidPath", "The root directory is not a valid path.")
    if not os.path.isabs(root):
        raise RequestError(400, "RelativePath", "The root directory must be an absolute path.")
    if not settings.allows(root):
        raise RequestError(
            403, "RootNotAllowed", f"'{root}' is outside the directories that BACKUP_ALLOWED_ROOTS allows."
        )
