"""The tutorial's samples, run as it says, and their numbers."""

import importlib
import sys
from pathlib import Path

import pytest
from durabletask.client import OrchestrationStatus

from durable_sdk.connection import SETTING, connect
from localstack.settings import PROJECT
from tests.e2e.support.commands import run

SAMPLES = PROJECT / "samples"
RESULTS = {
    "fan_out_fan_in": "Result: {'total_items': 10, 'sum': 385, 'average': 38.5}\n",
    "work_items": "Result: 5 items processed\n",
    "word_count": "Total word count: 18\n",
}


@pytest.fixture(autouse=True)
def path(monkeypatch: pytest.MonkeyPatch) -> None:
    """What Python itself does for a script: its folder is where modules are looked for."""
    monkeypatch.setattr(sys, "path", [str(SAMPLES), *sys.path])
    monkeypatch.delenv(SETTING, raising=False)


def test_every_sample_has_its_result_here() -> None:
    assert RESULTS.keys() == {path.stem for path in SAMPLES.glob("*.py")} - {"task_hub"}


@pytest.mark.parametrize("name", RESULTS)
def test_a_sample_prints_the_tutorials_result(name: str, environ: dict[str, str], tmp_path: Path) -> None:
    done = run([sys.executable, str(SAMPLES / f"{name}.py")], environ, cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, RESULTS[name], "")


def test_a_sample_runs_on_the_scheduler_that_the_environment_names(environ: dict[str, str]) -> None:
    with connect({}) as hub:
        named = {**environ, SETTING: f"{hub.connection_string};TaskHub=default"}
        done = run([sys.executable, str(SAMPLES / "word_count.py")], named)
        with hub.client() as client:
            [orchestration] = client.get_all_orchestration_states()
    assert done.stdout == RESULTS["word_count"], done.stderr
    assert orchestration.name == "FanOutFanIn_WordCount"
    assert orchestration.runtime_status is OrchestrationStatus.COMPLETED


def test_work_items_come_back_with_their_lengths() -> None:
    assert importlib.import_module("work_items").run(["item1", "x"]) == {"item1": 5, "x": 1}


@pytest.mark.parametrize(
    ("name", "nothing"),
    [
        ("fan_out_fan_in", {"total_items": 0, "sum": 0, "average": 0}),
        ("work_items", {}),
        ("word_count", 0),
    ],
)
def test_an_empty_list_works(name: str, nothing: object) -> None:
    assert importlib.import_module(name).run([]) == nothing
