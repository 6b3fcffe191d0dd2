"""Comparing a manifest with what the containers hold, in steps."""

import json
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal
from unittest.mock import patch

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sitebackup.activities import comparing, pairing
from sitebackup.activities.running import run as run_activity
from sitebackup.activities.verifying import verify_blobs, verify_manifest
from sitebackup.blobs.container import Properties
from sitebackup.blobs.historyname import history_name
from sitebackup.digests import md5, root_id
from sitebackup.engine.engine import Engine
from sitebackup.messages import Compared, CompareRequest, Findings, ReadBack, SpansRequest
from sitebackup.ranges import Span
from sitebackup.records.entries import Entry
from sitebackup.settings import Settings
from tests.storage.conftest import an_engine, goes_on
from tests.support.handmade import ROOT, directory, put_manifest, saved
from tests.support.memory import MemoryContainer


async def compare(engine: Engine, run: str = "run", by: str = "verification") -> tuple[Compared, int]:
    """Compare to the end; return all findings, and the steps.

    Each step is taken twice before the next one, and once more after it, as if a process was late.
    """
    answers: list[Compared] = []
    while not answers or not answers[-1].is_done:
        request = CompareRequest(by, run, answers[-1].state if answers else "")
        answers.append([await take_step(engine, request) for _ in range(2)][-1])
        if len(answers) > 1:
            before = msgspec.structs.replace(request, after=answers[-3].state if len(answers) > 2 else "")
            assert (await take_step(engine, before)).findings == answers[-2].findings
    repairs = tuple(plan for answer in answers for plan in answer.repairs)
    findings = sum((answer.findings for answer in answers), Findings())
    return msgspec.structs.replace(answers[-1], findings=findings, repairs=repairs), len(answers)


async def take_step(engine: Engine, request: CompareRequest) -> Compared:
    answer = Compared.from_json(json.loads(json.dumps(await verify_manifest(request.to_json(), engine))))
    assert answer.errors == answer.troubles == ()
    return answer


async def findings(engine: Engine, run: str = "run") -> Findings:
    return (await compare(engine, run))[0].findings


async def put(container: Any, name: str, content: bytes) -> None:
    await container.put(name, content, Properties(md5(content)))


CONTENTS = {f"d{number % 7}/f{number}": b"%d" % number for number in range(100)}


@pytest.fixture
async def index(engine: Engine, backups: MemoryContainer) -> Any:
    """A manifest whose blobs are all there."""
    files = [saved(path, content) for path, content in CONTENTS.items()]
    entries = [directory(""), *(directory(f"d{n}/") for n in range(7)), *files]
    entries += [saved("empty/", kind="directory"), Entry("odd", outcome="skipped", reason="fifo")]
    entries += [saved("kept").not_saved("kept", "not selected any more")]
    for entry in entries:
        if entry.blob is not None:
            await put(backups, entry.blob, CONTENTS.get(entry.path, b""))
    entries.sort(key=lambda entry: entry.path)
    return await put_manifest(engine, "run", [entries[:60], entries[60:]])


async def test_containers_that_hold_what_was_saved_have_nothing_missing_or_changed(
    engine: Engine, backups: MemoryContainer, index: Any
) -> None:
    await put(backups, "site/old", b"from an earlier run")
    await put(backups, "site-other/file", b"of another tree")
    compared, steps = await compare(engine)
    size = sum(map(len, CONTENTS.values()))
    assert compared.findings == Findings(checked=101, bytes=size, extra=1)
    assert (compared.repairs, steps) == ((), 1)
    assert compared.root_id == root_id(ROOT)
    assert compared.spans == tuple(Span(part.name, 0, part.bytes) for part in index.parts)


@pytest.mark.usefixtures("index")
async def test_what_is_missing_or_changed_is_counted_and_named(
    engine: Engine, backups: MemoryContainer
) -> None:
    del backups.blobs["site/d0/f0"]
    await put(backups, "site/d1/f1", b"11")
    await put(backups, "site/d2/f2", b"x")
    found = await findings(engine)
    assert (found.checked, found.missing, found.changed, found.extra) == (101, 1, 2, 0)
    assert sorted(found.named) == [
        "site/d0/f0 is missing",
        "site/d1/f1 has 2 bytes instead of 1",
        "site/d2/f2 has another MD5",
    ]


@pytest.mark.usefixtures("index")
async def test_no_name_is_answered_unless_that_is_allowed(
    engine: Engine, backups: MemoryContainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "settings", Settings((ROOT,), concurrency=8, list_budget=9, log_paths=False))
    del backups.blobs["site/d0/f0"]
    found = await findings(engine)
    assert (found.missing, found.named) == (1, ())


@pytest.mark.usefixtures("index")
async def test_an_earlier_version_that_is_in_the_history_is_no_finding(
    engine: Engine, backups: MemoryContainer, history: MemoryContainer
) -> None:
    del backups.blobs["site/d0/f0"]
    await put(backups, "site/d1/f1", b"overwritten")
    await put(backups, "site/d2/f2", b"x")
    for path in ("d0/f0", "d1/f1", "d2/f2"):
        await put(history, history_name(f"site/{path}", md5(CONTENTS[path]).hex()), CONTENTS[path])
    found = await findings(engine)
    assert (found.checked, found.wrong, found.bytes) == (101, 0, sum(map(len, CONTENTS.values())))


