"""The files of the repository that no program of the project reads: they name what exists."""

import json
import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from localstack.settings import PROJECT

GOALS = set(re.findall(r"^([a-z0-9-]+):", (PROJECT / "Makefile").read_text(), re.MULTILINE))
VERSION = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["version"]

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
PAGES = [*sorted(PROJECT.glob("*.md")), *sorted((PROJECT / "docs").glob("*.md"))]


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_link_of_a_page_leads_nowhere(page: Path) -> None:
    dead: list[str] = []
    for link in re.findall(r"\]\((?!https?:)([^)]+)\)", page.read_text()):
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            dead.append(link)
    assert dead == []


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


# ---- workflows and templates

WORKFLOWS = sorted((PROJECT / ".github/workflows").glob("*.yml"))
YAML_FILES = sorted(path for path in (PROJECT / ".github").rglob("*.yml"))


@pytest.mark.parametrize("path", YAML_FILES, ids=lambda path: path.name)
def test_every_yaml_file_can_be_read(path: Path) -> None:
    assert isinstance(read(path), dict)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_no_workflow_runs_an_action_that_is_not_pinned_or_a_command_that_does_not_exist(path: Path) -> None:
    workflow = read(path)
    assert workflow["permissions"] == {"contents": "read"}, "a job that needs more says so itself"
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    actions = [step["uses"] for step in steps if "uses" in step]
    assert [action for action in actions if not re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", action)] == []
    commands = "\n".join(step["run"] for step in steps if "run" in step)
    assert goals_in(commands) <= GOALS
    assert [name for name in re.findall(r"(?<!\S)\.ci/\w+", commands) if not (PROJECT / name).exists()] == []


def test_a_release_never_lacks_a_package_or_the_tests() -> None:
    [job] = read(".github/workflows/release.yml")["jobs"].values()
    commands = [step["run"] for step in job["steps"] if "run" in step]
    order = [".ci/run", "make package", "make package PREBUILT=1"]
    assert [command for command in commands if command in order] == order
    archives = set(
        re.findall(r'"(site-backup[\w-]*\.zip)"', (PROJECT / "deployment/__main__.py").read_text())
    )
    assert archives == {"site-backup.zip", "site-backup-prebuilt.zip"}
    assert commands[-1].startswith("gh release create")
    assert archives <= {Path(word).name for word in commands[-1].split()}


@pytest.mark.parametrize(("tag", "passes"), [(f"v{VERSION}", True), ("v9.9.9", False)])
def test_a_tag_is_no_release_unless_project_and_changelog_know_the_version(
    tmp_path: Path, tag: str, passes: bool
) -> None:
    """Runs the check of the workflow as it stands."""
    [job] = read(".github/workflows/release.yml")["jobs"].values()
    [check] = [
        step["run"] for step in job["steps"] if step.get("name", "").startswith("The tag is the version")
    ]
    for name in ("pyproject.toml", "CHANGELOG.md"):
        shutil.copy(PROJECT / name, tmp_path)
    ended = subprocess.run(  # noqa: S603 - a script of this project
        ["bash", "-e", "-c", check],  # noqa: S607 - from the PATH, as the workflow finds it
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "GITHUB_REF_NAME": tag},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (ended.returncode == 0) is passes, ended.stderr
    if passes:
        notes = (tmp_path / "dist/notes.md").read_text()
        assert "### Added" in notes
        assert "## [" not in notes


def test_the_changelog_begins_with_what_is_not_released_and_knows_the_version() -> None:
    heads = re.findall(r"^## (.*)$", (PROJECT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert heads[0] == "[Unreleased]"
    assert [
        head for head in heads[1:] if not re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d", head)
    ] == []
    assert heads[1].startswith(f"[{VERSION}]")
    assert read("azure.yaml")["metadata"]["template"] == f"site-backup@{VERSION}"


def test_dependabot_looks_after_everything_that_is_pinned() -> None:
    updates = read(".github/dependabot.yml")["updates"]
    assert {update["package-ecosystem"]: update["directory"] for update in updates} == {
        "pip": "/",
        "npm": "/",
        "github-actions": "/",
    }


def test_the_dev_container_has_what_set_up_asks_for() -> None:
    container = json.loads((PROJECT / ".devcontainer/devcontainer.json").read_text())
    python = (PROJECT / ".python-version").read_text().strip()
    assert f"/python:{python}-" in container["image"]
    assert container["features"]["ghcr.io/devcontainers/features/node:1"] == {"version": "24"}
    assert {"azure-cli", "azd"} <= {re.sub(r".*/|:.*", "", feature) for feature in container["features"]}
    assert "azure-functions-core-tools@4" in container["postCreateCommand"]
    assert goals_in(container["postCreateCommand"]) == {"setup"}


# ---- contributing


@pytest.mark.parametrize(
    "name", ["README.md", "CONTRIBUTING.md", "SECURITY.md", ".github/pull_request_template.md"]
)
def test_a_contributor_is_never_sent_to_a_file_or_a_command_that_does_not_exist(name: str) -> None:
    text = (PROJECT / name).read_text()
    links = re.findall(r"\]\((?!https?:)([^)#]+)", text)
    paths = re.findall(r"`((?:[\w.-]+/)+[\w.-]*|[\w-]+\.(?:md|toml|yaml))`", text)
    tests = re.findall(r"-m pytest (\S+)", text)
    assert [path for path in [*links, *paths, *tests] if not (PROJECT / path).exists()] == []
    code = re.findall(r"`+([^`]+)`+", text)
    assert goals_in("\n".join(code)) <= GOALS


def test_every_folder_of_tests_is_explained() -> None:
    rows = re.findall(r"^\| `(tests/\w+)` \|", (PROJECT / "CONTRIBUTING.md").read_text(), re.MULTILINE)
    folders = {f"tests/{path.parent.name}" for path in (PROJECT / "tests").glob("*/conftest.py")} | {
        "tests/unit"
    }
    assert set(rows) == folders
