"""Drafts and outcomes -> the parts of a manifest, and its index."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sitebackup.activities import manifest as writing
from sitebackup.activities.copying import copy_file_to_blob
from sitebackup.activities.listing import get_file_list
from sitebackup.activities.manifest import write_manifest
from sitebackup.blobs.container import Properties
from sitebackup.engine.engine import Engine
from sitebackup.errors import BlobMissingError, StorageUnavailableError
from sitebackup.messages import (
    CopyRequest,
    Listed,
    ListRequest,
    ManifestRequest,
    PartReference,
    Plan,
    Written,
)
from sitebackup.ranges import Portion
from sitebackup.records.attempts import Attempt, AttemptRecord
from sitebackup.records.entries import Content, Entry, NotSaved
from sitebackup.records.outcomes import Outcome
from sitebackup.records.plans import Task
from sitebackup.records.run_blobs import attempt_name, outcomes_name, plan_name
from sitebackup.settings import Settings
from sitebackup.tally import Tally
from sitebackup.tree.keys import Range
from sitebackup.tree.place import Place
from tests.e2e.support.manifests import validate
from tests.storage.conftest import an_engine
from tests.support.handmade import (
    ROOT,
    STARTED,
    asked,
    directory,
    new,
    put_manifest,
    put_outcomes,
    put_plan,
    saved,
)
from tests.support.memory import MemoryContainer


async def write(engine: Engine, request: ManifestRequest) -> Written:
    return Written.from_json(json.loads(json.dumps(await write_manifest(request.to_json(), engine))))


async def back_up(engine: Engine, root: Path, run: str = "run") -> Written:
    """List, copy and write the manifest of `root`, as the orchestration does; return what the last says."""
    listed = await list_all(engine, root, run)
    for plan in listed.plans:
        for batch in range(plan.batches + plan.removals):
            await copy_file_to_blob(CopyRequest(run, plan.id, batch).to_json(), engine)
    return await write(engine, asked(run, listed.plans, str(root), tally=listed.tally))


async def list_all(engine: Engine, root: Path, run: str) -> Listed:
    answers: list[Listed] = []
    portions: list[tuple[Portion, ...]] = [()]
    while portions:
        request = ListRequest(run, str(root), STARTED, portions.pop())
        answers.append(Listed.from_json(await get_file_list(request.to_json(), engine)))
        portions += [(portion,) for portion in answers[-1].portions]
    return Listed.of(answers, ())


def index_of(catalog: MemoryContainer, run: str = "run") -> dict[str, Any]:
    return json.loads(catalog.blobs[f"manifests/{run}/index.json"][0])


def rows(catalog: MemoryContainer, run: str = "run") -> list[dict[str, Any]]:
    """The entries of a manifest, held against what the index says of its parts."""
    found: list[dict[str, Any]] = []
    for part in index_of(catalog, run)["parts"]:
        data = catalog.blobs[f"manifests/{run}/{part['name']}.ndjson"][0]
        entries = [json.loads(line) for line in data.splitlines()]
        about = {"first": entries[0]["path"], "entries": len(entries), "bytes": len(data)}
        assert part == {"name": part["name"], **about}
        found += entries
    assert [row["path"] for row in found] == sorted({row["path"] for row in found})
    return found


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "site"
    for number in range(600):
        path = root / f"d{number % 13}" / f"f{number}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * (number % 5))
    (root / "link").symlink_to("d0")
    (root / "empty").mkdir()
    (root / "ü tab\t").write_bytes(b"odd name")
    (root / "\udcff").write_bytes(b"no text")
    return root


SIZE = sum(number % 5 for number in range(600)) + 15


async def test_a_manifest_has_an_index_and_one_line_an_entry_sorted_by_path(
    engine: Engine, catalog: MemoryContainer, tree: Path
) -> None:
    written = await back_up(engine, tree)
    assert written.manifest == "manifests/run/index.json"
    index, entries = index_of(catalog), rows(catalog)
    assert index["root"] == str(tree)
    assert (index["started"], index["finished"]) == (STARTED, "2026-01-02T03:04:07.000008Z")
    counts = {"files": 602, "new": 602, "links": 1, "directories": 15, "bytes": SIZE}
    assert index["totals"] == {**counts, "uploaded": SIZE + len("d0")}  # the link's target is content too
    assert len(entries) == 602 + 1 + 15
    assert [entry["path"] for entry in entries][:3] == ["", "d0/", "d0/f0.txt"]
    assert {entry["path"] for entry in entries} > {"\udcff", "ü tab\t", "empty/", "link"}


async def test_all_of_it_is_what_the_published_schema_says(
    engine: Engine, catalog: MemoryContainer, tree: Path
) -> None:
    (tree / ("long" * 50)).mkdir()
    (tree / ("long" * 50) / ("long" * 50)).write_bytes(b"")
    deep = tree
    for _ in range(5):
        deep = deep / ("x" * 220)
        deep.mkdir()
    (deep / "f").touch()
    written = await back_up(engine, tree)
    assert [text.rpartition(": ")[2] for text in written.named] == [
        "blob name is longer than 1024 characters"
    ]
    validate("index", index_of(catalog))
    for row in rows(catalog):
        validate("entry", row)


async def test_the_part_of_a_plan_in_which_nothing_changed_is_its_draft(
    engine: Engine, catalog: MemoryContainer
) -> None:
    plan = await put_plan(engine, "run", [directory(""), saved("a", b"1"), saved("b", b"2")])
    written = await write(engine, asked("run", [plan], tally=Tally(files=2, unchanged=2)))
    assert written.parts == (PartReference(plan.id, 3, plan.bytes),)
    assert written.tally == Tally()
    assert [row["path"] for row in rows(catalog)] == ["", "a", "b"]
    assert index_of(catalog)["totals"] == {"files": 2, "unchanged": 2}
    assert len(catalog.blobs) == 2


PATHS = st.text("ab/.é\udcff0", max_size=4)
OUTCOMES = st.sampled_from([None, "failed", "vanished", "gone", "kept"])


@given(
    st.sets(PATHS, max_size=12),
    st.lists(st.dictionaries(PATHS, OUTCOMES, max_size=6), max_size=4),
)
async def test_a_part_has_what_the_draft_says_and_what_became_of_the_tasks(
    drafted: set[str], batches: list[dict[str, NotSaved | None]]
) -> None:
    async with an_engine(MemoryContainer(), MemoryContainer(), Path("/")) as engine:
        catalog = engine.catalog
        assert isinstance(catalog, MemoryContainer)
        tasks = [[Task(path, "file") for path in batch] for batch in batches]
        plan = await put_plan(engine, "run", map(directory, sorted(drafted)), tasks)
        outcomes: list[list[Outcome]] = []
        expected = dict.fromkeys(drafted, "drafted")
        taken: set[str] = set()
        for batch in batches:
            outcomes.append([])
            for path, outcome in batch.items():
                if path not in taken:
                    taken.add(path)
                    entry = (
                        saved(f"x{path}") if outcome is None else Entry(path, outcome=outcome, reason="why")
                    )
                    outcomes[-1].append(new(msgspec.structs.replace(entry, path=path)))
                    if outcome is None or (path not in drafted and outcome != "gone"):
                        expected[path] = outcome or "saved"
        await put_outcomes(engine, "run", plan, *outcomes)
        await write(engine, asked("run", [plan]))
        found = {row["path"]: row for row in rows(catalog)}
        states = {
            path: row.get("outcome", "saved" if "blob" in row else "drafted") for path, row in found.items()
        }
        assert states == expected


async def test_a_directory_whose_old_blob_could_not_be_removed_is_saved_and_remembers_the_blob(
    engine: Engine, catalog: MemoryContainer
) -> None:
    was = saved("d/", kind="directory")
    plan = await put_plan(
        engine, "run", [directory("d/")], removals=[[Task("d/", "directory", base=was, gone=True)]]
    )
    refused = was.not_saved("failed", "leased")
    await put_outcomes(engine, "run", plan, [Outcome.not_saved(refused)])
    written = await write(engine, asked("run", [plan]))
    (row,) = rows(catalog)
    validate("entry", row)
    assert row["previous"] == msgspec.to_builtins(was.content)
    assert row["mode"] == "40755"
    assert written.tally == Tally(failed=1)


async def test_parts_are_in_order_whatever_the_order_of_the_plans_and_empty_ones_are_left_out(
    engine: Engine, catalog: MemoryContainer
) -> None:
    plans = [
        await put_plan(engine, "run", [saved("m"), saved("n")]),
        await put_plan(engine, "run", (), [[Task("x", "file")]]),
        await put_plan(engine, "run", [saved("a")], [[Task("b", "file")]]),
        await put_plan(engine, "run", (), (), [[Task("c", "file", base=saved("c"), gone=True)]]),
    ]
    await put_outcomes(engine, "run", plans[1], [new(saved("x"))])
    await put_outcomes(engine, "run", plans[2], [new(saved("b"))])
    await put_outcomes(engine, "run", plans[3], [Outcome.not_saved(saved("c").not_saved("gone", ""))])
    written = await write(engine, asked("run", plans))
    assert [row["path"] for row in rows(catalog)] == ["a", "b", "m", "n", "x"]
    assert len(written.parts) == 3
    assert written.tally == Tally(files=2, new=2, gone=1)


BASE = Content(2, "ab" * 16, '"9"', "before")


def failed(path: str, **more: Any) -> dict[str, Any]:
    return {"path": path, "kind": "file", "outcome": "failed", "reason": "storage is down", **more}


async def test_what_a_run_that_was_given_up_did_not_reach_has_failed_for_that_reason(
    engine: Engine, catalog: MemoryContainer, runs: MemoryContainer
) -> None:
    base = saved("b1", b"22", md5="ab" * 16, etag='"9"')
    tasks = [[Task("a", "file")], [Task("b1", "file", base=base), Task("b2", "file")], [Task("c", "file")]]
    gone = [[Task("g", "file", base=saved("g", b"22", md5="ab" * 16, etag='"9"'), gone=True)]]
    plan = await put_plan(engine, "run", [saved("drafted")], tasks, gone)
    await put_outcomes(engine, "run", plan, [new(saved("a"))])
    record = AttemptRecord(engine.runs, attempt_name("run", plan.id, 1), "process", 0)
    await record.begin(2)
    attempt = Attempt()
    attempt.add([new(saved("b2", b"done"))])
    await record.save(attempt, is_over=True)

    written = await write(engine, asked("run", [plan], gave_up="storage is down"))

    previous = msgspec.to_builtins(BASE)
    kept = {"path": "g", "kind": "file", "outcome": "kept", "reason": "storage is down", "previous": previous}
    found = {row["path"]: row for row in rows(catalog)}
    assert found.keys() == {"a", "b1", "b2", "c", "drafted", "g"}
    assert (found["b1"], found["c"], found["g"]) == (failed("b1", previous=previous), failed("c"), kept)
    assert [found[path]["blob"] for path in ("a", "b2", "drafted")] == ["site/a", "site/b2", "site/drafted"]
    assert written.tally == Tally(files=2, new=2, bytes=4, uploaded=4, failed=2, kept=1)
    assert written.named == ("b1: storage is down", "c: storage is down")
    assert index_of(catalog)["gave_up"] == "storage is down"


async def test_what_is_lost_of_a_run_that_was_given_up_does_not_keep_the_rest_out_of_its_manifest(
    engine: Engine, catalog: MemoryContainer, runs: MemoryContainer
) -> None:
    plans = [await put_plan(engine, "run", [saved(f"{n}a")], [[Task(f"{n}b", "file")]]) for n in range(4)]
    plans.append(await put_plan(engine, "run", [saved("complete")]))
    for plan in plans[:3]:
        await put_outcomes(engine, "run", plan, [new(saved(f"{plans.index(plan)}b"))])
    del catalog.blobs[f"manifests/run/{plans[0].id}.ndjson"]
    del runs.blobs[outcomes_name("run", plans[1].id, 0)]
    del runs.blobs[outcomes_name("run", plans[2].id, 0)]
    del runs.blobs[plan_name("run", plans[2].id)]
    del catalog.blobs[f"manifests/run/{plans[4].id}.ndjson"]
    await write(engine, asked("run", plans, gave_up="storage is down", portions=(Portion("lost", 0, 1),)))
    states = {row["path"]: row.get("outcome") for row in rows(catalog)}
    assert states == {"0b": None, "1a": None, "1b": "failed", "2a": None, "3a": None, "3b": "failed"}


async def test_in_any_other_run_what_is_lost_is_an_error(engine: Engine, runs: MemoryContainer) -> None:
    plan = await put_plan(engine, "run", (), [[Task("a", "file")]])
    with pytest.raises(BlobMissingError):
        await write(engine, asked("run", [plan]))


async def test_what_may_not_be_removed_is_kept(engine: Engine, catalog: MemoryContainer) -> None:
    base = saved("g", b"22", md5="ab" * 16, etag='"9"')
    plan = await put_plan(engine, "run", [saved("a")], (), [[Task("g", "file", base=base, gone=True)]])
    written = await write(engine, asked("run", [plan], kept="too many are gone"))
    assert rows(catalog)[1] == {
        "path": "g",
        "kind": "file",
        "outcome": "kept",
        "reason": "too many are gone",
        "previous": msgspec.to_builtins(BASE),
    }
    assert written.tally == Tally(kept=1)


@pytest.mark.parametrize("begin", ["", "d/", "d/f1", "d/f15"])
async def test_what_was_not_listed_has_failed_as_far_as_the_run_before_knows_it(
    engine: Engine, catalog: MemoryContainer, begin: str
) -> None:
    before = [directory(""), directory("d/"), *(saved(f"d/f{n}") for n in range(5)), saved("z")]
    await put_manifest(engine, "before", [before[:4], before[4:]])
    left = [Range("e", "f"), Range(begin, "d0")]
    await engine.plans.write_portions("run", "listing", Place(ROOT, ROOT), "before", left)
    portions = (Portion("listing", 0, 2),)
    written = await write(engine, asked("run", (), gave_up="storage is down", portions=portions))
    found = rows(catalog)
    expected = {entry.path for entry in before if entry.path in Range(begin, "d0")} | {begin, "e"}
    assert {row["path"] for row in found} == expected
    assert {row["outcome"] for row in found} == {"failed"}
    assert all("previous" in row for row in found if row["path"] in {f"d/f{n}" for n in range(5)})
    assert all(row["kind"] == "directory" for row in found if row["path"].endswith("/"))
    assert written.tally == Tally(failed=len(expected))


async def test_no_name_is_answered_unless_that_is_allowed(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings((ROOT,), concurrency=8, list_budget=1, log_paths=False)
    monkeypatch.setattr(engine, "settings", settings)
    plan = await put_plan(engine, "run", (), [[Task("secret", "file")]])
    answer = await write_manifest(asked("run", [plan], gave_up="down").to_json(), engine)
    assert "secret" not in json.dumps(answer)


PATHS_OF_FOUR = [f"{number}{letter}" for number in range(4) for letter in ("abcd" if number else "ac")]


async def four_plans(engine: Engine) -> list[Plan]:
    """A complete plan, and three with tasks."""
    plans: list[Plan] = []
    for number in range(4):
        draft = [saved(f"{number}a", b"1"), saved(f"{number}c", b"1")]
        tasks = [Task(f"{number}b", "file"), Task(f"{number}d", "file")] if number else []
        plans.append(await put_plan(engine, "run", draft, [tasks] if tasks else ()))
        if tasks:
            await put_outcomes(
                engine, "run", plans[-1], [new(saved(task.path, b"22", since="run")) for task in tasks]
            )
    return plans


async def test_what_there_is_no_time_for_is_left_to_the_next_activity(
    engine: Engine, catalog: MemoryContainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "_SECONDS", 0.0)
    monkeypatch.setattr(writing, "_AT_ONCE", 1)
    whole = Written(plans=tuple(await four_plans(engine)))
    hands = 0
    while not whole.manifest:
        request = asked("run", whole.plans, parts=whole.parts, tally=whole.tally)
        answer = await write(engine, request)
        assert answer.advanced
        whole = Written.of([msgspec.structs.replace(whole, plans=()), answer])
        hands += 1
    assert hands == 4
    assert [row["path"] for row in rows(catalog)] == PATHS_OF_FOUR
    assert index_of(catalog)["totals"] == {"files": 6, "new": 6, "bytes": 12, "uploaded": 12}


class Faulty(MemoryContainer):
    """Fails at the write with the number `at`, before or after it is carried out."""

    def __init__(self, error: BaseException, at: int = -1, *, after: bool = False) -> None:
        super().__init__()
        self.error = error
        self.at = at
        self.after = after

    async def put(self, name: str, data: bytes, properties: Properties, condition: Any = None) -> str:
        self.at -= 1
        if self.at == -1 and not self.after:
            raise self.error
        etag = await super().put(name, data, properties, condition)
        if self.at == -1:
            raise self.error
        return etag


@pytest.fixture
async def faulty(runs: MemoryContainer) -> AsyncIterator[tuple[Engine, Faulty]]:
    catalog = Faulty(StorageUnavailableError("storage is busy"))
    async with an_engine(MemoryContainer(), runs, Path("/"), catalog=catalog) as engine:
        yield engine, catalog


async def test_a_trouble_leaves_undone_what_it_kept_from_being_written_and_nothing_else(
    faulty: tuple[Engine, Faulty],
) -> None:
    engine, catalog = faulty
    plans = await four_plans(engine)
    catalog.at = 1
    first = await write(engine, asked("run", plans))
    assert first.troubles == ("storage is busy",)
    assert first.advanced
    assert len(first.parts) + len(first.plans) == 4
    assert not first.manifest
    second = await write(engine, asked("run", first.plans, parts=first.parts, tally=first.tally))
    assert second.manifest
    assert index_of(catalog)["totals"] == {"files": 6, "new": 6, "bytes": 12, "uploaded": 12}


async def test_an_index_that_could_not_be_written_is_all_that_is_undone_then(
    faulty: tuple[Engine, Faulty],
) -> None:
    engine, catalog = faulty
    plans = await four_plans(engine)
    catalog.at = 3
    first = await write(engine, asked("run", plans))
    assert (first.troubles, first.plans, len(first.parts), first.manifest) == (
        ("storage is busy",),
        (),
        4,
        "",
    )
    second = await write(engine, asked("run", (), parts=first.parts, tally=first.tally))
    assert second.manifest
    assert len(rows(catalog)) == 14


class KilledError(Exception):
    """The process of an activity has ended."""


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("at", range(4))
async def test_a_run_that_is_killed_at_any_write_and_goes_on_has_the_same_manifest(
    faulty: tuple[Engine, Faulty], at: int, after: bool
) -> None:
    engine, catalog = faulty
    plans = await four_plans(engine)
    catalog.error, catalog.at, catalog.after = KilledError(), at, after
    with pytest.raises(KilledError):
        await write(engine, asked("run", plans))
    written = await asyncio.gather(*(write(engine, asked("run", plans)) for _ in range(2)))
    assert {answer.manifest for answer in written} == {"manifests/run/index.json"}
    assert [row["path"] for row in rows(catalog)] == PATHS_OF_FOUR
    assert index_of(catalog)["totals"] == {"files": 6, "new": 6, "bytes": 12, "uploaded": 12}


async def repaired(engine: Engine, plans: Sequence[Plan], first: Written, *paths: str) -> Written:
    """Write the manifest again, with `paths` copied again in two batches."""
    half = len(paths) // 2
    batches = [[Task(path, "file") for path in some] for some in (paths[:half], paths[half:])]
    repair = await put_plan(engine, "run", (), batches)
    outcomes = [[new(saved(task.path, b"1", since="run")) for task in batch] for batch in batches]
    await put_outcomes(engine, "run", repair, *outcomes)
    return await write(engine, asked("run", plans, repairs=(repair,), tally=first.tally))


async def test_what_was_copied_again_is_in_the_parts_and_no_other_part_is_written(
    engine: Engine, catalog: MemoryContainer
) -> None:
    plans = await four_plans(engine)
    drafts = Tally(files=8, unchanged=8, bytes=8)
    first = await write(engine, asked("run", plans, tally=drafts))
    first = msgspec.structs.replace(first, tally=first.tally + drafts)
    before, parts = rows(catalog), names(catalog)
    for _ in range(2):  # the second time the answer of the first one was lost
        second = await repaired(engine, plans, first, "0c", "2a", "2c")
        assert second.tally == Tally(unchanged=-3, changed=3, uploaded=3)
        since = {row["path"]: row["since"] for row in rows(catalog)}
        again = dict.fromkeys(("0c", "2a", "2c"), "run")
        assert since == {row["path"]: row["since"] for row in before} | again
        assert [old == new for old, new in zip(parts, names(catalog), strict=True)] == [
            False,
            True,
            False,
            True,
        ]
        totals = {"files": 14, "bytes": 20, "new": 6, "unchanged": 5, "changed": 3, "uploaded": 15}
        assert index_of(catalog)["totals"] == totals


def names(catalog: MemoryContainer) -> list[str]:
    return [part["name"] for part in index_of(catalog)["parts"]]


async def test_what_could_not_be_copied_again_has_failed(engine: Engine, catalog: MemoryContainer) -> None:
    plans = await four_plans(engine)
    drafts = Tally(files=8, unchanged=8, bytes=8)
    first = await write(engine, asked("run", plans, tally=drafts))
    tally = first.tally + drafts
    repair = await put_plan(engine, "run", (), [[Task("0a", "file")], [Task("1b", "file")]])
    await put_outcomes(
        engine, "run", repair, [Outcome.not_saved(Entry("0a", "file", outcome="vanished", reason="gone"))]
    )
    request = asked("run", plans, repairs=(repair,), tally=tally, gave_up="storage is down")
    second = await write(engine, request)
    assert second.tally == Tally(files=-2, bytes=-3, unchanged=-1, new=-1, uploaded=-2, vanished=1, failed=1)
    assert second.named == ("1b: storage is down",)
    states = {row["path"]: row.get("outcome") for row in rows(catalog)}
    assert {path: state for path, state in states.items() if state} == {"0a": "vanished", "1b": "failed"}
