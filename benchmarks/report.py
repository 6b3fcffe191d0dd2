"""What a run of the benchmarks prints: progress while it runs, a table at its end, JSON for machines."""

import json
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.figures import Figure
from benchmarks.uploads import BLOCKS_AT_ONCE, CONCURRENCY
from localstack.settings import PROJECT
from sitebackup.activities import large

_PACKAGES = ("azure-storage-blob", "azure-functions-durable", "durabletask", "aiohttp")
_WIDTH = 140
"""Columns of a table that is not written to a terminal."""

_progress = Console(stderr=True, highlight=False)


def say(text: str) -> None:
    """Tell the person at the terminal how it goes."""
    _progress.print(text, markup=False, soft_wrap=True)


def show(figures: Sequence[Figure], conditions: Sequence[str]) -> None:
    """Print the table, under what it was measured with and what was left out."""
    console = _console()
    for line in (*_environment(), *conditions):
        console.print(line, markup=False)
    table = Table("what", "ours", "yardstick", "ratio", "target", "", "runs")
    for column in table.columns[1:4]:
        column.justify = "right"
    for figure in figures:
        table.add_row(
            figure.name,
            _number(figure.ours),
            _number(figure.yardstick),
            _number(figure.ratio),
            f"{figure.bound} {figure.target:g}",
            "ok" if figure.ok else "falls short",
            figure.runs,
            style=None if figure.ok else "bold",
        )
    console.print(table)


def show_grid(title: str, grid: Mapping[str, Mapping[str, float]]) -> None:
    """Print `{row: {column: number}}`."""
    columns = next(iter(grid.values()))
    table = Table("", *columns, title=title, title_justify="left")
    for row, cells in grid.items():
        table.add_row(row, *(_number(cells[column]) for column in columns))
    _console().print(table)


def show_facts(facts: Mapping[str, str]) -> None:
    """Print `{what: how it is}`, under the machine that it was on."""
    console = _console()
    for line in _machine():
        console.print(line, markup=False)
    table = Table(show_header=False)
    for row in facts.items():
        table.add_row(*row)
    console.print(table)


def write_json(figures: Sequence[Figure], path: Path) -> None:
    """Write `[{"name", "ours", "yardstick", "ratio", "target", "ok"}]`."""
    path.write_text(json.dumps([figure.to_json() for figure in figures], indent=2) + "\n", encoding="utf-8")


def _console() -> Console:
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _WIDTH
    return console


def _machine() -> list[str]:
    packages = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    return [
        f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores of {_processor()}, {platform.system()}",
        f"Python {platform.python_version()}, {packages}",
    ]


def _environment() -> list[str]:
    return [
        *_machine(),
        f"Azurite {_azurite()} in memory, {', '.join(map(_first_line, ('node', 'rclone', 'azcopy')))}",
        f"{CONCURRENCY} files at once, {large.BLOCKS_AT_ONCE} blocks of a large one"
        f" ({BLOCKS_AT_ONCE} of the yardstick's), one worker process",
    ]


def _processor() -> str:
    try:
        found = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text(encoding="utf-8"))
    except FileNotFoundError:
        found = None
    return found[1] if found else platform.machine()


def _azurite() -> str:
    return json.loads((PROJECT / "node_modules/azurite/package.json").read_text(encoding="utf-8"))["version"]


def _first_line(name: str) -> str:
    """Return a program's name and version, or that it is not installed."""
    program = shutil.which(name)
    if program is None:
        return f"{name} is not installed"
    output = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=30, check=True)  # noqa: S603
    line = output.stdout.splitlines()[0]
    return line if line.startswith(name) else f"{name} {line}"


def _number(value: float | None) -> str:
    """Return three digits or more of a number; empty for none."""
    if value is None:
        return ""
    if value >= 100 or value == round(value):
        return f"{value:,.0f}"
    return f"{value:.3g}"
