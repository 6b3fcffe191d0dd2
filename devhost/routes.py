"""Route templates, with the grammar of ASP.NET Core: which function answers a path.

`orders/{id:int}/{*rest}`: literals compare without regard to case, a parameter may have constraints, be
optional (`{x?}`), have a default (`{x=1}`) or, at the end, take the rest of the path (`{*x}`). A segment may
mix the two (`v{major}.{minor}`). The most specific template wins: literal before constrained parameter or
mixed segment before parameter before rest. Source:
https://learn.microsoft.com/aspnet/core/fundamentals/routing#route-templates
"""

import re
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
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
class _Mixed:
    """A segment of literals and parameters, each with a group of its name in the patterns."""

    patterns: tuple[re.Pattern[str], ...]
    """To be tried in this order: with an optional last parameter, and without."""
    parameters: tuple[_Parameter, ...]


type _Segment = str | _Parameter | _Mixed


@dataclass(frozen=True, slots=True)
class RouteTemplate:
    """A parsed template. `match` gives the parameters of a path that fits."""

    segments: tuple[_Segment, ...]

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
        takes_rest = False
        for index, segment in enumerate(self.segments):
            takes_rest = isinstance(segment, _Parameter) and segment.takes_rest
            given = parts[index:] if takes_rest else parts[index : index + 1]
            found = _match(segment, _decoded("/".join(given)))
            if found is None:
                return None
            values |= found
        return values if takes_rest or len(parts) <= len(self.segments) else None


def _match(segment: _Segment, text: str) -> Mapping[str, str] | None:
    """What a segment's parameters are in a decoded part of a path; it is empty if the path has ended."""
    if isinstance(segment, str):
        return {} if text.lower() == segment.lower() else None
    if isinstance(segment, _Mixed):
        matches = filter(None, (pattern.fullmatch(text) for pattern in segment.patterns))
        values = next((match.groupdict() for match in matches), None)
        parameters = segment.parameters
    else:
        value = text or segment.default
        values = {} if value is None else {segment.name: value}
        parameters = (segment,)
    if values is None or not all(_allows(parameter, values.get(parameter.name)) for parameter in parameters):
        return None
    return values


def _allows(parameter: _Parameter, value: str | None) -> bool:
    return parameter.optional if value is None else all(fits(value) for fits in parameter.constraints)


def _decoded(text: str) -> str:
    """As the web server of Azure decodes a path: `%2F` stays as it is, and so do bytes that are no UTF-8."""
    return "".join(
        piece
        if piece.lower() == "%2f"
        else _ODD_BYTE.sub(_encoded_byte, unquote(piece, errors="surrogateescape"))
        for piece in re.split("(%2[Ff])", text)
    )


def _encoded_byte(match: re.Match[str]) -> str:
    return f"%{ord(match[0]) - 0xDC00:02X}"


_REST_RANK = 3
_ODD_BYTE = re.compile("[\udc80-\udcff]")
_PARAMETER = re.compile(
    r"\{(?P<stars>\*{0,2})(?P<name>[A-Za-z_]\w*)(?P<constraints>(?::[A-Za-z]+(?:\(.*\))?)*)"
    r"(?:=(?P<default>.*?))?(?P<optional>\??)\}"
)
_CONSTRAINT = re.compile(r":([A-Za-z]+(?:\((?:[^()]|\([^()]*\))*\))?)")
_BRACES = r"\{(?:[^{}]|\{\{|\}\})*\}"  # inside, braces are doubled
_SEGMENTS = re.compile(f"(?:{_BRACES}|[^/])+")
_PIECES = re.compile(f"{_BRACES}|[^{{}}]+")


def _rank(segment: _Segment) -> int:
    if isinstance(segment, str):
        return 0
    if isinstance(segment, _Mixed):
        return 1
    return (_REST_RANK if segment.takes_rest else 1) + (0 if segment.constraints else 1)


def _split(template: str) -> Iterable[str]:
    """Splits at slashes, except at those inside braces (a regular expression may hold one)."""
    return _SEGMENTS.findall(template)


def _segment(part: str) -> _Segment:
    texts: list[str] = _PIECES.findall(part)
    if "".join(texts) != part:
        raise RouteError(f"'{part}' has a brace too many or too few.")
    pieces = [_parameter(text) if text.startswith("{") else text for text in texts]
    return pieces[0] if len(pieces) == 1 else _mixed(part, pieces)


def _mixed(part: str, pieces: Sequence[str | _Parameter]) -> _Mixed:
    parameters = [piece for piece in pieces if isinstance(piece, _Parameter)]
    last_is_optional = list(pieces[-2:]) == [".", parameters[-1]] and parameters[-1].optional
    if any(isinstance(one, _Parameter) and isinstance(next_, _Parameter) for one, next_ in pairwise(pieces)):
        raise RouteError(f"'{part}': two parameters need a literal between them.")
    if any(parameter.optional for parameter in parameters[: -1 if last_is_optional else None]):
        raise RouteError(
            f"'{part}': only the last parameter, behind a dot, may be optional; none takes the rest."
        )
    whole = [
        f"(?P<{piece.name}>.+)" if isinstance(piece, _Parameter) else re.escape(piece) for piece in pieces
    ]
    try:
        patterns = [re.compile("".join(texts), re.IGNORECASE | re.DOTALL) for texts in (whole, whole[:-2])]
    except re.error as error:
        raise RouteError(f"'{part}': {error}.") from error
    return _Mixed(tuple(patterns[: 2 if last_is_optional else 1]), tuple(parameters))


def _parameter(text: str) -> _Parameter:
    match = _PARAMETER.fullmatch(text)
    if match is None:
        raise RouteError(f"'{text}' is not a parameter.")
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
