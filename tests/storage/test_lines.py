"""NDJSON blobs: written in blocks, read in ranges."""

import json
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sitebackup.blobs.container import Container, Properties
from sitebackup.records import lines
from sitebackup.records.lines import LineWriter, ndjson, read_lines
from tests.support.memory import MemoryContainer


@pytest.mark.parametrize("rows", [0, 1, 1_000, 60_000])
async def test_what_is_written_is_read_with_the_head_before_it(container: Container, rows: int) -> None:
    writer = LineWriter(container, "a")
    body = [f"{number:0100d}" for number in range(rows)]
    for begin in range(0, rows, 700):
        await writer.add(ndjson(body[begin : begin + 700]))
    await writer.close(ndjson(["head"]))
    assert [json.loads(line) async for line in read_lines(container, "a")] == ["head", *body]


async def test_an_empty_list_is_an_empty_blob(container: Container) -> None:
    await LineWriter(container, "a").close()
    assert [line async for line in read_lines(container, "a")] == []


@settings(max_examples=60)
@given(st.lists(st.text("ab", max_size=9), max_size=30), st.integers(1, 12), st.integers(1, 7))
async def test_ranges_that_cover_a_blob_yield_each_line_once(
    texts: list[str], chunk: int, parts: int
) -> None:
    container = MemoryContainer()
    data = "".join(f"{text}\n" for text in texts).encode()
    await container.put("a", data, Properties())
    bounds = [len(data) * part // parts for part in range(parts + 1)]
    whole, lines._CHUNK = lines._CHUNK, chunk  # pyright: ignore[reportPrivateUsage] # so that small blobs have many
    try:
        found = [
            line.decode()
            for begin, end in pairwise(bounds)
            async for line in read_lines(container, "a", begin, end)
        ]
    finally:
        lines._CHUNK = whole  # pyright: ignore[reportPrivateUsage]
    assert found == texts
