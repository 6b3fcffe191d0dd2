"""The deployment package, deployed: unpacked into an empty directory, in an environment with nothing else.

The host and Microsoft's worker library are what Azure brings; they come from outside that environment, each
by a link, and nothing else of the project's own environment can be imported.
"""

import os
import re
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from azure.storage.blob import ContainerClient

from deployment.__main__ import WHEELS
from deployment.package import SITE_PACKAGES, build, install_dependencies
from localstack.azurite import Azurite
from localstack.child import Child
from localstack.settings import PROJECT, STORAGE_SETTING
from sitebackup.registry import ACTIVITIES, ORCHESTRATORS
from tests.e2e.support.apps import clean_environ, free_port
from tests.e2e.support.client import WaitingClient
from tests.e2e.support.commands import make
from tests.e2e.support.containers import assert_container_equals_tree
from tests.e2e.support.trees import total_bytes

# A library and what it needs beside what the app pins.
OF_THE_PLATFORM = ("azure_functions_runtime", "azurefunctions")


@pytest.fixture
def platform(tmp_path: Path) -> Path:
    """A directory to import the host and the worker library from, and nothing else."""
    directory = tmp_path / "platform"
    directory.mkdir()
    for name in ("devhost", "taskhub"):
        (directory / name).symlink_to(PROJECT / name)
    for name in OF_THE_PLATFORM:
        (directory / name).symlink_to(Path(sysconfig.get_path("purelib")) / name)
    return directory


@pytest.fixture
def python(tmp_path: Path) -> Path:
    """An interpreter with the standard library alone."""
    run(sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "venv"))
    return tmp_path / "venv/bin/python"


def run(*command: str) -> str:
    """Run a command to its end, within 90 s; fails with what it wrote."""
    ended = subprocess.run(  # noqa: S603 - tests say what is run
        command, capture_output=True, text=True, timeout=90, check=False
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def unpack(archive: Path, app: Path) -> Path:
    with zipfile.ZipFile(archive) as package:
        package.extractall(app)
    return app


@contextmanager
def hosted(python: Path, app: Path, path: Sequence[Path], storage: str) -> Generator[WaitingClient]:
    """The app in `app`, run by `python` with the directories of `path` to import from."""
    port = free_port()
    environ = {
        **clean_environ(),
        STORAGE_SETTING: storage,
        "HOME": str(app.parent / "nobody"),
        "PYTHONPYCACHEPREFIX": str(app.parent / "bytecode"),  # the app backs itself up: it must not change
        "PYTHONPATH": os.pathsep.join(map(str, path)),
    }
    command = [str(python), "-m", "devhost", "start", "--app", str(app), "--port", str(port)]
    child = Child.start("The packaged app", command, cwd=app.parent, environ=environ, quiet=True)
    url = f"http://127.0.0.1:{port}"

    def serves() -> bool:
        try:
            return httpx.get(f"{url}/admin/host/status", timeout=5, trust_env=False).is_success
        except httpx.TransportError:
            return False

    try:
        child.wait_until(serves, 60)
        functions = httpx.get(f"{url}/admin/functions", timeout=30, trust_env=False).json()
        own = {it["name"] for it in functions if not it["name"].startswith("BuiltIn__")}  # the SDK's
        assert own == {"start", *ORCHESTRATORS, *ACTIVITIES}
        with WaitingClient(url) as client:
            yield client
    finally:
        child.stop()


def assert_backs_itself_up(client: WaitingClient, app: Path, storage: str) -> None:
    """An empty request means the app's own directory: that it is this one shows where the app runs."""
    document = client.wait(client.start(""), 90)
    assert (document["runtimeStatus"], document["output"]) == ("Completed", total_bytes(app)), document
    with ContainerClient.from_connection_string(storage, "backups") as container:
        assert_container_equals_tree(container, app)


def test_the_package_runs_with_what_requirements_txt_names_and_nothing_else(
    azurite: Azurite, tmp_path: Path, platform: Path, python: Path
) -> None:
    archive = tmp_path / "site-backup.zip"
    build(PROJECT, archive)
    app = unpack(archive, tmp_path / "app")
    requirements = app / "requirements.txt"
    pip = (sys.executable, "-m", "pip", "--python", str(python))
    run(*pip, "install", "-qq", "--no-index", f"--find-links={WHEELS}", f"--requirement={requirements}")

    with hosted(python, app, [platform], azurite.connection_string) as client:
        assert_backs_itself_up(client, app, azurite.connection_string)


@pytest.mark.skipif(
    sysconfig.get_platform() != "linux-x86_64", reason="a prebuilt package is for Linux x86-64, as Azure is"
)
def test_the_prebuilt_package_runs_as_it_is(
    azurite: Azurite, tmp_path: Path, platform: Path, python: Path
) -> None:
    archive = tmp_path / "site-backup-prebuilt.zip"
    build(PROJECT, archive, WHEELS)
    app = unpack(archive, tmp_path / "app")

    # The host is a program apart in Azure; here it needs libraries that the package has too.
    with hosted(python, app, [platform, app / SITE_PACKAGES], azurite.connection_string) as client:
        started = client.start(str(app / "sitebackup"))
        document = client.wait(started, 90)
    assert document["runtimeStatus"] == "Completed", document
    assert document["output"] == total_bytes(app / "sitebackup")
    with ContainerClient.from_connection_string(azurite.connection_string, "backups") as container:
        assert_container_equals_tree(container, app / "sitebackup")


def test_the_package_holds_the_app_and_nothing_else(tmp_path: Path) -> None:
    sources = {
        path.relative_to(PROJECT).as_posix()
        for package in ("blueprints", "sitebackup")
        for path in (PROJECT / package).rglob("*.py")
    }
    names = build(PROJECT, tmp_path / "package.zip")
    assert set(names) == sources | {"function_app.py", "host.json", "requirements.txt"}
    with zipfile.ZipFile(tmp_path / "package.zip") as package:
        assert package.namelist() == names
        assert {it.external_attr >> 16 for it in package.infolist()} == {0o100644}


def test_azd_never_packages_other_dependencies_than_a_prebuilt_package_has(tmp_path: Path) -> None:
    """azd runs `make dependencies`, then packages what `.funcignore` leaves of the folder."""
    (tmp_path / "requirements.txt").write_text((PROJECT / "requirements.txt").read_text())
    left = tmp_path / SITE_PACKAGES / "left_by_an_older_version.py"
    left.parent.mkdir(parents=True)
    left.touch()
    install_dependencies(tmp_path, WHEELS)
    packages = tmp_path / ".python_packages"
    installed = {path.relative_to(tmp_path).as_posix() for path in packages.rglob("*") if path.is_file()}
    prebuilt = build(PROJECT, tmp_path / "prebuilt.zip", WHEELS)
    assert installed == {name for name in prebuilt if name.startswith(SITE_PACKAGES)}


def test_the_same_files_make_the_same_package(tmp_path: Path) -> None:
    for name in ("one", "other"):
        build(PROJECT, tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()


def test_make_package_says_what_it_built_and_how_large_it_is() -> None:
    ended = make("package", environ={})
    assert ended.returncode == 0, ended.stderr
    assert re.fullmatch(r"dist/site-backup\.zip: \d+ files, [\d.]+ kB\n", ended.stdout)
