"""Set-up from nothing, and what it says when something that it cannot install is missing.

Each test has a folder of its own with the project's Makefile and set-up script, and with requirements that
need no network; every package registry is a closed port.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from localstack.settings import PROJECT
from tests.e2e.support.apps import clean_environ
from tests.e2e.support.commands import run

CLOSED = "http://127.0.0.1:9/"
SHELL_TOOLS = ("sh", "sed", "rm", "touch", "printf", "echo")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A project that depends on nothing."""
    folder = tmp_path / "checkout"
    (folder / "localstack").mkdir(parents=True)
    for name in ("Makefile", "localstack/toolchain.sh"):
        shutil.copy(PROJECT / name, folder / name)
    (folder / "requirements.txt").touch()
    (folder / "requirements-sdk.txt").touch()
    (folder / "requirements-dev.txt").touch()
    # npm makes node_modules only if there is something to put in.
    part = {"name": "part", "version": "1.0.0"}
    whole = {"name": "whole", "version": "1.0.0", "dependencies": {"part": "file:part"}}
    packages = {"": whole, "part": part, "node_modules/part": {"resolved": "part", "link": True}}
    (folder / "part").mkdir()
    (folder / "part/package.json").write_text(json.dumps(part))
    (folder / "package.json").write_text(json.dumps(whole))
    (folder / "package-lock.json").write_text(json.dumps({"lockfileVersion": 3, "packages": packages}))
    return folder


def make_setup(checkout: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    offline = {"PIP_INDEX_URL": CLOSED, "PIP_RETRIES": "0", "npm_config_registry": CLOSED}
    return run(
        ["make", "setup"], {**clean_environ(), **offline, "PYTHON": sys.executable, **environ}, cwd=checkout
    )


def test_a_setup_that_broke_off_heals_and_the_one_after_does_nothing(checkout: Path) -> None:
    (checkout / "requirements-dev.txt").write_text("not-to-be-had==1.0\n")
    broken = make_setup(checkout)
    assert broken.returncode != 0
    assert "not-to-be-had" in broken.stderr

    (checkout / "requirements-dev.txt").write_text("")
    healed = make_setup(checkout)
    assert healed.returncode == 0, healed.stderr
    assert (checkout / ".venv/bin/python").exists()

    again = make_setup(checkout)
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")


def test_missing_python_and_node_are_both_named_before_anything_is_done(
    checkout: Path, tmp_path: Path
) -> None:
    ended = make_setup(checkout, PATH=str(path_with(tmp_path, {})), PYTHON="")

    assert ended.returncode != 0
    assert "Python 3.13 or newer with its venv module is needed" in ended.stderr
    assert "https://www.python.org/downloads/" in ended.stderr
    assert "Node 20 or newer is needed" in ended.stderr
    assert "https://nodejs.org/" in ended.stderr
    assert "npm is needed" in ended.stderr
    assert not (checkout / ".venv").exists()


def test_an_old_python_an_old_node_and_a_broken_shim_do_not_count(checkout: Path, tmp_path: Path) -> None:
    commands = {
        "python3.13": "echo 'not installed' >&2; exit 127",
        "python3": "exit 1",  # what sys.exit(sys.version_info < (3, 13)) makes of an old one
        "node": "exit 1",
        "npm": "echo 10.0.0",
    }
    ended = make_setup(checkout, PATH=str(path_with(tmp_path, commands)), PYTHON="")

    assert ended.returncode != 0
    assert "Python 3.13 or newer" in ended.stderr
    assert "Node 20 or newer" in ended.stderr
    assert "npm is needed" not in ended.stderr
    assert "not installed" not in ended.stderr


def test_python_is_found_under_any_of_its_names(checkout: Path, tmp_path: Path) -> None:
    commands = {"python3.13": "exit 127", "python": f'exec {sys.executable} "$@"', "node": "", "npm": ""}
    found = run(["localstack/toolchain.sh"], {"PATH": str(path_with(tmp_path, commands))}, cwd=checkout)

    assert found.stdout == "python\n"


def path_with(folder: Path, commands: dict[str, str]) -> Path:
    """A PATH of one directory: what the Makefile calls, and `commands` as shell scripts of that body."""
    directory = folder / "bin"
    directory.mkdir()
    for tool in ("make", *SHELL_TOOLS):
        found = shutil.which(tool)
        assert found is not None, tool
        (directory / tool).symlink_to(found)
    for name, body in commands.items():
        script = directory / name
        script.write_text(f"#!/bin/sh\n{body}\n")
        script.chmod(0o755)
    return directory
