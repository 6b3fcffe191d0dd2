"""What the blobs of a run in the container `backup-runs` are called.

This is the claim check: names and outcomes stay out of the orchestration's history, which passes references
and counts. Everything is below `<run>/`, the orchestration's instance ID.

    <run>/plans/<plan>.ndjson               the index of the batches, then one line an item
    <run>/plans/<plan>.left-<n>.ndjson      one line a directory that the listing did not enter: a portion
    <run>/attempts/<plan>-<batch>.ndjson    what an attempt at a batch has begun, and what is done
    <run>/outcomes/<plan>-<batch>.ndjson    one line an item of a batch, sorted by path
    <run>/manifest.ndjson                   what the run saved and what it did not

A plan's ID is its listing attempt's own. Listing a tree twice need not give the same answer, so two attempts
at one listing must not write into one plan; the orchestration goes on with the plan that was returned to it.
"""

from sitebackup.blobs import blobname

LISTING = "listing"
"""In place of a batch's number: the outcomes that the listing itself found."""


def folder(run: str) -> str:
    """Return the prefix, without a slash, of all blobs of a run; an instance ID may have any characters."""
    return blobname.encode(run)


def plan_name(run: str, plan: str) -> str:
    """Return the blob of a plan."""
    return f"{folder(run)}/plans/{plan}.ndjson"


def portion_name(run: str, plan: str, number: int) -> str:
    """Return the blob of a portion."""
    return f"{folder(run)}/plans/{plan}.left-{number}.ndjson"


def attempt_name(run: str, plan: str, batch: int) -> str:
    """Return the blob of the attempts at a batch."""
    return f"{folder(run)}/attempts/{plan}-{batch}.ndjson"


def outcomes_name(run: str, plan: str, batch: int | str) -> str:
    """Return the blob of a batch's outcomes, or of the listing's own (`LISTING`)."""
    return f"{outcomes_folder(run)}{plan}-{batch}.ndjson"


def outcomes_folder(run: str) -> str:
    """Return the prefix of the blobs of a run's outcomes."""
    return f"{folder(run)}/outcomes/"


def manifest_name(run: str) -> str:
    """Return the blob of a run's manifest."""
    return f"{folder(run)}/manifest.ndjson"
