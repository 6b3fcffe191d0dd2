"""What the blobs of a run are called.

This is the claim check: names and outcomes stay out of the orchestration's history, which passes references
and counts. What a run needs while it works is below `<run>/` in the container `backup-runs`; `<run>` is the
orchestration's instance ID. It is deleted when the manifest is written.

    <run>/plans/<plan>.ndjson               the index of the batches, then one line a task
    <run>/plans/<listing>.left.ndjson       one line a range that the listing left: a portion
    <run>/attempts/<plan>-<batch>.ndjson    what an attempt at a batch has begun, and what is done
    <run>/outcomes/<plan>-<batch>.ndjson    one line a task of a batch, sorted by path
    <run>/progress/<process>.json           what a process has found and done
    <run>/told                              when the orchestration was told how far it is
    <run>/compare/<state>.ndjson            how far a comparison with the container is

What stays is in the container `backup-catalog`.

    manifests/<run>/index.json              the manifest's head, and its parts in order
    manifests/<run>/<plan>.ndjson           a draft: what was finished when it was listed; or a whole part
    manifests/<run>/<plan>-<n>.ndjson       a part, made of a draft and of the outcomes of its plan
    runs/<root ID>/<started>_<run>.json     the record of a run

A plan's ID is its listing attempt's own. Listing a tree twice need not give the same answer, so two attempts
at one listing must not write into one plan; the orchestration goes on with the plan that was returned to it.
For the same reason a part that is made of a draft has another name in each attempt: nothing that an index
names is ever written again.
"""

import uuid

from sitebackup.blobs import blobname


def folder(run: str) -> str:
    """Return the prefix, without a slash, of all blobs of a run; an instance ID may have any characters."""
    return blobname.encode(run)


def plan_name(run: str, plan: str) -> str:
    """Return the blob of a plan."""
    return f"{folder(run)}/plans/{plan}.ndjson"


def portions_name(run: str, listing: str) -> str:
    """Return the blob of the portions that a listing left."""
    return f"{folder(run)}/plans/{listing}.left.ndjson"


def attempt_name(run: str, plan: str, batch: int) -> str:
    """Return the blob of the attempts at a batch."""
    return f"{folder(run)}/attempts/{plan}-{batch}.ndjson"


def outcomes_name(run: str, plan: str, batch: int) -> str:
    """Return the blob of a batch's outcomes."""
    return f"{folder(run)}/outcomes/{plan}-{batch}.ndjson"


def progress_folder(run: str) -> str:
    """Return the prefix of the blobs of the progress of a run."""
    return f"{folder(run)}/progress/"


def progress_name(run: str, process: str) -> str:
    """Return the blob of what a process has done for a run."""
    return f"{progress_folder(run)}{process}.json"


def told_name(run: str) -> str:
    """Return the blob that says when an orchestration was told how far it is."""
    return f"{folder(run)}/told"


def comparison_name(run: str, state: str) -> str:
    """Return the blob of what a step of a comparison has left."""
    return f"{folder(run)}/compare/{state}.ndjson"


def manifest_folder(run: str) -> str:
    """Return the prefix of the blobs of a run's manifest."""
    return f"manifests/{folder(run)}/"


def index_name(run: str) -> str:
    """Return the blob of the index of a run's manifest."""
    return f"{manifest_folder(run)}index.json"


def part_name(run: str, part: str) -> str:
    """Return the blob of a part of a run's manifest."""
    return f"{manifest_folder(run)}{part}.ndjson"


def new_part(plan: str) -> str:
    """Return a name, not used yet, for a part that is made of a plan's draft and of its outcomes."""
    return f"{plan}-{uuid.uuid4().hex[:8]}"


def plan_of(part: str) -> str:
    """Return the plan whose entries a part has."""
    return part.partition("-")[0]


def records_folder(root_id: str) -> str:
    """Return the prefix of the records of the runs of a root."""
    return f"runs/{root_id}/"
