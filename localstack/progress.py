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
    """The counts of a custom status document; all zero before the app has set one."""

    phase: str = "starting"
    files_total: int = 0
    files_done: int = 0
    files_failed: int = 0
    bytes_total: int = 0
    bytes_done: int = 0

    @classmethod
    def of(cls, custom_status: dict[str, Any] | None) -> Self:
        """Read `{"phase", "files": {"total", "done", "failed"}, "bytes": {"total", "done"}}`, or null."""
        document = custom_status or {}
        files, sizes = document.get("files", {}), document.get("bytes", {})
        return cls(
            phase=document.get("phase", "starting"),
            files_total=files.get("total", 0),
            files_done=files.get("done", 0),
            files_failed=files.get("failed", 0),
            bytes_total=sizes.get("total", 0),
            bytes_done=sizes.get("done", 0),
        )

    @property
    def files(self) -> str:
        """The files in words."""
        failed = f", {self.files_failed:,} failed" if self.files_failed else ""
        return f"{self.files_done:,} of {self.files_total:,} files{failed}"


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
        task = progress.add_task(Tally().phase, total=None, files="")

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
    shown, due = Tally(), 0.0

    def show(tally: Tally) -> None:
        nonlocal shown, due
        now = time.monotonic()
        if tally == shown or (tally.phase == shown.phase and now < due):
            return
        shown, due = tally, now + _LINE_SECONDS
        sizes = f"{decimal(tally.bytes_done)} of {decimal(tally.bytes_total)}"
        console.print(f"{tally.phase}: {tally.files}, {sizes}", soft_wrap=True)

    yield show
