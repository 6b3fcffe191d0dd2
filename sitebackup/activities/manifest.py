"""E2_WriteManifest: the outcomes of a run -> its manifest."""

from typing import Any

from sitebackup.activities.checks import parse_input
from sitebackup.engine.engine import Engine
from sitebackup.messages import ManifestRequest, Written
from sitebackup.records import manifest
from sitebackup.records.attempts import read_done
from sitebackup.records.outcomes import Outcome, write_outcomes
from sitebackup.records.run_blobs import LISTING, attempt_name, manifest_name, outcomes_folder, outcomes_name


async def write_manifest(request: dict[str, Any], engine: Engine) -> dict[str, Any]:
    """Write what a `ManifestRequest` asks for; return `Written`."""
    asked = ManifestRequest.from_json(request)
    parsed = parse_input(asked.request)
    about = {
        "run": asked.run,
        "root": parsed.root,
        "options": parsed.to_json(),
        "started": asked.started,
        "finished": asked.finished,
    }
    parts = [
        outcomes_name(asked.run, plan.id, batch)
        for plan in asked.plans
        for batch in [*range(plan.batches), *([LISTING] if plan.odd else [])]
    ]
    if asked.gave_up is not None:
        parts += await _fill(asked, asked.gave_up, engine)
    summary = await manifest.write(engine.runs, asked.run, parts, about)
    named = summary.named if engine.settings.log_paths else ()  # the host logs what a run fails with
    return Written(manifest=manifest_name(asked.run), tally=summary.tally, named=tuple(named)).to_json()


async def _fill(asked: ManifestRequest, reason: str, engine: Engine) -> list[str]:
    """Write the outcomes that a run which was given up has not: failed, for that `reason`.

    Returns the blobs that are there for no batch, but for directories that were not listed.
    """
    run, runs = asked.run, engine.runs
    written = {blob.name async for blob in runs.list(outcomes_folder(run))}
    for plan in asked.plans:
        for batch in range(plan.batches):
            if outcomes_name(run, plan.id, batch) in written:
                continue
            _, items = await engine.plans.read_batch(run, plan.id, batch)
            done = {
                outcome.path: outcome for outcome in await read_done(runs, attempt_name(run, plan.id, batch))
            }
            failed = {item.path: Outcome(item.path, "failed", reason, item.kind) for item in items}
            await write_outcomes(runs, run, plan.id, batch, (failed | done).values())
    for portion in asked.portions:
        _, directories = await engine.plans.read_portion(run, portion.plan, portion.number)
        outcomes = [Outcome(directory, "failed", reason, "directory") for directory in directories]
        await write_outcomes(runs, run, portion.plan, f"left-{portion.number}", outcomes)
    return [outcomes_name(run, portion.plan, f"left-{portion.number}") for portion in asked.portions]
