"""The zip itself. The same files give the same bytes, whenever and wherever it is built."""

import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from pathspec import GitIgnoreSpec

from deployment.wheels import unpack

_PACKAGES = ".python_packages"
SITE_PACKAGES = f"{_PACKAGES}/lib/site-packages"
"""Where the Functions host looks for an app's own packages."""

# What is installed in the project's own .python_packages is not known to fit Azure.
_NOT_FROM_HERE = f"/{_PACKAGES}"
_ALL = GitIgnoreSpec.from_lines([])
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time that a zip can hold
_FILE_MODE = 0o100644 << 16


def build(project: Path, archive: Path, wheels: Path | None = None) -> list[str]:
    """Write the deployment package of `project` to `archive`; returns the names in it, sorted.

    With `wheels`, a directory that `deployment.wheels.download` filled, the dependencies are in it too.
    """
    archive.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        sources = {name: project / name for name in app_files(project)}
        if wheels is not None:
            installed = Path(scratch)
            _install(project, wheels, installed)
            sources |= {f"{SITE_PACKAGES}/{name}": installed / name for name in _files(installed, _ALL)}
        _write(archive, sources)
    return sorted(sources)


def install_dependencies(project: Path, wheels: Path) -> None:
    """Fill the project's `.python_packages` with what a prebuilt package has there, and nothing else.

    For tools that make a package of the project's folder by themselves, as azd does.
    """
    shutil.rmtree(project / _PACKAGES, ignore_errors=True)
    _install(project, wheels, project / SITE_PACKAGES)


def app_files(project: Path) -> Iterator[str]:
    """Yield the files of `project` that `.funcignore` leaves, as paths relative to it.

    Its patterns mean here what they mean in a .gitignore.
    """
    patterns = (project / ".funcignore").read_text().splitlines()
    return _files(project, GitIgnoreSpec.from_lines([*patterns, _NOT_FROM_HERE]))


def _install(project: Path, wheels: Path, target: Path) -> None:
    unpack(project / "requirements.txt", wheels, target)
    shutil.rmtree(target / "bin", ignore_errors=True)  # commands; nobody runs them in Azure


def _files(root: Path, ignored: GitIgnoreSpec) -> Iterator[str]:
    for directory, below, names in os.walk(root):
        here = Path(directory).relative_to(root)
        below[:] = [name for name in below if not ignored.match_file(f"{here / name}/")]
        yield from (path for name in names if not ignored.match_file(path := (here / name).as_posix()))


def _write(archive: Path, sources: Mapping[str, Path]) -> None:
    with zipfile.ZipFile(archive, "w") as package:
        for name in sorted(sources):
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.external_attr = _FILE_MODE
            package.writestr(entry, sources[name].read_bytes(), zipfile.ZIP_DEFLATED)
