"""The files of the repository that no program of the project reads: they name what exists."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from localstack.settings import PROJECT

GOALS = set(re.findall(r"^([a-z0-9-]+):", (PROJECT / "Makefile").read_text(), re.MULTILINE))

# https://github.com/Azure/azure-functions-host, ScriptHostState
STATES = ("Default", "Starting", "Initialized", "Running", "Error", "Stopping", "Stopped", "Offline")


def read(path: str | Path) -> Any:
    """A YAML file as data. Its key `on` is True, as YAML 1.1 reads it."""
    return yaml.safe_load((PROJECT / path).read_text())


def goals_in(text: str) -> set[str]:
    """The goals of the Makefile that a text calls."""
    return set(re.findall(r"(?<![\w-])make ([a-z][a-z0-9-]*)", text))


# ---- azd


def test_azd_never_leaves_the_dependencies_to_a_build_in_azure() -> None:
    service = read("azure.yaml")["services"]["backup"]
    assert service["remoteBuild"] is False
    assert service["hooks"] == {"prepackage": {"shell": "sh", "run": "make dependencies"}}
    assert goals_in(service["hooks"]["prepackage"]["run"]) <= GOALS


# ---- the pages

TUTORIAL = "https://learn.microsoft.com/azure/azure-functions/durable/durable-functions-cloud-backup"
PAGES = [PROJECT / "README.md", *sorted((PROJECT / "docs").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_page_speaks_of_the_tutorial_without_a_link_to_it(page: Path) -> None:
    mentioned = re.search(r"tutorial(?!_app)", page.read_text())
    assert mentioned is None or f"[tutorial]({TUTORIAL})" in page.read_text()


def test_one_page_says_where_the_prefix_of_the_names_comes_from() -> None:
    explained = [page.name for page in PAGES if "begin with `E2_`" in page.read_text()]
    assert explained == ["architecture.md"]


@pytest.mark.parametrize("path", ["README.md", ".github/workflows/ci.yml"])
def test_nobody_calls_a_host_that_is_starting_or_has_failed(path: str) -> None:
    """The Functions host answers its status before it can run a function."""
    [pattern] = re.findall(r"/admin/host/status \| grep -q '([^']+)'", (PROJECT / path).read_text())
    found = [state for state in STATES if re.search(pattern, json.dumps({"id": "x", "state": state}))]
    assert found == ["Running"]
    assert re.search(pattern, '{"state":"Running"}')
