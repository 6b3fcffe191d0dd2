"""The wheels of requirements.txt: downloaded once, installed from there without the network.

Only what requirements.txt names is downloaded, so that an installation from these wheels alone fails when a
dependency is not pinned in it.
"""

import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path

# What the Functions images for Python 3.13 can load; pip does not add the older ones by itself.
_AZURE_TAGS = ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64")
FOR_AZURE = (
    "--only-binary=:all:",
    "--implementation=cp",
    "--python-version=3.13",
    *(f"--platform={tag}" for tag in _AZURE_TAGS),
)
"""pip's options for wheels that run in Azure, whatever this machine is."""

_SECONDS = 300


def download(requirements: Path, wheels: Path) -> int:
    """Fill the directory `wheels` for Azure and, where that differs, for this machine; pip's exit code."""
    command = ["download", "-qq", "--no-deps", f"--requirement={requirements}", f"--dest={wheels}"]
    code = run_pip([*command, *FOR_AZURE])
    if code == 0 and sysconfig.get_platform() != "linux-x86_64":
        code = run_pip([*command, "--only-binary=:all:"])
    return code


def unpack(requirements: Path, wheels: Path, target: Path) -> None:
    """Install `requirements` for Azure into the directory `target`, from `wheels` alone.

    Raises RuntimeError, after pip has said why, when they are not all there or need something unpinned.
    """
    options = ["-qq", "--no-index", f"--find-links={wheels}", "--no-compile", f"--target={target}"]
    if run_pip(["install", *options, *FOR_AZURE, f"--requirement={requirements}"]) != 0:
        raise RuntimeError(f"{requirements.name} could not be installed from {wheels}: run 'make wheels'.")


def run_pip(arguments: Sequence[str]) -> int:
    """Run this environment's pip, within five minutes; returns its exit code."""
    command = [sys.executable, "-m", "pip", *arguments]
    return subprocess.run(command, check=False, timeout=_SECONDS).returncode  # noqa: S603 - its own arguments
