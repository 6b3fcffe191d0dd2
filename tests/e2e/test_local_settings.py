"""The commands look where local.settings.json says, as the app does. Each test has a copy of the project."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from azure.storage.blob import ContainerClient

from localstack.azurite import Azurite
from localstack.settings import PROJECT
from tests.e2e.support.apps import clean_environ
from tests.e2e.support.commands import run, stack_environ
from tests.e2e.support.containers import assert_container_equals_tree
from tests.e2e.support.trees import make_tree


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the project, without its tests and with its node_modules."""
    folder = tmp_path / "project"
    skipped = shutil.ignore_patterns(
        "tests", "docs", "infra", "benchmarks", "node_modules", ".*", "__pycache__"
    )
    shutil.copytree(PROJECT, folder, ignore=skipped)
    (folder / "node_modules").symlink_to(PROJECT / "node_modules")
    return folder


@pytest.mark.parametrize("setting", ["AzureWebJobsStorage", "BackupStorage"])
def test_a_backup_is_restored_from_the_storage_that_it_went_to(
    project: Path, azurite: Azurite, setting: str, tmp_path: Path
) -> None:
    write_settings(project, {setting: azurite.connection_string})
    root = make_tree(tmp_path / "site", {"a": b"1", "d": {"b": b"22"}})
    data = tmp_path / "data"

    backup = localstack(project, data, "backup", str(root))
    assert backup.returncode == 0, backup.stderr
    with ContainerClient.from_connection_string(azurite.connection_string, "backups") as container:
        assert_container_equals_tree(container, root)
    restored = localstack(
        project, data, "restore", json.loads(backup.stdout)["instanceId"], str(tmp_path / "back")
    )
    assert restored.returncode == 0, restored.stderr
    assert (tmp_path / "back/d/b").read_bytes() == b"22"
    listed = localstack(project, data, "list")
    assert (listed.returncode, "names another storage" in listed.stderr) == (2, True)


def test_a_backup_storage_that_is_the_emulator_is_the_emulator_of_the_stack(
    project: Path, azurite: Azurite, tmp_path: Path
) -> None:
    other = azurite.connection_string
    write_settings(project, {"AzureWebJobsStorage": other, "BackupStorage": "UseDevelopmentStorage=true"})
    root = make_tree(tmp_path / "site", {"only here": b"1"})
    data = tmp_path / "data"

    backup = localstack(project, data, "backup", str(root))
    assert backup.returncode == 0, backup.stderr
    listed = localstack(project, data, "list")
    assert listed.stdout.endswith("/site/only here\n"), listed.stderr
    restored = localstack(
        project, data, "restore", json.loads(backup.stdout)["instanceId"], str(tmp_path / "back")
    )
    assert (restored.returncode, (tmp_path / "back/only here").read_bytes()) == (0, b"1")


def test_a_broken_settings_file_is_a_usage_error(project: Path, tmp_path: Path) -> None:
    (project / "local.settings.json").write_text("{")
    ended = localstack(project, tmp_path / "data", "list")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "local.settings.json is not valid JSON" in ended.stderr


def write_settings(project: Path, values: dict[str, str]) -> None:
    (project / "local.settings.json").write_text(json.dumps({"IsEncrypted": False, "Values": values}))


def localstack(project: Path, data: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environ = {**clean_environ(), **stack_environ(data)}
    return run([sys.executable, "-m", "localstack", *arguments], environ, cwd=project)
