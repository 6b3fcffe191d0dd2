"""An event loop on which hours pass at once: it never waits, its time jumps to when something is due."""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, override


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop whose time begins at 0 and passes only while nothing can be done."""

    def __init__(self) -> None:
        self.now = 0.0
        super().__init__(_Jumping(self))

    @override
    def time(self) -> float:
        return self.now


class _Jumping(selectors.SelectSelector):
    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    @override
    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready and timeout:
            self._loop.now += timeout
        return ready


def run_at_once[T](work: Coroutine[Any, Any, T]) -> T:
    """Run `work` on a loop of its own; sleeping and waiting take no time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(work)
