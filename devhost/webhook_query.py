"""Query parameters as the durable webhooks read them.

Names compare without regard to case; a value that cannot be read counts as absent.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime

import durabletask.internal.orchestrator_service_pb2 as pb
from google.protobuf.timestamp_pb2 import Timestamp
from multidict import MultiMapping

from .payloads import STATUS_NAMES

_INT_MAX = 2**31 - 1
_STATUSES: Mapping[str, pb.OrchestrationStatus] = {name: status for status, name in STATUS_NAMES.items()}


class WebhookQuery:
    """The query of one request."""

    def __init__(self, query: MultiMapping[str]) -> None:
        self._values: dict[str, list[str]] = {}
        for name, value in query.items():
            self._values.setdefault(name.lower(), []).append(value)

    def text(self, name: str) -> str | None:
        values = self._values.get(name.lower())
        return values[0] if values else None

    def flag(self, name: str, default: bool) -> bool:
        return {"true": True, "false": False}.get((self.text(name) or "").strip().lower(), default)

    def number(self, name: str) -> int | None:
        """A whole number of 32 bits."""
        text = self.text(name) or ""
        number = int(text) if re.fullmatch(r"\s*[+-]?[0-9]{1,10}\s*", text) else _INT_MAX + 1
        return number if -_INT_MAX <= number <= _INT_MAX else None

    def seconds(self, name: str) -> float | None:
        try:
            return float(self.text(name) or "")
        except ValueError:
            return None

    def time(self, name: str) -> Timestamp | None:
        """A moment; without an offset it is taken as UTC."""
        try:
            moment = datetime.fromisoformat(self.text(name) or "")
            timestamp = Timestamp()
            timestamp.FromDatetime(moment.astimezone(UTC) if moment.tzinfo else moment)
        except (ValueError, OverflowError):
            return None
        return timestamp

    def statuses(self, name: str) -> list[pb.OrchestrationStatus]:
        """Runtime statuses, from repeated parameters and from commas."""
        names = [part.strip() for value in self._values.get(name.lower(), []) for part in value.split(",")]
        return [_STATUSES[part] for part in names if part in _STATUSES]
