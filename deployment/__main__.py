"""Command line: `python -m deployment COMMAND`, run by `make`."""

import argparse
import sys
from pathlib import Path

from rich.filesize import decimal

from deployment.advisories import audit
from deployment.package import build, install_dependencies
from deployment.wheels import download

PROJECT = Path(__file__).resolve().parent.parent
REQUIREMENTS = PROJECT / "requirements.txt"
DIST = PROJECT / "dist"
WHEELS = DIST / "wheels"


def main() -> int:
    """Run the command; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m deployment", description="The package for Azure.")
    commands = parser.add_subparsers(dest="command", required=True)
    package = commands.add_parser("package", help="build the zip in dist/")
    package.add_argument("--prebuilt", action="store_true", help="with its dependencies, for Linux x86-64")
    commands.add_parser("wheels", help="download what requirements.txt names to dist/wheels")
    commands.add_parser("dependencies", help="install them for Azure into .python_packages, for azd")
    commands.add_parser("advisories", help="look what requirements.txt names up for known vulnerabilities")
    arguments = parser.parse_args()
    if arguments.command == "wheels":
        return download(REQUIREMENTS, WHEELS)
    if arguments.command == "dependencies":
        install_dependencies(PROJECT, WHEELS)
        return 0
    if arguments.command == "advisories":
        return audit(REQUIREMENTS)
    _package(prebuilt=arguments.prebuilt)
    return 0


def _package(*, prebuilt: bool) -> None:
    archive = DIST / ("site-backup-prebuilt.zip" if prebuilt else "site-backup.zip")
    files = build(PROJECT, archive, WHEELS if prebuilt else None)
    where = archive.relative_to(PROJECT)
    sys.stdout.write(f"{where}: {len(files)} files, {decimal(archive.stat().st_size)}\n")


if __name__ == "__main__":
    sys.exit(main())
