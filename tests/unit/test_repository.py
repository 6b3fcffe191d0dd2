"""The files of the repository that no program of the project reads: they name what exists."""

import re
from pathlib import Path
from typing import Any

import yaml

from localstack.settings import PROJECT

GOALS = set(re.findall(r"^([a-z0-9-]+):", (PROJECT / "Makefile").read_text(), re.MULTILINE))


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
