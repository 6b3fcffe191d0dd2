"""Storage that makes trouble: whatever it does, no run ends `Completed` with something missing."""

import shutil
from collections.abc import Generator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from localstack.client import Document
from tests.e2e.support.apps import RunningApp
from tests.e2e.support.containers import assert_container_equals_tree, reader
from tests.e2e.support.proxy import Proxy, Rule, Trouble, always, at_first, sometimes
from tests.e2e.support.trees import Size, Tree, make_tree, total_bytes
from tests.e2e.support.waiting import wait_until
from tests.support.past import Saved, run_of, tree_of

RETRIED = (
    Trouble.RESET,
    Trouble.REQUEST_CUT,
    Trouble.ANSWER_CUT,
    Trouble.ANSWER_RESET,
    Trouble.SLOW,
    Trouble.BUSY,
    Trouble.BUSY_PAGE,
    Trouble.BUSY_SILENT,
    Trouble.INTERNAL,
)
"""What the storage client tries again after a second or a few."""

TROUBLES = (Trouble.DAMAGED, *RETRIED, Trouble.BEING_DELETED)

SITE: Tree = {
    "blocks.bin": Size(8 * 1024 * 1024 + 1),
    "empty directory": {},
    **{f"d{n}": {f"f{m}": Size(n + m) for m in range(4)} for n in range(4)},
}

BEFORE: Tree = {
    "blocks.bin": Size(8 * 1024 * 1024 + 2),
    "empty directory": {"was": {"not": b"empty"}},
    "d0": {f"f{m}": b"before" for m in range(4)},
    "d1": {f"f{m}": Size(1 + m) for m in range(4)},
    "gone": {f"f{m}": b"gone %d" % m for m in range(4)},
}
"""What an earlier run has saved: some of it changes, some stays, and some is gone."""


@dataclass(frozen=True, slots=True)
class Troubled:
    """A backup under way: of this root, with what it answered when it `started`. `before` was an earlier run
    of the root, when it had that `tree`."""

    root: Path
    started: Document
    before: str
    tree: Saved


type Runs = Mapping[Trouble, Troubled]


def rule_of(trouble: Trouble) -> Rule:
    """How `trouble` happens to the blobs of a backup.

    The client does not try again what was damaged, or is being deleted: the backup does, after 15 s.
    """
    if trouble is Trouble.BEING_DELETED:
        return at_first(1, trouble)
    rate = 0.08 if trouble is Trouble.DAMAGED else 0.2
    return sometimes(TROUBLES.index(trouble) + 1, rate, trouble)


@pytest.fixture(scope="module")
def troubled(
    proxied_app: RunningApp, proxy: Proxy, tmp_path_factory: pytest.TempPathFactory
) -> Generator[Runs]:
    """Backups under way at the same time, since most of it is waiting.

    Each has a trouble of its own in saving files and keeping earlier ones; what they remember of themselves
    meets every kind.
    """
    parent = tmp_path_factory.mktemp("troubled")
    earlier: dict[Trouble, tuple[Path, Saved, Document]] = {}
    for trouble in TROUBLES:
        root = make_tree(parent / trouble.name, BEFORE)
        earlier[trouble] = (root, tree_of(root), proxied_app.client.start(str(root)))
    with ExitStack() as rules:
        runs: dict[Trouble, Troubled] = {}
        for root, _, started in earlier.values():
            document = proxied_app.client.wait(started, 60)
            assert document["runtimeStatus"] == "Completed", document
            shutil.rmtree(root)
            make_tree(root, SITE)
        for words in ("/backup-runs/", "/backup-catalog/"):
            rules.enter_context(proxy.rule(words, sometimes(1, 0.02, *RETRIED)))
        for trouble, (root, tree, started) in earlier.items():
            rules.enter_context(proxy.rule(f"/backups{root}/", rule_of(trouble)))
            rules.enter_context(proxy.rule(f"/backup-history{root}/", rule_of(trouble)))
            runs[trouble] = Troubled(root, proxied_app.client.start(str(root)), started["id"], tree)
        yield runs


def test_an_outage_shows_in_the_status_while_it_lasts(proxied_app: RunningApp, troubled: Runs) -> None:
    started = troubled[Trouble.BEING_DELETED].started
    status: Document = {}

    def waits() -> bool:
        nonlocal status
        status = proxied_app.client.status(started)["customStatus"] or {}
        return "waitingFor" in status

    wait_until(waits, 60, lambda: status)
    assert "ContainerBeingDeleted" in status["waitingFor"]


def test_what_storage_forbids_ends_the_run_at_once_and_is_said(
    proxied_app: RunningApp, proxy: Proxy, tmp_path: Path
) -> None:
    root = make_tree(tmp_path / "site", {"f": b"hello"})
    with proxy.rule(f"{root}/", always(Trouble.FORBIDDEN)):
        document = proxied_app.back_up(root, timeout=60)
    assert document["runtimeStatus"] == "Failed"
    assert "AuthorizationPermissionMismatch" in document["output"]


def test_a_blob_that_storage_acknowledged_and_lost_fails_the_run(
    proxied_app: RunningApp, proxy: Proxy, tmp_path: Path
) -> None:
    root = make_tree(tmp_path / "site", {"kept": b"1", "lost": b"2"})
    forgets: Rule = lambda request: Trouble.FORGOTTEN if request.method == "PUT" else None  # noqa: E731
    with proxy.rule(f"{root}/lost", forgets):
        document = proxied_app.back_up(root, timeout=60)
    assert document["runtimeStatus"] == "Failed"
    assert (
        f"1 of 2 blobs are not what was saved: {root}/lost is missing.".replace(" /", " ")
        in (document["output"])
    )


def test_a_verification_reads_on_through_answers_that_break_off(
    proxied_app: RunningApp, proxy: Proxy, tmp_path: Path
) -> None:
    root = make_tree(tmp_path / "site", {f"f{n}": Size(n * 1_000) for n in range(30)})
    run = proxied_app.back_up(root)["instanceId"]
    with proxy.rule(f"{root}/", sometimes(1, 0.2, Trouble.ANSWER_CUT, Trouble.ANSWER_RESET)):
        document = proxied_app.run("E2_VerifyBackup", {"instanceId": run, "deep": True})
        assert proxy.made(f"{root}/") > 1
    assert document["runtimeStatus"] == "Completed", document
    assert (document["output"]["checked"], document["output"]["bytes"]) == (30, total_bytes(root))


@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda trouble: trouble.name)
def test_a_backup_completes_whole_through(
    proxied_app: RunningApp, proxy: Proxy, troubled: Runs, trouble: Trouble
) -> None:
    run = troubled[trouble]
    document = proxied_app.client.wait(run.started, 100)
    assert document["runtimeStatus"] == "Completed", document
    assert document["output"] == total_bytes(run.root)
    assert "waitingFor" not in document["customStatus"]
    assert_container_equals_tree(proxied_app.container, run.root)
    assert run_of(reader(proxied_app.blobs), document["instanceId"]) == tree_of(run.root)
    assert run_of(reader(proxied_app.blobs), run.before) == run.tree
    assert proxy.made(f"/backups{run.root}/") > 0
