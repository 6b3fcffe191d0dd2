"""A worker process that lists one tree, all of it, with the app's own activity, and ends.

`python -m benchmarks.listing TREE`, with the app's settings in the environment. It goes through the rounds of
the orchestration, with as many listings at once as one worker gets from the host (host.json).
"""

import asyncio
import json
import os
import sys
import uuid

from localstack.settings import PROJECT
from sitebackup.activities.listing import get_file_list
from sitebackup.engine.process import ProcessEngine
from sitebackup.messages import Listed, ListRequest
from sitebackup.ranges import Portion, split
from sitebackup.settings import Settings

_STARTED = "2026-01-01T00:00:00.000000Z"


async def list_tree(tree: str) -> int:
    """List a tree, and return how many files there are."""
    engine = ProcessEngine(Settings.from_environment(os.environ), os.environ)
    in_flight = asyncio.Semaphore(_activities_at_once())
    run = uuid.uuid4().hex

    async def call(portions: tuple[Portion, ...]) -> Listed:
        request = ListRequest(run, tree, _STARTED, portions)
        async with in_flight:
            return Listed.from_json(await get_file_list(request.to_json(), engine()))

    files = 0
    hands: list[tuple[Portion, ...]] = [()]
    while hands:
        answers = await asyncio.gather(*map(call, hands))
        files += sum(answer.pending.files for answer in answers)
        hands = split([portion for answer in answers for portion in answer.portions], 1)
    await engine.close()
    return files


def _activities_at_once() -> int:
    host = json.loads((PROJECT / "host.json").read_text(encoding="utf-8"))
    return host["extensions"]["durableTask"]["maxConcurrentActivityFunctions"]


if __name__ == "__main__":
    sys.stdout.write(f"{asyncio.run(list_tree(sys.argv[1]))}\n")
