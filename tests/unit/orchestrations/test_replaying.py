"""Orchestrators are pure: a replay makes the same calls and shows the same status."""

import itertools

import pytest

from sitebackup import names
from sitebackup.messages import Findings, Plan, Progress
from sitebackup.registry import ORCHESTRATORS
from sitebackup.tally import Tally
from tests.support.site import Reply, Request, Site, became, compared, copied, listing, steps_before


@pytest.mark.parametrize("seed", range(3))
def test_replayed_from_any_point_of_its_history_each_orchestrator_makes_the_same_calls(seed: int) -> None:
    plans, dice = itertools.count(), itertools.count(seed)

    def get_file_list(request: Request) -> Reply:
        portions = request.get("portions", [])
        depth = portions[0][0].count("x") if portions else 0
        plan = Plan(f"{'x' * (depth + 1)}{next(plans)}", 8, 1)
        left = 3 if depth < 3 else 0
        return listing(plan.id, 8, portions=left, failed=1, plans=(plan,), baseline=1_000)

    def copy(request: Request) -> Reply:
        number = next(dice)
        if number % 13 == 0:
            raise RuntimeError("not now")
        if number % 7 == 0:
            hub.raise_event(names.PROGRESS, Progress(done=Tally(files=number)).to_json())
        return became(gone=1) if request["batch"] == 8 else copied()

    def compare(request: Request) -> Reply:
        after = steps_before(request)
        return compared(
            Findings(checked=1), request, is_done=after == 1, repairs=(Plan("r", 2),) * (after == 0)
        )

    site = Site(
        0,
        {
            names.GET_FILE_LIST: get_file_list,
            names.COPY_FILE_TO_BLOB: copy,
            names.VERIFY_MANIFEST: compare,
        },
    )
    hub = site.hub(seed=seed)
    run = hub.run(names.BACKUP_SITE_CONTENT, {"rootDirectory": "/site", "allowPartial": True})
    assert run.failure is None
    hub.run(names.VERIFY_BACKUP, {"instanceId": "run", "deep": True}, "verification")
    spans = {"run": "verification", "verified": "run", "spans": [("p", 0, 3_000_000)]}
    hub.run(names.VERIFY_CONTENTS, spans, "contents")
    assert {instance.name for instance in hub.instances} == set(ORCHESTRATORS)
    for instance in hub.instances:
        for turn in instance.turns:
            actions, status = hub.execute(instance.id, turn.old, turn.new)
            assert [action.SerializeToString(deterministic=True) for action in actions] == turn.actions
            assert status == turn.status
