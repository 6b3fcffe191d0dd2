"""infra/ as data: what pycep, a parser of Bicep, makes of the files.

It tells no identifier from a string, which is all the same here, and does not know what Azure accepts: the
workflow has the compiler for that.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pycep import BicepParser

from localstack.settings import PROJECT

INFRA = PROJECT / "infra"

type Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource that a file creates: its full type, without the API's version, and its body."""

    file: str
    symbol: str
    type: str
    body: Json


@dataclass(frozen=True, slots=True)
class BicepFile:
    """A parsed file. `name` is its path below infra/."""

    name: str
    text: str
    tree: Json

    def section(self, name: str) -> Json:
        """A part of the tree, such as "parameters"; empty if the file has none."""
        return self.tree.get(name, {})

    def resources(self) -> Iterator[Resource]:
        """What it creates; of a loop or a condition, the body inside."""
        for symbol, resource in self.section("resources").items():
            if not resource["existing"]:
                yield Resource(self.name, symbol, resource["type"], body_of(resource))


def body_of(declaration: Json) -> Json:
    """The body of a resource or a module, without the loop or the condition around it."""
    config: Json = declaration["config"]
    return config["config"] if "condition" in config else config


def parse(path: Path) -> BicepFile:
    """Parse one file; raises what the parser raises."""
    text = path.read_text()
    return BicepFile(path.relative_to(INFRA).as_posix(), text, dict(BicepParser().parse(text=text)))


def parse_all() -> dict[str, BicepFile]:
    """Every file of infra/, by its path below it."""
    return {file.name: file for file in map(parse, sorted(INFRA.rglob("*.bicep")))}


def descriptions(declaration: Json) -> list[str]:
    """The texts of its @description decorators."""
    return [found["argument"] for found in declaration["decorators"] if found["type"] == "description"]


def outputs_used(text: str) -> set[tuple[str, str]]:
    """`(module, output)` wherever a file reads a module's output."""
    return set(re.findall(r"\b(\w+)!?\.outputs\.(\w+)", text))


def path_of(expression: Any) -> str:
    """An identifier, or what is reached from one by names and places, as it was written: `a.b[c]`."""
    if isinstance(expression, str | int):
        return str(expression)
    operator = expression["operator"]
    left, right = (path_of(operator["operands"][f"operand_{number}"]) for number in (1, 2))
    return f"{left}[{right}]" if operator["type"] == "index_accessor" else f"{left}.{right}"
