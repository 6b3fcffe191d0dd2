"""The queries of infra/, read by Microsoft's parser and run by an engine of another maker.

The parser says whether Azure can read a query. The engine, duckdb-kql, knows enough of the language for these
queries, and is the nearest thing to Azure's own that runs here.
"""

import json
import subprocess
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import duckdb_kql

from localstack.settings import PROJECT
from tests.support.bicep import INFRA

type Row = dict[str, Any]
"""A row of a result, by the names of its columns."""


def query(name: str) -> str:
    """The query in `infra/queries/<name>.kql`."""
    return (INFRA / "queries" / f"{name}.kql").read_text()


def parser_messages(queries: Sequence[str]) -> list[list[str]]:
    """What Microsoft's parser finds wrong in each of the queries."""
    script = Path(__file__).with_name("kusto.js")
    answer = subprocess.run(  # noqa: S603 - a script of this project
        ["node", script],  # noqa: S607 - from the PATH, as the Makefile finds it
        cwd=PROJECT,
        input=json.dumps(queries),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return json.loads(answer.stdout)


def run_query(text: str, traces: Iterable[tuple[datetime, str]], now: datetime) -> list[Row]:
    """The result of a query at the time `now` over `traces`, each its time and its message."""
    with duckdb.connect() as database:
        database.execute("CREATE TABLE traces (timestamp TIMESTAMP, message VARCHAR)")
        for moment, message in traces:
            database.execute("INSERT INTO traces VALUES (?, ?)", [_naive(moment), message])
        result = duckdb_kql.execute(database, text, query_now=_naive(now))
        names = [column[0] for column in result.description or []]
        return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


def _naive(moment: datetime) -> datetime:
    """UTC without saying so, which is what a TIMESTAMP of the engine is."""
    return moment.astimezone(UTC).replace(tzinfo=None)
