"""How far a backup is, from its custom status: a bar on a terminal, a line now and then elsewhere.

All of it goes to standard error; standard output is for the result.
"""

import time
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, Self

from rich.console import Console
from rich.filesize import decimal
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

_LINE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Tally:
    """A custom status document; all zero before the app has set one. Sizes are in bytes."""

    phase: str
    files: str
    """In words: how many of how many, and how many failed, vanished or were skipped, if any."""
    bytes_total: int
    bytes_done: int

    @classmethod
    def of(cls, custom_status: dict[str, Any] | None) -> Self:
        """Read `{"phase", "files": {"total", "done", ...}, "bytes": {"total", "done"}}`, or null."""
        document = custom_status or {}
        files: dict[str, int] = dict(document.get("files", {}))
        sizes: dict[str, int] = document.get("bytes", {})
        words = f"{files.pop('done', 0):,} of {files.pop('total', 0):,} files"
        others = [f"{count:,} {what}" for what, count in files.items() if count]
        return cls(
            phase=document.get("phase", "starting"),
            files=", ".join([words, *others]),
            bytes_total=sizes.get("total", 0),
            bytes_done=sizes.get("done", 0),
        )


type Show = Callable[[Tally], None]


def progress_display() -> AbstractContextManager[Show]:
    """A context manager that gives a function to call with every new tally."""
    console = Console(stderr=True, highlight=False)
    return _bar(console) if console.is_terminal else _lines(console)


@contextmanager
def _bar(console: Console) -> Generator[Show]:
    columns = (
        TextColumn("{task.description:<9}"),
        BarColumn(),
        DownloadColumn(),
        TextColumn("{task.fields[files]}"),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("starting", total=None, files="")

        def show(tally: Tally) -> None:
            progress.update(
                task,
                description=tally.phase,
                total=tally.bytes_total or None,
                completed=tally.bytes_done,
                files=tally.files,
            )

        yield show


@contextmanager
def _lines(console: Console) -> Generator[Show]:
    shown, due = Tally.of(None), 0.0

    def show(tally: Tally) -> None:
        nonlocal shown, due
        now = time.monotonic()
        if tally == shown or (tally.phase == shown.phase and now < due):
            return
        shown, due = tally, now + _LINE_SECONDS
        sizes = f"{decimal(tally.bytes_done)} of {decimal(tally.bytes_total)}"
        console.print(f"{tally.phase}: {tally.files}, {sizes}", soft_wrap=True)

    yield show
