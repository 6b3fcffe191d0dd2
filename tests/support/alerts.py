"""The alert rules of infra/, evaluated over what the app logged, as Azure would."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from tests.support.bicep import INFRA, Json, body_of, parse_all, path_of
from tests.support.kusto import run_query

DURATIONS = {
    "PT5M": timedelta(minutes=5),
    "PT15M": timedelta(minutes=15),
    "PT1H": timedelta(hours=1),
    "PT6H": timedelta(hours=6),
    "P2D": timedelta(days=2),
}

SINCE = "2026-11-01T08:30:00.1234567Z"
"""When the account of the backups was made, as Azure writes it: long before the events of the tests."""

type Values = Mapping[str, Any]
"""Parameters and variables of a Bicep file by name, and the present item of a loop as `item.property`."""


@dataclass(frozen=True, slots=True)
class Rule:
    """An alert rule with its query as it is deployed."""

    query: str
    properties: Json

    @property
    def criterion(self) -> Json:
        """The one condition that it has."""
        [criterion] = self.properties["criteria"]["allOf"]
        return criterion

    def duration(self, name: str) -> timedelta:
        """One of its durations, such as `windowSize`."""
        return DURATIONS[self.properties[name]]

    def fires_for(self, traces: Sequence[tuple[datetime, str]], now: datetime) -> list[tuple[Any, ...]]:
        """Return the values of its dimensions for which it fires at `now`; no dimensions are `()`."""
        seen = [(at, message) for at, message in traces if at > now - self.duration("windowSize")]
        rows = run_query(self.query, seen, now)
        names = [dimension["name"] for dimension in self.criterion.get("dimensions", [])]
        counts = Counter(tuple(row[name] for name in names) for row in rows)
        if not names:
            counts.setdefault((), 0)
        return sorted(values for values, count in counts.items() if self._holds(count))

    def _holds(self, count: int) -> bool:
        threshold: int = self.criterion["threshold"]
        match self.criterion["operator"]:
            case "GreaterThan":
                return count > threshold
            case "LessThan":
                return count < threshold
            case other:
                raise AssertionError(other)


def _rules() -> dict[str, Rule]:
    """The rules by symbol; of a loop, by symbol and its items' `name`. Parameters have their defaults."""
    files = parse_all()
    defaults = {name: it["default"] for name, it in files["main.bicep"].section("parameters").items()}
    parameters = {**defaults, "since": SINCE}
    tree = files["modules/alerts.bicep"].tree
    variables = {name: it["value"] for name, it in tree["variables"].items()}
    rules: dict[str, Rule] = {}
    for symbol, resource in tree["resources"].items():
        if resource["type"] == "Microsoft.Insights/scheduledQueryRules":
            properties = body_of(resource)["properties"]
            [criterion] = properties["criteria"]["allOf"]
            for name, item in _items(symbol, resource, variables):
                query = _text(criterion["query"], {**parameters, **variables, **item})
                rules[name] = Rule(query, properties)
    return rules


def _items(symbol: str, resource: Json, variables: Values) -> Iterator[tuple[str, Json]]:
    if "loop_type" not in resource["config"]:
        yield symbol, {}
        return
    loop = resource["config"]["loop_type"]["detail"]
    for item in variables[loop["array_name"]]:
        yield (
            f"{symbol} {item['name']}",
            {f"{loop['item_name']}.{key}": value for key, value in item.items()},
        )


def _text(expression: Any, values: Values) -> str:
    """The value of an expression of Bicep that gives a string."""
    match expression:
        case str():
            filled = re.sub(r"\$\{(\w+)\}", lambda name: _text(values[name[1]], values), expression)
            return filled.replace("\\n", "\n")
        case int():
            return str(expression)
        case {"function": {"type": "load_text_content", "parameters": {"file_path": path}}}:
            return (INFRA / "modules" / path).read_text()
        case {"function": {"type": "replace", "parameters": given}}:
            whole, old, new = (_text(given[f"{name}_string"], values) for name in ("original", "old", "new"))
            return whole.replace(old, new)
        case _:
            return _text(values[path_of(expression)], values)


RULES = _rules()
