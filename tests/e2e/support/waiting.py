"""Waiting for what happens elsewhere, without guessing how long it takes."""

import time
from collections.abc import Callable


def wait_until(condition: Callable[[], bool], seconds: float, otherwise: Callable[[], object] = str) -> None:
    """Poll `condition` until it is true; fail with what `otherwise` says if `seconds` pass before."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {otherwise()}"
        time.sleep(0.05)
