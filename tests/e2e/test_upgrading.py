"""The commands of docs/deploy.md that let runs end before an upgrade, against a stack on this machine."""

import os
import re
from collections.abc import Mapping
from pathlib import Path

from localstack.client import BackupClient
from localstack.settings import PROJECT, EmulatorPorts
from tests.e2e.support.apps import free_port
from tests.e2e.support.commands import make_start, run_line, stack_environ
from tests.e2e.support.trees import make_tree


def commands() -> tuple[str, str, str]:
    """The three blocks of the page: what lists unfinished runs, what waits for them, what terminates them."""
    page = (PROJECT / "docs/deploy.md").read_text()
    section = page.partition("\n## 6. Upgrade\n")[2].partition("\n## ")[0]
    listing, waiting, terminating = re.findall(r"^```sh\n(.*?)^```", section, re.DOTALL | re.MULTILINE)
    return listing, waiting, terminating


def with_a_cli(folder: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """`environ` with an `az` that answers with a key, and without the pauses of a loop."""
    folder.mkdir()
    for name, body in {"az": "echo a-key", "sleep": "exec /bin/sleep 0.2"}.items():
        (folder / name).write_text(f"#!/bin/sh\n{body}\n")
        (folder / name).chmod(0o755)
    return {**environ, "PATH": f"{folder}:{os.environ['PATH']}"}


def test_the_commands_of_an_upgrade_find_every_unfinished_run_and_leave_none(tmp_path: Path) -> None:
    root = make_tree(tmp_path / "site", {"index.html": b"hello"})
    nowhere = EmulatorPorts(free_port(), free_port(), free_port()).connection_string
    environ = {**stack_environ(), "BACKUP_ALLOWED_ROOTS": str(root)}
    listing, waiting, terminating = commands()
    with make_start({**environ, "BackupStorage": nowhere}, tmp_path) as stack:
        shell = with_a_cli(tmp_path / "bin", {"AZURE_FUNCTION_APP_URL": stack.base_url})
        assert run_line(listing, shell).stdout == ""

        with BackupClient(stack.base_url) as client:
            started = [client.start(str(root)) for _ in range(2)]  # they wait for a storage that is not there
            unfinished = run_line(listing, shell).stdout
            assert {run["id"] for run in started} <= {line.split()[0] for line in unfinished.splitlines()}
            assert "E2_BackupSiteContent" in unfinished

            ended = run_line("\n".join([listing, terminating, waiting]), shell)
            assert ended.returncode == 0, ended.stderr
            assert {client.status(run)["runtimeStatus"] for run in started} == {"Terminated"}
            assert run_line(listing, shell).stdout == ""


def test_a_list_that_cannot_be_read_never_looks_like_an_empty_one(tmp_path: Path) -> None:
    listing, _, _ = commands()
    shell = with_a_cli(tmp_path / "bin", {"AZURE_FUNCTION_APP_URL": f"http://127.0.0.1:{free_port()}"})
    assert run_line(listing, shell).stdout == "The list could not be read.\n"
