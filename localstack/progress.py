"""How far a backup is, from its custom status: a bar on a terminal, a line now and then elsewhere.

All of it goes to standard error; standard output is for the result.
"""

import time
from collections.abc import Callable, Generator, Iterable
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, Self

from rich.console import Console
from rich.filesize import decimal
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

_LINE_SECONDS = 2.0

# What a file costs beside its content, as so many bytes of content: the bar of a tree of small files would
# else stand at its end for most of the time. Against the emulator on two cores: 300 small files/s, 80 MB/s.
_FILE_BYTES = 256 * 1024

_OTHERS = ("failed", "vanished", "skipped", "checked")
_CHANGES = ("new", "changed", "gone", "unchanged")


@dataclass(frozen=True, slots=True)
class Tally:
    """A custom status document; all zero before the app has set one. Sizes are in bytes."""

    phase: str
    files_total: int
    files_done: int
    bytes_total: int
    bytes_done: int
    others: str
    """Entries that are not saved, or checked at the end, each kind after a comma: ", 2 failed, 1 skipped"."""
    changes: str
    """What is different from the run before: "12 new, 1 gone, 9,984 unchanged; 1.2 MB uploaded"."""

    @classmethod
    def of(cls, custom_status: dict[str, Any] | None) -> Self:
        """Read `{"phase", "files": {"total", "done", ...}, "bytes": {"total", "done", ...}}`, or null."""
        document = custom_status or {}
        files: dict[str, int] = document.get("files", {})
        sizes: dict[str, int] = document.get("bytes", {})
        uploaded = sizes.get("uploaded", 0)
        changes = ", ".join(_counts(files, _CHANGES))
        return cls(
            phase=document.get("phase", "starting"),
            files_total=files.get("total", 0),
            files_done=files.get("done", 0),
            bytes_total=sizes.get("total", 0),
            bytes_done=sizes.get("done", 0),
            others="".join(f", {count}" for count in _counts(files, _OTHERS)),
            changes=f"{changes}; {decimal(uploaded)} uploaded" if changes else "",
        )

    @property
    def files(self) -> str:
        """The files in words."""
        return f"{self.files_done:,} of {self.files_total:,} files{self.others}"

    @property
    def sizes(self) -> str:
        """The bytes in words."""
        return f"{decimal(self.bytes_done)} of {decimal(self.bytes_total)}"

    @property
    def line(self) -> str:
        """All of it in words."""
        return "; ".join(filter(None, (f"{self.sizes}, {self.files}", self.changes)))


def _counts(files: dict[str, int], kinds: Iterable[str]) -> list[str]:
    return [f"{files[kind]:,} {kind}" for kind in kinds if files.get(kind)]


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
        TextColumn("{task.fields[tally].sizes}, {task.fields[tally].files}\n{task.fields[tally].changes}"),
        TimeRemainingColumn(),
    )
    nothing = Tally.of(None)
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(nothing.phase, total=None, tally=nothing)

        def show(tally: Tally) -> None:
            progress.update(
                task,
                description=tally.phase,
                total=tally.bytes_total + tally.files_total * _FILE_BYTES or None,
                completed=tally.bytes_done + tally.files_done * _FILE_BYTES,
                tally=tally,
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
        console.print(f"{tally.phase}: {tally.line}", soft_wrap=True)

    yield show
