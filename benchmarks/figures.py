"""One line of the table: what was measured, against what, and whether it is enough."""

from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Figure:
    """A measurement with a target.

    `value`, the ratio of `ours` to `yardstick`, or `ours` itself where there is no yardstick, should be
    `at least` or `at most` the `target`. The unit is in the name. `runs` says what the medians are of.
    """

    name: str
    ours: float
    yardstick: float | None
    bound: Literal["at least", "at most"]
    target: float
    runs: str = ""

    @property
    def ratio(self) -> float | None:
        """Ours, in yardsticks."""
        return None if self.yardstick is None else self.ours / self.yardstick

    @property
    def ok(self) -> bool:
        """Whether the target is reached."""
        value = self.ours if self.ratio is None else self.ratio
        return value >= self.target if self.bound == "at least" else value <= self.target

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object; `ratio` and `yardstick` are null where `ours` is compared with the target."""
        return {
            "name": self.name,
            "ours": self.ours,
            "yardstick": self.yardstick,
            "ratio": self.ratio,
            "target": self.target,
            "ok": self.ok,
        }
