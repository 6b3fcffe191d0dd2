"""The commands, typed as a newcomer types them, and what is left of them afterwards."""

import json
import re
import signal
import socket
from collections.abc import Mapping
from pathlib import Path

import httpx
import psutil
import pytest
from azure.storage.blob import ContainerClient

from localstack.azurite import Azurite
from localstack.settings import PROJECT, STORAGE_SETTING, StackSettings
from tests.e2e.support.commands import Foreground, make, make_start, run_line, stack_environ
from tests.e2e.support.containers import assert_container_equals_tree
from tests.e2e.support.trees import Size, Tree, make_tree, total_bytes
from tests.e2e.support.waiting import wait_until

SITE: Tree = {
    "index.html": b"<h1>hello</h1>",
    "empty": b"",
    "a b & $c": b"1",
    "logs": {"today.log": Size(70_000), "2025": {"all.log": Size(9_000_000)}},
}
PORTS = ("PORT", "AZURITE_BLOB_PORT", "AZURITE_QUEUE_PORT", "AZURITE_TABLE_PORT")


def test_make_backup_prints_the_final_status_and_leaves_every_byte(tmp_path: Path) -> None:
    root = make_tree(tmp_path / "my $ite", SITE)
    data = tmp_path / "azurite"
    environ = stack_environ(data)

    ended = make("backup", f"ROOT={root}", environ=environ)

    assert ended.returncode == 0, ended.stderr
    [line] = ended.stdout.splitlines()
    document = json.loads(line)
    assert document["runtimeStatus"] == "Completed"
    assert document["output"] == total_bytes(root)
    assert document["input"] == str(root)
    assert "Completed: 5 of 5 files" in ended.stderr
    with (
        Azurite(StackSettings.from_environ(environ).emulator, data) as emulator,
        ContainerClient.from_connection_string(emulator.connection_string, "backups") as container,
    ):
        assert_container_equals_tree(container, root)


def test_a_storage_of_the_environment_gets_the_backup_and_no_emulator_starts(
    azurite: Azurite, tmp_path: Path
) -> None:
    root = make_tree(tmp_path / "site", {"index.html": b"hello"})
    data = tmp_path / "azurite"
    storage = {STORAGE_SETTING: azurite.connection_string}

    ended = make("backup", f"ROOT={root}", environ={**stack_environ(data), **storage})

    assert ended.returncode == 0, ended.stderr
    assert not data.exists()
    with ContainerClient.from_connection_string(azurite.connection_string, "backups") as container:
        assert_container_equals_tree(container, root)


def test_make_backup_of_a_missing_directory_fails_with_its_name_and_no_python_class(tmp_path: Path) -> None:
    ended = make("backup", f"ROOT={tmp_path}/nowhere", environ=stack_environ())

    assert ended.returncode == 1, ended.stderr
    document = json.loads(ended.stdout.splitlines()[-1])
    assert document["runtimeStatus"] == "Failed"
    error_type, _, message = document["output"].partition(": ")
    assert error_type.startswith("sitebackup."), "the host's form, for programs"
    assert f"{tmp_path}/nowhere" in message
    assert ended.stderr.splitlines()[-1] == f"Failed: {message}"


@pytest.mark.parametrize(
    ("arguments", "environ", "message"),
    [
        pytest.param([], {}, "usage: make backup ROOT=", id="no ROOT"),
        pytest.param(["ROOT=/etc"], {"PORT": "http"}, "PORT='http' is not a port", id="bad port"),
        pytest.param(["ROOT=/"], {"AZURITE_DATA": ".azurite"}, "/ contains", id="the data in the tree"),
        pytest.param(["ROOT=/etc"], {"BACKUP_ALLOWED_ROOTS": "/srv"}, "BACKUP_ALLOWED_ROOTS", id="forbidden"),
        pytest.param(
            ["ROOT=/etc"],
            {"BACKUP_CONCURRENCY": "many"},
            "BACKUP_CONCURRENCY takes a whole number from 1 to 100, not 'many'.\n",
            id="bad setting",
        ),
    ],
)
def test_make_backup_says_what_was_wrong_with_the_question(
    arguments: list[str], environ: Mapping[str, str], message: str
) -> None:
    ended = make("backup", *arguments, environ={**stack_environ(), **environ})

    assert (ended.returncode, ended.stdout) == (2, "")
    assert message in ended.stderr


def test_make_start_serves_until_ctrl_c_and_then_frees_its_ports(tmp_path: Path) -> None:
    root = make_tree(tmp_path / "my $ite", SITE)
    environ = {**stack_environ(), "BACKUP_ALLOWED_ROOTS": str(root)}
    with make_start(environ, tmp_path) as stack:
        functions, usage = stack.output.read_text().split("Back up a directory")
        assert f"http://localhost:{environ['PORT']}/orchestrators/{{functionName}}" in functions
        assert "E2_BackupSiteContent: orchestrationTrigger" in functions
        [line] = [line for line in usage.splitlines() if line.startswith("  curl ")]
        assert "202 Accepted" in run_line(line, environ).stdout

        parts = stack.parts()
        stack.interrupt(signal.SIGINT)
        stack.wait()

    assert_gone(parts)
    for variable in PORTS:
        socket.create_server(("127.0.0.1", int(environ[variable]))).close()
    assert "Traceback" not in stack.output.read_text()


