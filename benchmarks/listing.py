"""A worker process that lists one tree, all of it, with the app's own activity, and ends.

`python -m benchmarks.listing TREE`, with the app's settings in the environment. It goes through the rounds of
the orchestration, with as many listings at once as one worker gets from the host (host.json).
"""

import asyncio
import json
import os
import sys
import uuid
from typing import Any

from localstack.settings import PROJECT
from sitebackup.activities.listing import get_file_list
from sitebackup.engine.process import ProcessEngine
from sitebackup.orchestrations.backup import LISTINGS_AT_ONCE
from sitebackup.orchestrations.shares import deal
from sitebackup.settings import Settings


async def list_tree(tree: str) -> int:
    """List a tree, and return how many files there are."""
    engine = ProcessEngine(Settings.from_environment(os.environ), os.environ)
    in_flight = asyncio.Semaphore(_activities_at_once())
    run = uuid.uuid4().hex

    async def call(left: list[Any]) -> dict[str, Any]:
        async with in_flight:
            found = await get_file_list({"run": run, "request": tree, "left": left}, engine())
            assert isinstance(found, dict)  # noqa: S101 - the answer to a bare path is a list
            return found

    files = 0
    hands: list[list[Any]] = [[]]
    while hands:
        answers = await asyncio.gather(*map(call, hands))
        files += sum(answer.get("files", 0) for answer in answers)
        hands = deal([part for answer in answers for part in answer["left"]], LISTINGS_AT_ONCE)
    await engine.close()
    return files


def _activities_at_once() -> int:
    host = json.loads((PROJECT / "host.json").read_text(encoding="utf-8"))
    return host["extensions"]["durableTask"]["maxConcurrentActivityFunctions"]


if __name__ == "__main__":
    sys.stdout.write(f"{asyncio.run(list_tree(sys.argv[1]))}\n")
