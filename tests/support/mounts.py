"""Mounting for tests, where tests may mount."""

import os
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def mount(point: Path, *arguments: str) -> Generator[None]:
    """Mount at `point` what the `arguments` of `mount` say, while the block runs, or skip the test."""
    if os.geteuid() != 0 or _run("mount", *arguments, str(point)):
        pytest.skip("mounting a file system is not permitted here")
    try:
        yield
    finally:
        assert _run("umount", str(point)) == 0


def _run(*command: str) -> int:
    return subprocess.run(command, capture_output=True, timeout=10, check=False).returncode  # noqa: S603 - as the test says
