"""Known vulnerabilities of what goes to Azure, as pip-audit finds them.

Who lints may be without the network, or behind an index of packages that knows of no advisories. That is said
and is no failure here; the workflow, which has the network, insists.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

_SECONDS = 60
_OPTIONS = ("--no-deps", "--disable-pip", "--format=json", "--progress-spinner=off", "--timeout=5")


def audit(requirements: Path, options: Sequence[str] = ()) -> int:
    """Look up the packages pinned in `requirements`; returns the exit code, 1 if one has a vulnerability.

    `options` are pip-audit's own.
    """
    command = [sys.executable, "-m", "pip_audit", f"--requirement={requirements}", *_OPTIONS, *options]
    try:
        done = subprocess.run(  # noqa: S603 - its own arguments
            command, capture_output=True, text=True, check=False, timeout=_SECONDS
        )
    except subprocess.TimeoutExpired:
        _say(f"not looked up: no answer in {_SECONDS} seconds")
        return 0
    if not done.stdout:
        _say(f"not looked up: {done.stderr.strip().rpartition('\n')[2]}")
        return 0
    packages = json.loads(done.stdout)["dependencies"]
    known = [package for package in packages if "skip_reason" not in package]
    if unknown := len(packages) - len(known):
        _say(f"not looked up: {unknown} of {len(packages)} packages are not in the index of advisories")
    for package in known:
        for advisory in package["vulns"]:
            fixed = ", ".join(advisory["fix_versions"]) or "no version yet"
            _say(f"{package['name']} {package['version']}: {advisory['id']}, fixed in {fixed}")
    return done.returncode


def _say(text: str) -> None:
    sys.stderr.write(f"Advisories: {text}\n")