@pytest.mark.usefixtures("index")
async def test_a_version_in_the_history_that_is_cut_short_is_a_finding(
    engine: Engine, backups: MemoryContainer, history: MemoryContainer
) -> None:
    del backups.blobs["site/d3/f10"]
    await put(history, history_name("site/d3/f10", md5(b"10").hex()), b"1")
    assert (await findings(engine)).named == ("site/d3/f10 is missing",)


@pytest.mark.parametrize("by", ["run", "verification"])
async def test_a_run_that_finds_its_unchanged_entries_gone_has_them_copied_again(
    backups: MemoryContainer, tmp_path: Path, by: str
) -> None:
    root = str(tmp_path)
    entries = [saved(f"f{number:04d}", b"x", since="before", root=root) for number in range(1_200)]
    entries += [saved("new", b"x", since="run", root=root), saved("new too", b"x", since="run", root=root)]
    async with an_engine(backups, MemoryContainer(), tmp_path) as engine:
        await put_manifest(engine, "run", [entries[:700], entries[700:]], root=root)
        for entry in entries[:2]:
            await put(backups, entry.blob or "", b"x")
        await put(backups, entries[2].blob or "", b"changed")
        await put(backups, entries[-2].blob or "", b"x")
        compared, _ = await compare(engine, by=by)
        found = compared.findings
        if by == "verification":
            assert (found.checked, found.missing, found.changed) == (1_202, 1_198, 1)
            assert compared.repairs == ()
            return
        assert (found.checked, found.missing, found.changed) == (4, 1, 0)
        assert found.named == (f"{root[1:]}/new too is missing",)
        (plan,) = compared.repairs
        tasks = [await engine.plans.read_batch("run", plan.id, batch) for batch in range(plan.batches)]
        assert [len(some) for _, some in tasks] == [500, 500, 198]
        assert {place.root for place, _ in tasks} == {root}
        assert [task.path for _, some in tasks for task in some] == [entry.path for entry in entries[2:-2]]
        assert not any(task.base or task.gone for _, some in tasks for task in some)


async def test_a_step_ends_when_as_much_is_to_be_copied_again_as_a_listing_may_find(tmp_path: Path) -> None:
    entries = [saved(f"f{number:05d}", root=str(tmp_path)) for number in range(20_000)]
    async with an_engine(MemoryContainer(), MemoryContainer(), tmp_path, list_budget=3_000) as engine:
        await put_manifest(engine, "run", [entries], root=str(tmp_path))
        compared, steps = await compare(engine, by="run")
        tasks = [
            task
            for plan in compared.repairs
            for batch in range(plan.batches)
            for task in (await engine.plans.read_batch("run", plan.id, batch))[1]
        ]
        assert [task.path for task in tasks] == [entry.path for entry in entries]
        assert len(compared.repairs) in (steps - 1, steps)
        assert steps > 3


async def test_a_run_without_a_manifest_is_said(engine: Engine) -> None:
    for body, request in (
        (verify_manifest, CompareRequest("v", "nothing")),
        (verify_blobs, SpansRequest("v", "nothing", ())),
    ):
        answer = await run_activity(body, request.to_json(), lambda: engine, goes_on)
        assert tuple(answer["errors"]) == ("There is no manifest of a run 'nothing'.",)


@pytest.mark.usefixtures("index")
async def test_a_manifest_of_a_later_format_is_refused_with_a_sentence(
    engine: Engine, catalog: MemoryContainer
) -> None:
    name = "manifests/run/index.json"
    data, properties = catalog.blobs[name]
    catalog.blobs[name] = (data.replace(b'"format": 2', b'"format": 3', 1), properties)
    answer = await run_activity(
        verify_manifest, CompareRequest("v", "run").to_json(), lambda: engine, goes_on
    )
    assert Compared.from_json(answer).errors == (
        "The manifest of run 'run' has format 3. This version of the app reads 1 and 2.",
    )


@pytest.mark.usefixtures("index")
async def test_fields_that_a_later_version_adds_stop_no_reader(
    engine: Engine, catalog: MemoryContainer
) -> None:
    for name, (data, properties) in list(catalog.blobs.items()):
        added = data.replace(b'{"path"', b'{"flavor": "x", "path"').replace(
            b'"run":', b'"flavor": "x", "run":'
        )
        assert added != data
        catalog.blobs[name] = (added, properties)
    assert (await findings(engine)).checked == 101


type State = Literal["right", "missing", "other", "in the history", "cut short in the history"]

NAMES = st.text("a.%4é\\~\t\udcff\U0001f600\uffff", min_size=1, max_size=4).map(lambda name: f"{name}x")
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)
STATES: tuple[State, ...] = ("right", "missing", "other", "in the history", "cut short in the history")


