"""Route templates, with the grammar of ASP.NET Core: which function answers a path.

`orders/{id:int}/{*rest}`: literals compare without regard to case, a parameter may have constraints, be
optional (`{x?}`), have a default (`{x=1}`) or, at the end, take the rest of the path (`{*x}`). The most
specific template wins: literal before constrained parameter before parameter before rest. Source:
https://learn.microsoft.com/aspnet/core/fundamentals/routing#route-templates
"""

import re
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import unquote


class RouteError(Exception):
    """A template cannot be understood; the text says why."""


@dataclass(frozen=True, slots=True)
class _Parameter:
    name: str
    constraints: tuple[Callable[[str], bool], ...]
    optional: bool
    default: str | None
    takes_rest: bool


@dataclass(frozen=True, slots=True)
class RouteTemplate:
    """A parsed template. `match` gives the parameters of a path that fits."""

    segments: tuple[str | _Parameter, ...]

    @classmethod
    def parse(cls, template: str) -> "RouteTemplate":
        """Raises RouteError."""
        parts = [part for part in _split(template) if part]
        segments = tuple(_segment(part) for part in parts)
        for segment in segments[:-1]:
            if isinstance(segment, _Parameter) and segment.takes_rest:
                raise RouteError(f"'{template}': a parameter that takes the rest must be the last one.")
        return cls(segments)

    @property
    def precedence(self) -> tuple[int, ...]:
        """Sorts the more specific template first."""
        return tuple(_rank(segment) for segment in self.segments)

    def match(self, parts: Sequence[str]) -> Mapping[str, str] | None:
        """The values of the parameters, or None if the path doesn't fit. Absent optional ones are left out.

        `parts` are the path's segments, still percent-encoded.
        """
        values: dict[str, str] = {}
        for index, segment in enumerate(self.segments):
            if isinstance(segment, str):
                if index >= len(parts) or unquote(parts[index]).lower() != segment.lower():
                    return None
                continue
            given = "/".join(parts[index:]) if segment.takes_rest else "".join(parts[index : index + 1])
            value = unquote(given) if given else segment.default
            if value is not None:
                if not all(fits(value) for fits in segment.constraints):
                    return None
                values[segment.name] = value
            elif not segment.optional:
                return None
        takes_rest = bool(self.segments) and _rank(self.segments[-1]) >= _REST_RANK
        return values if takes_rest or len(parts) <= len(self.segments) else None


_REST_RANK = 3
_PARAMETER = re.compile(
    r"\{(?P<stars>\*{0,2})(?P<name>[A-Za-z_]\w*)(?P<constraints>(?::[A-Za-z]+(?:\(.*\))?)*)"
    r"(?:=(?P<default>.*?))?(?P<optional>\??)\}"
)
_CONSTRAINT = re.compile(r":([A-Za-z]+(?:\((?:[^()]|\([^()]*\))*\))?)")


def _rank(segment: str | _Parameter) -> int:
    if isinstance(segment, str):
        return 0
    return (_REST_RANK if segment.takes_rest else 1) + (0 if segment.constraints else 1)


def _split(template: str) -> Iterable[str]:
    """Splits at slashes, except at those inside braces (a regular expression may hold one)."""
    return re.findall(r"(?:\{(?:[^{}]|\{[^{}]*\})*\}|[^/])+", template)


def _segment(part: str) -> str | _Parameter:
    if "{" not in part and "}" not in part:
        return part
    match = _PARAMETER.fullmatch(part)
    if match is None:
        raise RouteError(f"'{part}' is not supported: a segment is a literal or one parameter.")
    constraints: list[str] = _CONSTRAINT.findall(match["constraints"])
    return _Parameter(
        name=match["name"],
        constraints=tuple(_constraint(text) for text in constraints),
        optional=bool(match["optional"] or match["stars"]),
        default=match["default"],
        takes_rest=bool(match["stars"]),
    )


def _constraint(text: str) -> Callable[[str], bool]:
    name, _, arguments = text.removesuffix(")").partition("(")
    simple = _SIMPLE.get(name.lower())
    if simple is not None:
        return simple
    try:
        return _with_arguments(name.lower(), arguments)
    except (ValueError, re.error) as error:
        raise RouteError(f"Constraint '{text}': {error}.") from error


def _with_arguments(name: str, arguments: str) -> Callable[[str], bool]:
    if name == "regex":
        pattern = re.compile(arguments.replace("{{", "{").replace("}}", "}"), re.IGNORECASE)
        return lambda value: pattern.search(value) is not None
    numbers = [int(number) for number in arguments.split(",")]
    low, high = numbers[0], numbers[-1]
    checks: dict[str, Callable[[str], bool]] = {
        "minlength": lambda value: len(value) >= low,
        "maxlength": lambda value: len(value) <= high,
        "length": lambda value: low <= len(value) <= high,
        "min": lambda value: _is_integer(value, 63) and int(value) >= low,
        "max": lambda value: _is_integer(value, 63) and int(value) <= high,
        "range": lambda value: _is_integer(value, 63) and low <= int(value) <= high,
    }
    if name not in checks:
        raise ValueError("there is no such constraint")
    return checks[name]


def _is_integer(value: str, bits: int) -> bool:
    return re.fullmatch(r"[+-]?[0-9]{1,19}", value) is not None and -(2**bits) <= int(value) < 2**bits


def _parses(parse: Callable[[str], object]) -> Callable[[str], bool]:
    def check(value: str) -> bool:
        try:
            parse(value)
        except ValueError:
            return False
        return True

    return check


_SIMPLE: Mapping[str, Callable[[str], bool]] = {
    "int": lambda value: _is_integer(value, 31),
    "long": lambda value: _is_integer(value, 63),
    "bool": lambda value: value.lower() in {"true", "false"},
    "guid": _parses(uuid.UUID),
    "alpha": lambda value: re.fullmatch(r"[A-Za-z]*", value) is not None,
    "decimal": _parses(float),
    "double": _parses(float),
    "float": _parses(float),
    "datetime": _parses(datetime.fromisoformat),
    "required": bool,
}
