"""What the worker's indexing found: the app's functions, their triggers and bindings."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

SUPPORTED_TRIGGERS = frozenset({"httpTrigger", "orchestrationTrigger", "activityTrigger", "entityTrigger"})

_OTHER_BINDINGS = frozenset({("http", "output"), ("durableClient", "input")})

_DIRECTIONS = {"IN": ("input",), "OUT": ("output",), "INOUT": ("input", "output")}

_NAME_FIELDS = {
    "orchestrationTrigger": "orchestration",
    "activityTrigger": "activity",
    "entityTrigger": "entityName",
}


@dataclass(frozen=True, slots=True)
class HttpTrigger:
    """Where and for whom an HTTP function answers."""

    route: str
    """Template without the prefix of host.json."""
    methods: frozenset[str]
    """Upper case; empty: every method."""
    auth_level: str
    """`anonymous`, `function` or `admin`, lower case."""


@dataclass(frozen=True, slots=True)
class MissingBinding:
    """A binding that a function asks for and this host has not."""

    name: str
    """The function's parameter, or `$return`."""
    type: str
    direction: str
    """`input` or `output`."""

    def refusal(self) -> str:
        """The failure of a call that needs it."""
        return f"NotSupportedError: This host has no {self.type} {self.direction} ('{self.name}')."


@dataclass(frozen=True, slots=True)
class Function:
    """One function of the app."""

    id: str
    """The worker's own key."""
    name: str
    trigger_type: str
    trigger_parameter: str
    task_name: str
    """What an orchestration, activity or entity is called by: the trigger's name, else the function's."""
    client_parameters: tuple[str, ...]
    """Parameters that receive a durable client."""
    http: HttpTrigger | None
    http_output: str
    """Binding that carries the HTTP response: `$return`, or the name of an output parameter."""
    bindings: tuple[Mapping[str, Any], ...]
    """As the worker gave them, for the admin endpoint."""
    missing: tuple[MissingBinding, ...]

    @property
    def trigger(self) -> Mapping[str, Any]:
        """The trigger's binding."""
        return next(binding for binding in self.bindings if binding["name"] == self.trigger_parameter)

    def shortcomings(self) -> list[str]:
        """What this host does not do for the function, a sentence each."""
        sentences: list[str] = []
        if self.trigger_type not in SUPPORTED_TRIGGERS:
            how = "on its schedule" if self.trigger_type == "timerTrigger" else f"by its {self.trigger_type}"
            sentences.append(
                f"Function '{self.name}' is not called {how} here; "
                f"POST /admin/functions/{self.name} calls it."
            )
        for binding in self.missing:
            if binding.direction == "input":
                when = f": this host has no {binding.type} input ('{binding.name}')."
            else:
                when = f" when it sets '{binding.name}': this host has no {binding.type} output."
            sentences.append(f"Function '{self.name}' fails here{when}")
        return sentences


class TaskRegistry:
    """Finds a function by the name it is called by; names compare without regard to case, as in Azure."""

    def __init__(self, functions: Iterable[Function]) -> None:
        self._functions = {(f.trigger_type, f.task_name.lower()): f for f in functions}

    def find(self, trigger_type: str, name: str) -> Function | None:
        return self._functions.get((trigger_type, name.lower()))

    def names(self, trigger_type: str) -> list[str]:
        return sorted(f.task_name for (kind, _), f in self._functions.items() if kind == trigger_type)


def parse_function(metadata: Mapping[str, Any]) -> Function:
    """One function from the worker's index: `{"id", "name", "bindings": [JSON text, ...]}`."""
    bindings: tuple[Mapping[str, Any], ...] = tuple(json.loads(text) for text in metadata["bindings"])
    trigger = next(binding for binding in bindings if binding["type"].lower().endswith("trigger"))
    name: str = metadata["name"]
    outputs = [b["name"] for b in bindings if b["type"] == "http" and b["direction"].upper() == "OUT"]
    return Function(
        id=metadata["id"],
        name=name,
        trigger_type=trigger["type"],
        trigger_parameter=trigger["name"],
        task_name=trigger.get(_NAME_FIELDS.get(trigger["type"], "")) or name,
        client_parameters=tuple(b["name"] for b in bindings if b["type"] == "durableClient"),
        http=_http_trigger(trigger, name) if trigger["type"] == "httpTrigger" else None,
        http_output=outputs[0] if outputs else "$return",
        bindings=bindings,
        missing=tuple(_missing(binding for binding in bindings if binding is not trigger)),
    )


def _missing(bindings: Iterable[Mapping[str, Any]]) -> Iterator[MissingBinding]:
    for binding in bindings:
        for direction in _DIRECTIONS[binding["direction"].upper()]:
            if (binding["type"], direction) not in _OTHER_BINDINGS:
                yield MissingBinding(binding["name"], binding["type"], direction)


def _http_trigger(trigger: Mapping[str, Any], name: str) -> HttpTrigger:
    return HttpTrigger(
        route=(trigger.get("route") or name).strip("/"),
        methods=frozenset(method.upper() for method in trigger.get("methods") or ()),
        auth_level=str(trigger.get("authLevel") or "function").lower(),
    )


def listing(functions: Sequence[Function], base_url: str, route_prefix: str) -> str:
    """The list that `func start` prints once the app is indexed: HTTP functions first, then the others."""
    lines = ["", "Functions:", ""]
    for function in sorted((f for f in functions if f.http), key=lambda f: f.name.lower()):
        if function.http is not None:
            methods = f"[{','.join(sorted(function.http.methods))}] " if function.http.methods else ""
            path = "/".join(part for part in (route_prefix, function.http.route) if part)
            lines += [f"\t{function.name}: {methods}{base_url}/{path}", ""]
    for function in sorted((f for f in functions if not f.http), key=lambda f: f.name.lower()):
        lines += [f"\t{function.name}: {function.trigger_type}", ""]
    return "\n".join(lines)
