"""E2_CopyFileToBlob: the tasks of a batch -> blobs and outcomes."""

import os
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from sitebackup.activities.batches import Batch
from sitebackup.activities.checks import check_not_gone, check_place, find_place
from sitebackup.activities.copier import Copier
from sitebackup.activities.ends import End
from sitebackup.activities.removing import Remover
from sitebackup.engine.engine import Engine
from sitebackup.errors import BlobMissingError, FatalError, SourceError
from sitebackup.messages import Copied, CopyRequest
from sitebackup.ranges import Share
from sitebackup.records.attempts import AttemptRecord
from sitebackup.records.outcomes import Outcome, read_outcomes, write_outcomes
from sitebackup.records.plans import Task
from sitebackup.records.run_blobs import attempt_name
from sitebackup.tally import Tally
from sitebackup.tree.identity import is_on_share
from sitebackup.tree.place import Place
from sitebackup.tree.reading import size_of


async def copy_file_to_blob(request: Any, engine: Engine) -> int | dict[str, Any]:
    """Copy files.

    A string, a file's absolute path: copy it and return its size in bytes.

    A `CopyRequest`: carry out the tasks of a batch, record their outcomes, and return `Copied`.
    """
    if isinstance(request, str):
        return await _copy_file(request, engine)
    return (await _copy_batch(CopyRequest.from_json(request), engine)).to_json()


async def _copy_file(path: str, engine: Engine) -> int:
    directory, name = os.path.split(path)
    if not os.path.isabs(directory):
        raise FatalError("The path of a file must be absolute.")
    disk = engine.disk(directory)
    place = await disk(lambda: find_place(directory, engine))
    size = await disk(lambda: size_of(place.path(name)))
    [end] = await Copier(engine, place).save([Task(name, "file", size)])
    if isinstance(end, Exception):
        raise end
    if not end.entry.is_saved:
        raise SourceError(end.entry.reason or "")
    return end.entry.size


async def _copy_batch(asked: CopyRequest, engine: Engine) -> Copied:
    place, tasks = await engine.plans.read_batch(asked.run, asked.plan, asked.batch)
    is_share = await engine.disk(place.root)(lambda: _check(place, engine))
    name = attempt_name(asked.run, asked.plan, asked.batch)
    record = AttemptRecord(engine.runs, name, engine.id, asked.waits)
    copier = Copier(engine, place, asked.run, is_share=is_share, is_last=asked.last)
    remover = Remover(engine, place, is_last=asked.last)

    async def carry_out(tasks: Sequence[Task]) -> list[End]:
        ends = await (remover.remove(tasks) if tasks[0].gone else copier.save(tasks))
        done = Tally.of(end.tally for end in ends if isinstance(end, Outcome))
        engine.progress.add(asked.run, done=done)
        return ends

    async with engine.quarantine.together():
        earlier = await record.begin(len(tasks))
        if earlier is not None:
            with suppress(BlobMissingError):
                done = await read_outcomes(engine.runs, asked.run, asked.plan, asked.batch)
                return Copied(tally=Tally.of(outcome.tally for outcome in done), advanced=True)
        batch = Batch(engine, carry_out, tasks, record, earlier)
        trouble = await batch.carry_out()
    trouble = trouble or await batch.carry_out_suspects()
    if trouble:
        undone = (Share(asked.plan, asked.batch, 1),)
        return Copied(shares=undone, troubles=(trouble,), advanced=batch.advanced)
    outcomes = batch.outcomes
    if any(outcome.entry.outcome == "vanished" for outcome in outcomes):
        await engine.disk(place.root)(lambda: check_not_gone(place))
    outcomes = await write_outcomes(engine.runs, asked.run, asked.plan, asked.batch, outcomes)
    return Copied(tally=Tally.of(outcome.tally for outcome in outcomes), advanced=True)


def _check(place: Place, engine: Engine) -> bool:
    """Check a place, and tell whether it is on a share."""
    check_place(place, engine)
    return is_on_share(place.real)
