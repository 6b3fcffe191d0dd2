"""Requests: what may be started, and what each kind of bad input is told."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sitebackup import request
from sitebackup.request import BackupRequest, RequestError, VerifyRequest
from sitebackup.settings import APP_DIRECTORY, Settings

BACKUP, VERIFY = "E2_BackupSiteContent", "E2_VerifyBackup"
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
    value = request.check(BACKUP, body.encode(), SETTINGS)
    assert value == expected
    assert BackupRequest.parse(value).root == root


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
        (b'{"rootDirectory": 1}', 400, "InvalidOption"),
        (b'{"include": "*.txt"}', 400, "InvalidOption"),
        (b'{"exclude": [1]}', 400, "InvalidOption"),
        (b'{"allowPartial": "yes"}', 400, "InvalidOption"),
        (b'{"oneFileSystem": 1}', 400, "InvalidOption"),
        (b'{"maxDelete": -1}', 400, "InvalidOption"),
        (b'{"maxDelete": true}', 400, "InvalidOption"),
        (b'{"maxDelete": 1.0}', 400, "InvalidOption"),
        (b'{"maxDelete": "5"}', 400, "InvalidOption"),
        (b'{"changeDetection": "size"}', 400, "InvalidOption"),
        (b'{"changeDetection": null}', 400, "InvalidOption"),
        (b'{"changeDetection": ["mtime"]}', 400, "InvalidOption"),
        (b'{"include": ["[z-a]"]}', 400, "InvalidPattern"),
        (b'{"exclude": ["!"]}', 400, "InvalidPattern"),
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
        request.check(BACKUP, body, SETTINGS)
    assert (refused.value.status, refused.value.code) == (status, code)
    assert json.loads(refused.value.to_json()) == {"error": {"code": code, "message": str(refused.value)}}


def test_a_link_out_of_the_allowed_roots_is_refused(tmp_path: Path) -> None:
    allowed = tmp_path / "allowed"
    allowed.mkdir()
    (allowed / "out").symlink_to("/etc")
    with pytest.raises(RequestError, match="BACKUP_ALLOWED_ROOTS"):
        request.check(BACKUP, json.dumps(f"{allowed}/out").encode(), Settings((str(allowed),), 1, 1))


@given(st.binary(max_size=200) | st.text(max_size=100).map(lambda text: json.dumps(text).encode()))
def test_any_body_is_either_refused_or_names_an_allowed_absolute_root(body: bytes) -> None:
    try:
        value = request.check(BACKUP, body, SETTINGS)
    except RequestError as refused:
        assert refused.status in (400, 403)
    else:
        root = BackupRequest.parse(value).root
        assert root.startswith("/")
        assert SETTINGS.allows(root)


def test_options_are_read_and_told_again_in_the_callers_spelling() -> None:
    options = {
        "include": ["*.txt"],
        "exclude": ["/cache/"],
        "oneFileSystem": True,
        "allowPartial": True,
        "allowEmpty": False,
        "maxDelete": 0,
        "changeDetection": "mtime",
    }
    parsed = BackupRequest.parse({"rootDirectory": "/srv", **options})
    assert parsed == BackupRequest(
        "/srv",
        ("*.txt",),
        ("/cache/",),
        one_file_system=True,
        allow_partial=True,
        max_delete=0,
        change_detection="mtime",
    )
    assert parsed.to_json() == options


@pytest.mark.parametrize("body", [b'"0123abcd"', b'{"instanceId": "0123abcd"}'])
def test_a_verification_names_a_run(body: bytes) -> None:
    assert VerifyRequest.parse(request.check(VERIFY, body, SETTINGS)) == VerifyRequest("0123abcd", deep=False)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"null", "InvalidInstanceId"),
        (b'""', "InvalidInstanceId"),
        (b'"a/b"', "InvalidInstanceId"),
        (b'{"deep": true}', "InvalidInstanceId"),
        (b'{"instanceId": "a", "deep": 1}', "InvalidOption"),
        (b'{"instanceId": "a", "rootDirectory": "/srv"}', "UnknownOption"),
    ],
)
def test_a_verification_without_a_run_is_refused(body: bytes, code: str) -> None:
    with pytest.raises(RequestError) as refused:
        request.check(VERIFY, body, SETTINGS)
    assert (refused.value.status, refused.value.code) == (400, code)


@pytest.mark.parametrize("name", ["E2_CopyBatches", "E2_ListTree", "BuiltIn__HttpPollOrchestrator", "e2", ""])
def test_only_public_orchestrators_can_be_started_and_the_refusal_names_them(name: str) -> None:
    with pytest.raises(RequestError, match="There is: E2_BackupSiteContent, E2_VerifyBackup") as refused:
        request.check(name, b"null", SETTINGS)
    assert (refused.value.status, refused.value.code) == (404, "UnknownOrchestrator")