@contextmanager
def limits(*, seconds: float, at_once: int, waiting: int) -> Generator[None]:
    with (
        patch.object(comparing, "_SECONDS", seconds),
        patch.object(comparing, "_AT_ONCE", at_once),
        patch.object(comparing, "_ASKED_AT_ONCE", at_once),
        patch.object(pairing, "_WAITING", waiting),
    ):
        yield


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    entries=st.dictionaries(PATHS, st.sampled_from(STATES), max_size=25),
    extra=st.sets(PATHS, max_size=10),
    unsaved=st.sets(PATHS, max_size=10),
    cuts=st.lists(st.integers(0, 25), max_size=3),
    page_size=st.integers(1, 7),
    at_once=st.integers(1, 5),
    waiting=st.integers(1, 9),
)
async def test_steps_of_one_page_find_what_one_step_finds(
    entries: dict[str, State],
    extra: set[str],
    unsaved: set[str],
    cuts: Sequence[int],
    page_size: int,
    at_once: int,
    waiting: int,
) -> None:
    backups, history = MemoryContainer(), MemoryContainer()
    manifest: list[Entry] = []
    for path, state in entries.items():
        # What was a file, and could not be removed, may have become a directory.
        entry = saved(path, b"content")
        if path in unsaved:
            entry = msgspec.structs.replace(entry, path=f"{path}/", kind="directory")
        manifest.append(entry)
        name = entry.blob or ""
        if state != "missing":
            await put(backups, name, b"content" if state == "right" else b"other!!")
        if "history" in state:
            await put(
                history, history_name(name, entry.md5 or ""), b"content" if state == "in the history" else b""
            )
    manifest += [saved(path).not_saved("kept", "too many are gone") for path in unsaved]
    manifest.sort(key=lambda entry: entry.path)
    for path in extra - entries.keys():
        await put(backups, saved(path).blob or "", b"extra")
    expected = {state: list(entries.values()).count(state) for state in STATES}
    bounds = sorted({0, len(manifest), *(cut for cut in cuts if cut < len(manifest))})
    parts = [manifest[a:b] for a, b in pairwise(bounds)]
    async with an_engine(backups, MemoryContainer(), Path("/"), history=history) as engine:
        await put_manifest(engine, "run", parts)
        whole, steps = await compare(engine)
        assert steps == 1
        backups.page_size = page_size
        with limits(seconds=0, at_once=at_once, waiting=waiting):
            stepwise, _ = await compare(engine)
    for found in (whole.findings, stepwise.findings):
        counts = found.checked, found.missing, found.changed, found.bytes
        changed = expected["other"] + expected["cut short in the history"]
        right = expected["right"] + expected["in the history"]
        assert counts == (len(entries), expected["missing"], changed, right * len(b"content"))
    extras = len(extra - entries.keys() - unsaved)
    shared = len(unsaved & entries.keys())
    assert extras - shared <= whole.findings.extra <= extras
    # What is not saved, and has to wait for too long, keeps no blob from being extra.
    assert extras - shared <= stepwise.findings.extra <= extras + len(unsaved)
    assert stepwise.findings.extra == extras or unsaved


@pytest.mark.usefixtures("index")
async def test_only_reading_back_finds_content_that_changed_behind_its_properties(
    engine: Engine, backups: MemoryContainer, history: MemoryContainer
) -> None:
    for number in (11, 22, 33):
        path = f"site/d{number % 7}/f{number}"
        backups.blobs[path] = (b"yy", backups.blobs[path][1])
    await put(history, history_name("site/d4/f11", md5(b"11").hex()), b"11")
    del backups.blobs["site/d2/f44"]
    await put(history, history_name("site/d2/f44", md5(b"44").hex()), b"44")
    compared, _ = await compare(engine)
    assert compared.findings.wrong == 0
    halves = [
        half
        for of, _, count in map(msgspec.structs.astuple, compared.spans)
        for half in (Span(of, 0, count // 2), Span(of, count // 2, count - count // 2))
    ]
    deep = [await read_back(engine, span) for span in halves]
    assert sum(part.checked for part in deep) == 101
    assert min(part.checked for part in deep) > 0
    assert sorted(text for part in deep for text in part.named) == [
        "site/d1/f22 has another content",
        "site/d5/f33 has another content",
    ]


@pytest.mark.parametrize("is_in_history", [True, False])
async def test_a_large_file_is_read_from_where_it_looks_right(
    engine: Engine, backups: MemoryContainer, history: MemoryContainer, is_in_history: bool
) -> None:
    content = b"x" * 9_000_000
    entry = saved("large", content)
    index = await put_manifest(engine, "run", [[entry]])
    await put(backups, "site/large", b"y" * 9_000_000)
    if is_in_history:
        await put(history, history_name("site/large", entry.md5 or ""), content)
    found = await read_back(engine, Span("0", 0, index.parts[0].bytes))
    named = () if is_in_history else ("site/large has another content",)
    assert found == Findings(checked=1, bytes=9_000_000, changed=len(named), named=named)


async def read_back(engine: Engine, *spans: Span, run: str = "run") -> Findings:
    request = SpansRequest("verification", run, spans).to_json()
    return ReadBack.from_json(await verify_blobs(request, engine)).findings
