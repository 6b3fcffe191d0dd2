"""Comparing a manifest with the containers: one activity after the other, each from where the last ended."""

from itertools import chain

from sitebackup import names
from sitebackup.messages import Compared, CompareRequest, Findings
from sitebackup.orchestrations.gathering import NOBODY, Follower, Steps
from sitebackup.orchestrations.patience import Patience


def compare(
    run: str, verified: str, patience: Patience, follower: Follower[Compared] = NOBODY
) -> Steps[Compared]:
    """Compare the manifest of run `verified` for the instance `run`. Raises `GaveUpError`."""
    answers: list[Compared] = []
    while not answers or not answers[-1].is_done:
        after = answers[-1].state if answers else ""
        request = CompareRequest(run=run, verified=verified, after=after)
        answers.append((yield from patience.insist(names.VERIFY_MANIFEST, request, Compared(), follower)))
    return Compared(
        findings=sum((answer.findings for answer in answers), Findings()),
        repairs=tuple(chain.from_iterable(answer.repairs for answer in answers)),
        is_done=True,
        root_id=answers[-1].root_id,
        spans=answers[-1].spans,
    )
