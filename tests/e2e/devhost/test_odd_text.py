"""Text that no UTF-8 can hold: Python and JSON have lone surrogates, protobuf and sockets have not."""

from .hosts import LocalHost

LONE = "lone \udc80 surrogate"
SHOWN = "lone \ufffd surrogate"


def test_an_exception_with_a_lone_surrogate_does_not_keep_its_orchestration_waiting(
    durable: LocalHost,
) -> None:
    assert durable.run("CatchFailure", LONE)[1:] == ["ValueError", SHOWN]


def test_an_orchestrator_that_fails_with_a_lone_surrogate_has_an_end(durable: LocalHost) -> None:
    document = durable.end(durable.start("Fail", LONE))
    assert document["runtimeStatus"] == "Failed"
    assert "surrogate" in document["output"]


def test_an_entity_that_fails_with_a_lone_surrogate_answers(durable: LocalHost) -> None:
    message, state = durable.run("BreakCounter", "fail oddly")
    assert "surrogate" in message
    assert state == 1


def test_what_json_escapes_comes_through_as_it_is(durable: LocalHost) -> None:
    assert durable.run("EchoAll", [LONE, "\x00", "\U0001f600"]) == [LONE, "\x00", "\U0001f600"]
