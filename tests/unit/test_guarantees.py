"""docs/guarantees.md and docs/security.md promise nothing without a test."""

import re
from functools import cache

import pytest

from localstack.settings import PROJECT

pytestmark = pytest.mark.parametrize(
    "page",
    [(PROJECT / "docs" / name).read_text() for name in ("guarantees.md", "security.md")],
    ids=["guarantees", "security"],
)


@cache
def names_of_tests(file: str) -> frozenset[str]:
    """The names of the tests in a file below `tests/`."""
    text = (PROJECT / "tests" / file).read_text()
    return frozenset(re.findall(r"^(?:async )?def (test_\w+)\(", text, re.MULTILINE))


def test_every_test_that_the_page_names_exists(page: str) -> None:
    named = re.findall(r"`([\w/]+\.py)::(\w+)`", page)
    assert named
    assert [f"{file}::{test}" for file, test in named if test not in names_of_tests(file)] == []


def test_every_promise_in_a_table_names_a_test(page: str) -> None:
    rows = [line for line in page.splitlines() if line.startswith("| ") and not line.endswith("| test |")]
    assert rows
    assert [row for row in rows if "::test_" not in row.rpartition(" | ")[2]] == []
