"""E2_WriteManifest: the outcomes of a run -> its manifest."""

from typing import Any

from sitebackup.activities.checks import anonymous, parse_input
from sitebackup.engine.engine import Engine
from sitebackup.records import manifest
from sitebackup.records.runs import manifest_name


async def write_manifest(request: dict[str, Any], engine: Engine) -> dict[str, Any]:
    """Write the manifest of `request["run"]` out of the outcomes of its `plans`.

    `request` has the run's `request` and the times `started` and `finished` too. Returns the blob's name as
    `manifest`, how many entries `failed`, and the first ten of these in words as `named`.
    """
    parsed = parse_input(request["request"])
    head = {
        "run": request["run"],
        "root": parsed.root,
        "options": parsed.to_json(),
        "started": request["started"],
        "finished": request["finished"],
    }
    summary = await manifest.write(engine.runs, request["run"], request["plans"], head)
    answer = {
        "manifest": manifest_name(request["run"]),
        "failed": summary.tally.failed,
        "named": summary.named,
    }
    return anonymous(answer, engine)
