"""The durable webhooks for entities, as the Durable Functions extension answers them."""

import pytest

from .hosts import WEBHOOKS, LocalHost, until

_ENTITIES = f"{WEBHOOKS}/entities"
_JSON = {"Content-Type": "application/json"}


def _write(durable: LocalHost, path: str, content: str) -> None:
    answer = durable.http.post(f"{_ENTITIES}/{path}?op=write", content=content, headers=_JSON)
    assert (answer.status_code, answer.content) == (202, b"")


def _read(durable: LocalHost, path: str) -> str:
    def probe() -> str | None:
        answer = durable.http.get(f"{_ENTITIES}/{path}")
        return answer.text if answer.status_code == 200 else None

    return until(probe)


def test_a_state_that_is_no_unicode_text_is_read_and_listed_all_the_same(durable: LocalHost) -> None:
    _write(durable, "note/odd", '"\\ud800"')
    assert _read(durable, "note/odd") == '"\\ud800"'
    listed = durable.http.get(f"{_ENTITIES}/note?fetchState=true")
    assert listed.status_code == 200
    assert '"\\ud800"' in listed.text


def test_a_signal_without_a_key_goes_to_the_empty_one_and_harms_no_other(durable: LocalHost) -> None:
    _write(durable, "Note", "1")
    until(lambda: "Invalid entity instance ID '@note@'" in durable.output)  # Microsoft's SDK refuses it
    _write(durable, "Note/next", "2")
    assert _read(durable, "note/next") == "2"


def test_a_dollar_sign_stands_for_the_empty_key_in_reading_only(durable: LocalHost) -> None:
    _write(durable, "note/$", '"of the dollar sign"')

    def written() -> bool:
        entities = durable.http.get(f"{_ENTITIES}/note?fetchState=true").json()
        states = {entity["entityId"]["key"]: entity["state"] for entity in entities}
        return states.get("$") == "of the dollar sign"

    until(written)
    assert durable.http.get(f"{_ENTITIES}/note/$").status_code == 404


def test_deleting_signals_an_operation_of_that_name(durable: LocalHost) -> None:
    _write(durable, "note/gone", "1")
    _read(durable, "note/gone")
    assert durable.http.delete(f"{_ENTITIES}/note/gone").status_code == 202
    until(lambda: durable.http.get(f"{_ENTITIES}/note/gone").status_code == 404)


@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_an_entity_that_the_app_lacks_is_refused_by_name(durable: LocalHost, method: str) -> None:
    answer = durable.http.request(method, f"{_ENTITIES}/Nobody/x")
    text = (
        "The function 'nobody' doesn't exist, is disabled, or is not an entity function. "
        "Additional info: The following are the known entity functions: 'Counter', 'Note'."
    )
    assert (answer.status_code, answer.json()) == (400, {"Message": text})
    assert durable.http.get(f"{_ENTITIES}/Nobody/x").status_code == 404
    assert durable.http.get(f"{_ENTITIES}/Nobody").json() == []


@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_an_operation_needs_a_name_of_an_entity(durable: LocalHost, method: str) -> None:
    answer = durable.http.request(method, _ENTITIES)
    assert (answer.status_code, list(answer.json())) == (400, ["Message"])


@pytest.mark.parametrize("content", [b"{", b'"\xff"', b"[" * 200_000])
def test_an_input_that_is_not_json_is_refused(durable: LocalHost, content: bytes) -> None:
    answer = durable.http.post(f"{_ENTITIES}/note/x", content=content, headers=_JSON)
    assert answer.status_code == 400
    assert answer.json()["Message"].startswith("Could not parse JSON content: ")


def test_any_other_input_is_a_text(durable: LocalHost) -> None:
    text = "é".encode("utf-16")
    path = f"{_ENTITIES}/note/text?op=write"
    kind = "text/plain; charset=utf-16"
    assert durable.http.post(path, content=text, headers={"Content-Type": kind}).status_code == 202
    assert _read(durable, "note/text") == '"\\u00e9"'
    wrong = durable.http.post(path, content=text, headers={"Content-Type": "text/plain; charset=nonsense"})
    assert (wrong.status_code, "nonsense" in wrong.json()["Message"]) == (400, True)
