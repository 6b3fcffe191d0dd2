"""Requests: what may be started, and what each kind of bad input is told."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sitebackup import request
from sitebackup.request import RequestError
from sitebackup.settings import APP_DIRECTORY, Settings

SETTINGS = Settings(allowed_roots=("/srv", APP_DIRECTORY), concurrency=1, list_budget=1)


@pytest.mark.parametrize(
    ("body", "expected", "root"),
    [
        ('"/srv/www"', "/srv/www", "/srv/www"),
        ('"  /srv//www/ "', "  /srv//www/ ", "/srv/www"),
        ("null", None, APP_DIRECTORY),
        ('""', "", APP_DIRECTORY),
        ('"  "', "  ", APP_DIRECTORY),
        ("", None, APP_DIRECTORY),
        ('{"rootDirectory": "/srv/www"}', {"rootDirectory": "/srv/www"}, "/srv/www"),
        ("{}", {}, APP_DIRECTORY),
    ],
)
def test_a_good_body_becomes_the_input_in_the_callers_own_form(body: str, expected: Any, root: str) -> None:
    parsed = request.parse(body.encode(), SETTINGS)
    assert parsed == expected
    assert request.root_of(parsed) == root


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"/srv/www", 400, "InvalidJson"),
        (b'"/srv', 400, "InvalidJson"),
        (b'"\xff"', 400, "InvalidJson"),
        (b"[" * 10_000, 400, "InvalidJson"),
        (b"1", 400, "InvalidBody"),
        (b"true", 400, "InvalidBody"),
        (b'["/srv"]', 400, "InvalidBody"),
        (b'{"rootDirectory": 1}', 400, "InvalidBody"),
        (b'{"rootDirectory": "/srv", "recursive": true}', 400, "UnknownOption"),
        (b'"srv/www"', 400, "RelativePath"),
        (b'"./srv"', 400, "RelativePath"),
        (b'"/srv/\\u0000"', 400, "InvalidPath"),
        (b'"/srv/\\ud800"', 400, "InvalidPath"),
        (b'"/etc"', 403, "RootNotAllowed"),
        (b'"/srv/../etc"', 403, "RootNotAllowed"),
        (b'"' + b"x" * 65_536 + b'"', 413, "BodyTooLarge"),
    ],
)
def test_a_bad_body_is_refused_with_a_status_and_a_code(body: bytes, status: int, code: str) -> None:
    with pytest.raises(RequestError) as refused:
        request.parse(body, SETTINGS)
    assert (refused.value.status, refused.value.code) == (status, code)
    assert json.loads(refused.value.to_json()) == {"error": {"code": code, "message": str(refused.value)}}


def test_a_link_out_of_the_allowed_roots_is_refused(tmp_path: Path) -> None:
    allowed = tmp_path / "allowed"
    allowed.mkdir()
    (allowed / "out").symlink_to("/etc")
    with pytest.raises(RequestError, match="BACKUP_ALLOWED_ROOTS"):
        request.parse(json.dumps(f"{allowed}/out").encode(), Settings((str(allowed),), 1, 1))


@given(st.binary(max_size=200) | st.text(max_size=100).map(lambda text: json.dumps(text).encode()))
def test_any_body_is_either_refused_or_names_an_allowed_absolute_root(body: bytes) -> None:
    try:
        parsed = request.parse(body, SETTINGS)
    except RequestError as refused:
        assert refused.status in (400, 403)
    else:
        root = request.root_of(parsed)
        assert root.startswith("/")
        assert SETTINGS.allows(root)


@pytest.mark.parametrize("name", ["E2_CopyTasks", "E2_ListTree", "BuiltIn__HttpPollOrchestrator", "e2", ""])
def test_only_public_orchestrators_can_be_started_and_the_refusal_names_them(name: str) -> None:
    with pytest.raises(RequestError, match="There is: E2_BackupSiteContent") as refused:
        request.check_name(name)
    assert (refused.value.status, refused.value.code) == (404, "UnknownOrchestrator")


def test_the_public_orchestrator_passes() -> None:
    request.check_name("E2_BackupSiteContent")
