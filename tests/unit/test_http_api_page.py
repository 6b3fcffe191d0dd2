"""docs/http-api.md says what the code says: options with their defaults, error codes, fields."""

import json
import re
from typing import Any, cast

import pytest

from localstack.settings import PROJECT
from sitebackup import names
from sitebackup.messages import Plan
from sitebackup.request import MAX_BODY, BackupRequest, RequestError, VerifyRequest, check
from sitebackup.settings import Settings
from tests.support.hub import Instance
from tests.support.site import Site, became, down, listing

PAGE = (PROJECT / "docs/http-api.md").read_text()
ANYWHERE = Settings(allowed_roots=("/",), concurrency=1, list_budget=1)


def section(title: str) -> str:
    """The text below a heading, to the next one of any level."""
    [text] = re.findall(rf"^#+ {title}\n(.*?)(?=^#|\Z)", PAGE, re.DOTALL | re.MULTILINE)
    return text


def table(title: str) -> list[list[str]]:
    """The cells of the table below a heading, without its head."""
    rows = re.findall(r"^\| (.*) \|$", section(title), re.MULTILINE)
    return [row.split(" | ") for row in rows[1:]]


def documented(title: str) -> list[str]:
    return [row[0].strip("`") for row in table(title)]


def defaults(title: str) -> dict[str, Any]:
    given = {name.strip("`"): default.strip("`") for name, default, _ in table(title)}
    return {name: json.loads(default) for name, default in given.items() if default != "required"}


def refused(body: dict[str, Any], name: str = names.BACKUP_SITE_CONTENT) -> str | None:
    try:
        check(name, json.dumps(body).encode(), ANYWHERE)
    except RequestError as error:
        return error.code
    return None


def test_every_option_of_a_backup_is_on_the_page_with_its_default() -> None:
    assert defaults("Start a backup") == {"rootDirectory": None, **BackupRequest("/").to_json()}
    for option, default in defaults("Start a backup").items():
        assert refused({option: default}) is None, option


def test_every_option_of_a_verification_is_on_the_page_with_its_default() -> None:
    assert documented("Start a verification") == ["instanceId", "deep"]
    assert defaults("Start a verification") == {"deep": VerifyRequest("run").deep}
    assert refused({"instanceId": "run", "deep": False}, names.VERIFY_BACKUP) is None


def test_no_option_that_the_page_leaves_out_is_taken() -> None:
    known = re.findall(r'^    "(\w+)": _', (PROJECT / "sitebackup/request.py").read_text(), re.MULTILINE)
    assert known == documented("Start a backup")
    assert refused({"instanceId": "run"}) == "UnknownOption"
    assert refused({"exclude": []}, names.VERIFY_BACKUP) == "UnknownOption"


def test_every_error_code_is_on_the_page_with_its_status() -> None:
    source = (PROJECT / "sitebackup/request.py").read_text()
    raised = set(re.findall(r'RequestError\(\s*(\d{3}), "(\w+)"', source))
    assert {(status, code.strip("`")) for status, code, _ in table("Errors")} == raised
    assert f"{MAX_BODY:,} bytes" in PAGE


@pytest.mark.parametrize(
    ("title", "name"),
    [("Start a backup", names.BACKUP_SITE_CONTENT), ("Start a verification", names.VERIFY_BACKUP)],
)
def test_every_body_on_the_page_starts_what_it_is_for(title: str, name: str) -> None:
    bodies = re.findall(r"^```json\n(.*?)^```", section(title), re.DOTALL | re.MULTILINE)
    assert bodies
    for body in bodies:
        assert check(name, body.encode(), ANYWHERE) == json.loads(body)


def test_the_error_on_the_page_is_one_that_the_app_answers() -> None:
    [answer] = re.findall(r"^```json\n(.*?)^```", section("Errors"), re.DOTALL | re.MULTILINE)
    with pytest.raises(RequestError) as refusal:
        check(names.BACKUP_SITE_CONTENT, b'"relative"', ANYWHERE)
    assert json.loads(answer) == json.loads(refusal.value.to_json())


def test_the_orchestrations_that_can_be_started_are_those_of_the_page() -> None:
    assert tuple(re.findall(r"^POST /orchestrators/(\w+)", PAGE, re.MULTILINE)) == names.PUBLIC_ORCHESTRATORS


def statuses(instance: Instance) -> list[dict[str, Any]]:
    return [json.loads(turn.status) for turn in instance.turns if turn.status is not None]


def fields(status: dict[str, Any], prefix: str = "") -> set[str]:
    """The fields of a status, those of objects in it as `object.field`."""
    found: set[str] = set()
    for name, value in status.items():
        if isinstance(value, dict):
            found |= fields(cast("dict[str, Any]", value), f"{name}.")
        else:
            found.add(prefix + name)
    return found


def test_every_field_and_phase_of_a_backups_status_is_on_the_page() -> None:
    answers = iter([down(), listing("p", 100, plans=(Plan("p", 100, 1),), notes=("Mind the gap.",))])
    read_in_vain = became(files=1, bytes=10, unchanged=1, touched=1)
    site = Site(
        1,
        {
            names.GET_FILE_LIST: lambda _: next(answers),
            names.COPY_FILE_TO_BLOB: lambda batch: became(gone=1) if batch["batch"] == 100 else read_in_vain,
        },
    )
    seen = statuses(site.backup())
    assert set().union(*map(fields, seen)) == set(documented("Custom status of a backup"))
    phases = dict(table("Custom status of a backup"))["`phase`"]
    assert list(dict.fromkeys(status["phase"] for status in seen)) == re.findall(r"`(\w+)`", phases)


def test_every_field_of_a_verifications_output_is_on_the_page() -> None:
    run = Site().hub().run(names.VERIFY_BACKUP, "run")
    assert list(run.output) == documented("Output of a verification")
    assert [*statuses(run)[-1], "named"] == documented("Output of a verification")
