"""What a verification found."""

from dataclasses import dataclass, field
from typing import Any

from sitebackup.tally import NAMED


@dataclass(slots=True)
class Findings:
    """What a verification found: counts, and the first troubles in words. `extra` is no trouble."""

    checked: int = 0
    bytes: int = 0
    missing: int = 0
    changed: int = 0
    extra: int = 0
    named: list[str] = field(default_factory=list[str])

    def missed(self, blob: str) -> None:
        """Count a blob that is not there."""
        self.missing += 1
        self._name(f"{blob} is missing")

    def differs(self, blob: str, how: str) -> None:
        """Count a blob that is not what was saved."""
        self.changed += 1
        self._name(f"{blob} {how}")

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object."""
        return {name: getattr(self, name) for name in self.__slots__}

    def add(self, answer: dict[str, Any]) -> None:
        """Add the JSON object of other findings."""
        for name in ("checked", "bytes", "missing", "changed", "extra"):
            setattr(self, name, getattr(self, name) + answer.get(name, 0))
        self.named = (self.named + answer.get("named", []))[:NAMED]

    def _name(self, text: str) -> None:
        if len(self.named) < NAMED:
            self.named.append(text)