def test_two_stacks_run_side_by_side_but_not_on_one_folder(tmp_path: Path) -> None:
    one, two = stack_environ(tmp_path / "one"), stack_environ(tmp_path / "two")
    with make_start(one, tmp_path) as first, make_start(two, tmp_path) as second:
        assert is_running(first)
        assert is_running(second)
        refused = make("start", environ=stack_environ(tmp_path / "two"))

    assert refused.returncode != 0
    assert "is in use by another stack" in refused.stderr
    assert "AZURITE_DATA=" in refused.stderr


@pytest.mark.parametrize("variable", PORTS)
def test_a_busy_port_is_named_with_the_variable_that_changes_it(variable: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        refused = make("start", environ={**stack_environ(), variable: str(port)})

    assert refused.returncode != 0
    assert f"Port {port} of 127.0.0.1" in refused.stderr
    assert f" {variable}=N" in refused.stderr


@pytest.mark.parametrize(("word", "name"), [("azurite", "Azurite"), ("devhost", "The Functions host")])
def test_a_part_that_dies_ends_the_stack_with_its_name(word: str, name: str, tmp_path: Path) -> None:
    with make_start(stack_environ(), tmp_path) as stack:
        parts = stack.parts()
        stack.part(word).kill()

        assert stack.wait() != 0
    assert f"{name} ended with exit code -9" in stack.output.read_text()
    assert_gone(parts)


def test_no_process_outlives_a_killed_stack(tmp_path: Path) -> None:
    with make_start(stack_environ(), tmp_path) as stack:
        parts = stack.parts()
        stack.part("localstack").kill()

        assert stack.wait() != 0
    assert_gone(parts)


def test_the_readmes_first_command_works_as_it_stands_in_a_clone(tmp_path: Path) -> None:
    root = PROJECT / "docs"
    data = tmp_path / "azurite"
    environ = stack_environ(data)
    first = readme_commands()[0]
    assert first.startswith("make backup ")

    ended = make(*first.split()[1:], environ=environ)

    assert ended.returncode == 0, ended.stderr
    document = json.loads(ended.stdout.splitlines()[-1])
    assert (document["input"], document["output"]) == (str(root), total_bytes(root))
    with (
        Azurite(StackSettings.from_environ(environ).emulator, data) as emulator,
        ContainerClient.from_connection_string(emulator.connection_string, "backups") as container,
    ):
        assert_container_equals_tree(container, root)


def test_the_other_commands_of_the_readme_work_as_they_stand(tmp_path: Path) -> None:
    environ = stack_environ(tmp_path / "azurite")
    commands = readme_commands()
    [make_list] = [line for line in commands if line.startswith("make list")]
    [get] = [line for line in commands if " -m localstack get " in line]
    [restore] = [line for line in commands if line.startswith("make restore ")]

    with make_start(environ, tmp_path):
        for curl in [line for line in commands if line.startswith("curl ")]:
            answer = run_line(curl.replace("7071", environ["PORT"]), environ).stdout
            location = re.search(r"^Location: (\S+/instances/(\w+)\S+)", answer, re.MULTILINE)
            assert location is not None, answer
            status = f"curl -s '{location[1]}'"
            wait_until(lambda: '"Completed"' in run_line(status, environ).stdout, 20)  # noqa: B023
            environ.setdefault("ID", location[2])  # the backup's; the verification takes it

    page = PROJECT / "docs/deploy.md"
    assert f"{page.stat().st_size:>15,}  {str(page).lstrip('/')}\n" in run_line(make_list, environ).stdout
    assert (
        run_line(get, environ).stdout.splitlines() == page.read_text().splitlines()[:10]
    )  # it ends in "| head"
    goal, *variables = restore.split()[1:]
    assert [variable.partition("=")[0] for variable in variables] == ["ID", "TO"]
    restored = make(goal, f"ID={environ['ID']}", f"TO={tmp_path}/docs", environ=environ)
    assert restored.returncode == 0, restored.stderr
    assert (tmp_path / "docs/deploy.md").read_bytes() == page.read_bytes()


def readme_commands() -> list[str]:
    """The commands in the README's shell blocks, with continued lines joined."""
    page = (PROJECT / "README.md").read_text()
    blocks: list[str] = re.findall(r"^```sh\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    return "".join(blocks).replace("\\\n", "").splitlines()


def is_running(stack: Foreground) -> bool:
    return httpx.get(f"{stack.base_url}/admin/host/status").json()["state"] == "Running"


def assert_gone(processes: list[psutil.Process]) -> None:
    """Within a few seconds: those of a killed parent end when the system has told them."""
    assert processes
    wait_until(lambda: not any(process.is_running() for process in processes), 15, lambda: processes)
