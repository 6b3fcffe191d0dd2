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


def audit(requirements: Path, options: Sequence[str] = ()) -> int:
    """Look up the packages pinned in `requirements`; returns the exit code, 1 if one has a vulnerability.

    `options` are pip-audit's own.
    """
    command = [
        sys.executable,
        "-m",
        "pip_audit",
        f"--requirement={requirements}",
        "--no-deps",
        "--disable-pip",
    ]
    command += ["--format=json", "--progress-spinner=off", "--timeout=5", *options]
    try:
        done = subprocess.run(  # noqa: S603 - its own arguments
            command, capture_output=True, text=True, check=False, timeout=_SECONDS
        )
    except subprocess.TimeoutExpired:
        return _pass(f"no answer in {_SECONDS} seconds")
    if not done.stdout:
        return _pass(done.stderr.strip().rpartition("\n")[2])
    packages = json.loads(done.stdout)["dependencies"]
    known = [package for package in packages if "skip_reason" not in package]
    if len(known) < len(packages):
        _pass(f"{len(packages) - len(known)} of {len(packages)} packages are not in the index of advisories")
    for package in known:
        for advisory in package["vulns"]:
            fixed = ", ".join(advisory["fix_versions"]) or "no version yet"
            _say(f"{package['name']} {package['version']}: {advisory['id']}, fixed in {fixed}")
    return done.returncode


def _pass(reason: str) -> int:
    _say(f"not looked up: {reason}")
    return 0


def _say(text: str) -> None:
    sys.stderr.write(f"Advisories: {text}\n")
