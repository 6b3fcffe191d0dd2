"""What bad input gets: an error document, and nothing started."""

import json
from pathlib import Path

import httpx
import pytest

from tests.e2e.support.apps import RunningApp
from tests.e2e.support.trees import make_tree

pytestmark = pytest.mark.any_host

START = "/orchestrators/E2_BackupSiteContent"


def instances(app: RunningApp) -> int:
    url = f"{app.base_url}/runtime/webhooks/durabletask/instances"
    found = len(httpx.get(url, params={"top": 1_000}, timeout=30).json())
    assert found < 1_000  # or one more would not show
    return found


@pytest.mark.parametrize(
    ("path", "body", "status", "code", "says"),
    [
        (START, b"/srv", 400, "InvalidJson", "not JSON"),
        (START, b'{"rootDirectory": ', 400, "InvalidJson", "not JSON"),
        (START, b"17", 400, "InvalidBody", "JSON string, null, or an object"),
        (START, b'["/srv"]', 400, "InvalidBody", "JSON string, null, or an object"),
        (START, b'{"rootDirectory": "/srv", "fast": true}', 400, "UnknownOption", "'fast'"),
        (START, b'{"include": "*.txt"}', 400, "InvalidOption", "list of strings"),
        (START, b'{"exclude": ["[z-a]"]}', 400, "InvalidPattern", "pattern"),
        ("/orchestrators/E2_VerifyBackup", b"null", 400, "InvalidInstanceId", "instance ID"),
        (START, b'"relative/path"', 400, "RelativePath", "absolute"),
        (START, b'"/nul\\u0000"', 400, "InvalidPath", "not a valid path"),
        (START, b'"/etc"', 403, "RootNotAllowed", "BACKUP_ALLOWED_ROOTS"),
        (START, b'"' + b"a" * 65_536 + b'"', 413, "BodyTooLarge", "65536"),
        ("/orchestrators/E2_CopyBatches", b"null", 404, "UnknownOrchestrator", "E2_BackupSiteContent"),
        ("/orchestrators/E2_ListTree", b"null", 404, "UnknownOrchestrator", "E2_BackupSiteContent"),
        ("/orchestrators/BuiltIn__HttpActivity", b"", 404, "UnknownOrchestrator", "E2_BackupSiteContent"),
        ("/orchestrators/nothing", b"", 404, "UnknownOrchestrator", "E2_BackupSiteContent"),
    ],
)
def test_bad_input_is_answered_with_its_status_and_starts_nothing(
    app: RunningApp, path: str, body: bytes, status: int, code: str, says: str
) -> None:
    before = instances(app)
    answer = httpx.post(f"{app.base_url}{path}", content=body, timeout=30)
    assert answer.status_code == status
    assert answer.headers["Content-Type"].startswith("application/json")
    assert answer.json().keys() == {"error"}
    assert answer.json()["error"].keys() == {"code", "message"}
    assert answer.json()["error"]["code"] == code
    assert says in answer.json()["error"]["message"]
    assert "Traceback" not in answer.text
    assert instances(app) == before


def test_a_link_out_of_the_allowed_roots_is_refused(app: RunningApp, tmp_path: Path) -> None:
    (tmp_path / "out").symlink_to("/etc")
    answer = httpx.post(f"{app.base_url}{START}", content=json.dumps(f"{tmp_path}/out"), timeout=30)
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "RootNotAllowed")


@pytest.mark.parametrize(("name", "says"), [("missing", "does not exist"), ("file", "is not a directory")])
def test_a_root_that_is_no_directory_fails_within_seconds_and_says_which(
    app: RunningApp, tmp_path: Path, name: str, says: str
) -> None:
    make_tree(tmp_path / "site", {"file": b""})
    document = app.back_up(tmp_path / "site" / name, timeout=30)
    assert document["runtimeStatus"] == "Failed"
    assert f"'{tmp_path}/site/{name}' {says}." in document["output"]
    assert "Traceback" not in json.dumps(document)
    assert "retry" not in json.dumps(document)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_only_post_starts_a_backup(app: RunningApp, method: str) -> None:
    assert httpx.request(method, f"{app.base_url}{START}", timeout=30).status_code == 404
