"""Contenders that take turns, so that whatever else the machine does meets all of them alike."""

from collections.abc import Callable, Mapping
from statistics import median

from benchmarks.report import say

type Contender = Callable[[], float]
"""Does the work once and returns the seconds that it took."""


class Results:
    """Seconds of every run of every contender."""

    def __init__(self, seconds: Mapping[str, list[float]]) -> None:
        self._seconds = seconds

    def seconds(self, contender: str) -> float:
        """Return the median."""
        return median(self._seconds[contender])

    def spread(self, *contenders: str) -> str:
        """Return the runs in words, for the table."""
        return "; ".join(
            f"{name} {' '.join(f'{seconds:.2f}' for seconds in self._seconds[name])} s" for name in contenders
        )


def contest(
    title: str, contenders: Mapping[str, Contender], rounds: int, before: Callable[[], None]
) -> Results:
    """Run all contenders once in each round, `before` before each; who begins changes from round to round."""
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    names = list(contenders)
    for number in range(rounds):
        for name in names:
            before()
            seconds[name].append(contenders[name]())
            say(f"{title}, round {number + 1} of {rounds}: {name} {seconds[name][-1]:.2f} s")
        names = [*names[1:], names[0]]
    return Results(seconds)
