"""Known vulnerabilities, asked of a database of advisories on loopback."""

import json
import threading
from collections.abc import Generator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from deployment.advisories import audit

ADVISORY = {
    "id": "PYSEC-2026-1",
    "affected": [
        {
            "package": {"name": "leaky", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "1.1"}]}],
        }
    ],
}


class Database(BaseHTTPRequestHandler):
    """Answers as https://google.github.io/osv.dev/post-v1-query says: `leaky` has a vulnerability."""

    def do_POST(self) -> None:
        query = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        answer = json.dumps({"vulns": [ADVISORY]} if query["package"]["name"] == "leaky" else {}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Say nothing."""


@pytest.fixture
def options() -> Generator[list[str]]:
    """What makes pip-audit ask the database of this test."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Database) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield ["--vulnerability-service=osv", f"--osv-url=http://127.0.0.1:{server.server_port}/v1/query"]
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("pins", "code", "said"),
    [
        ("sound==1.0\n", 0, ""),
        ("sound==1.0\nleaky==1.0\n", 1, "Advisories: leaky 1.0: PYSEC-2026-1, fixed in 1.1\n"),
    ],
    ids=["sound", "leaky"],
)
def test_a_package_with_a_known_vulnerability_is_named_and_fails_the_lint(
    pins: str, code: int, said: str, options: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    requirements = tmp_path / "requirements.txt"
    requirements.write_text(pins)
    assert audit(requirements, options) == code
    assert capsys.readouterr().err == said


def test_a_lint_without_the_network_says_that_nothing_was_looked_up(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("sound==1.0\n")
    nobody = ["--vulnerability-service=osv", "--osv-url=http://127.0.0.1:1/v1/query"]
    assert audit(requirements, nobody) == 0
    assert capsys.readouterr().err.startswith("Advisories: not looked up: ")
