"""A run's events in OpenAI's words."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import orjson
import pytest

from api.dialects.outcome import await_outcome, until_waiting
from api.dialects.reply import Question, Reply, Spoken, stream
from core.errors import ModelOverloaded, RunCancelled, StreamCut
from core.events import Event, EventType
from core.turn import ModelRecord
from db import runs
from db.runs import Status
from graphs.admission import StartedRun

RECORD = ModelRecord(name="m", version="7", server="s 1")
REPLY = Reply(StartedRun("run", "thread", "message"), RECORD, created=5)
CITATION = {"marker": 1, "title": "Backups"}
SOURCE = {"marker": 1, "chunk_id": 3, "title": "Backups"}
MESSAGE = {
    "message_id": "m",
    "role": "assistant",
    "content": "It is so [1].",
    "citations": [CITATION],
    "abstained": False,
    "finish_reason": "length",
}
COUNTED = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5, "cost_usd": 0.0001}
USAGE = {**COUNTED, "model": RECORD}
APPROVAL = {"approval_id": "a", "tool": "refund_order", "arguments": {"cents": 5000}}
QUESTION = Question("I asked a person.", [APPROVAL])
WAITS: list[tuple[EventType, dict[str, Any]]] = [
    ("run.started", {}),
    ("token", {"text": "I will see."}),
    ("approval.required", {"approval_id": "a"}),
    ("run.waiting", {"run_id": "run", "approval_id": "a"}),
]
WHOLE: list[tuple[EventType, dict[str, Any]]] = [
    ("run.started", {}),
    ("sources", {"passages": [SOURCE]}),
    ("token", {"text": "It is"}),
    ("token", {"text": " so [1]."}),
    ("message.finished", MESSAGE),
    ("usage", USAGE),
    ("run.finished", {"run_id": "run"}),
]


async def events(*given: tuple[EventType, dict[str, Any]]) -> AsyncGenerator[Event, None]:
    for number, (type_, data) in enumerate(given, 1):
        yield Event(number, type_, data)


async def ask() -> Question:
    return QUESTION


async def chunks(
    *given: tuple[EventType, dict[str, Any]], include_usage: bool = False
) -> list[Any]:
    answer = stream(events(*given), REPLY, include_usage=include_usage, ask=ask)
    pieces = [piece async for piece in answer]
    frames = b"".join(pieces).decode().removesuffix("\n\n").split("\n\n")
    assert all(frame.startswith("data: ") for frame in frames)
    return [frame[6:] if frame == "data: [DONE]" else orjson.loads(frame[6:]) for frame in frames]


async def test_a_stream_has_text_then_the_end_then_done() -> None:
    """The first chunk names the role, the last delta carries what OpenAI has no word for."""
    first, second, last, done = await chunks(*WHOLE)
    assert first["choices"][0]["delta"] == {"role": "assistant", "content": "It is"}
    assert second["choices"][0]["delta"] == {"content": " so [1]."}
    assert last["choices"][0]["finish_reason"] == "length"
    assert last["choices"][0]["delta"]["parley"] == {
        "status": "succeeded",
        "thread_id": "thread",
        "run_id": "run",
        "citations": [CITATION],
        "sources": [SOURCE],
        "abstained": False,
        "level": None,
        "cached": None,
        "model": RECORD,
    }
    assert done == "[DONE]"
    assert {(c["model"], c["system_fingerprint"]) for c in (first, second, last)} == {("m", "7")}
    assert "usage" not in last


async def test_usage_comes_only_when_asked_for() -> None:
    """As with OpenAI: one more chunk without choices."""
    usage = (await chunks(*WHOLE, include_usage=True))[-2]
    assert usage["choices"] == []
    assert usage["usage"] == COUNTED


async def test_an_answer_that_came_in_one_piece_is_streamed_too() -> None:
    """A refusal or a clarifying question has no tokens, but a message."""
    first, _, done = await chunks(("message.finished", MESSAGE), ("run.finished", {}))
    assert first["choices"][0]["delta"]["content"] == "It is so [1]."
    assert done == "[DONE]"


async def test_a_failure_before_the_first_word_is_raised() -> None:
    """It becomes an HTTP status."""
    failed = {"error": {"code": "model_overloaded", "message": "Full."}}
    with pytest.raises(ModelOverloaded, match="Full"):
        await chunks(("run.started", {}), ("run.failed", failed))
    with pytest.raises(RunCancelled):
        await chunks(("run.cancelled", {}))


async def test_a_failure_after_the_first_word_is_the_last_chunk() -> None:
    """No [DONE] follows it, so that nobody takes a part for the whole."""
    failed = {"error": {"code": "stream_cut", "message": "Broke off."}}
    first, error = await chunks(("token", {"text": "It"}), ("run.failed", failed))
    assert first["choices"][0]["delta"]["content"] == "It"
    assert error == {
        "error": {
            "message": "Broke off.",
            "type": "server_error",
            "param": None,
            "code": "stream_cut",
        }
    }


async def test_a_log_without_an_end_is_an_error() -> None:
    """A part is never passed off as an answer."""
    assert "error" in (await chunks(("token", {"text": "It"})))[-1]
    with pytest.raises(StreamCut):
        await await_outcome(events(("token", {"text": "It"})))


async def test_a_run_taken_over_goes_on_where_the_client_is() -> None:
    """The second attempt writes the same words; the client gets only the new ones."""
    frames = await chunks(
        ("token", {"text": "It is"}),
        ("run.resumed", {"attempt": 2}),
        ("token", {"text": "It"}),
        ("token", {"text": " is so"}),
        ("token", {"text": " [1]."}),
        *WHOLE[-3:],
    )
    said = [c["choices"][0]["delta"].get("content", "") for c in frames[:-1]]
    assert said == ["It is", " so", " [1].", ""]


async def test_other_words_after_a_takeover_are_an_error() -> None:
    """What the client has cannot be taken back, so the stream ends there."""
    frames = await chunks(
        ("token", {"text": "It is"}),
        ("run.resumed", {"attempt": 2}),
        ("token", {"text": "Perhaps"}),
        *WHOLE[-3:],
    )
    assert frames[-1]["error"]["code"] == "stream_cut"


def test_blanks_at_the_end_do_not_matter() -> None:
    """The stored message is stripped; the client has seen the blank already."""
    spoken = Spoken()
    assert spoken.add(Event(1, "token", {"text": "It is so [1]. "})) == "It is so [1]. "
    assert spoken.add(Event(2, "message.finished", MESSAGE)) == ""


async def test_a_whole_answer() -> None:
    """Message, finish reason, usage and what really answered."""
    answer = REPLY.completion(await await_outcome(events(*WHOLE)))
    choice = answer["choices"][0]
    assert answer["object"] == "chat.completion"
    assert choice["message"]["content"] == "It is so [1]."
    assert choice["message"]["parley"]["citations"] == [CITATION]
    assert choice["finish_reason"] == "length"
    assert answer["usage"]["total_tokens"] == 5


async def test_no_model_means_no_tokens() -> None:
    """A refusal costs nothing, and no model is named for it."""
    outcome = await await_outcome(events(("message.finished", MESSAGE), ("run.finished", {})))
    answer = REPLY.completion(outcome)
    assert answer["usage"] == dict.fromkeys(COUNTED, 0)
    assert answer["choices"][0]["message"]["parley"]["model"] is None


async def test_a_takeover_keeps_what_stands() -> None:
    """What earlier attempts had finished is not said again, and what follows comes behind it."""
    frames = await chunks(
        ("token", {"text": "It is"}),
        ("token", {"text": " per"}),
        ("run.resumed", {"attempt": 2, "answer": "It is"}),
        ("token", {"text": " perhaps"}),
        ("token", {"text": " so."}),
        ("message.finished", MESSAGE | {"content": "It is perhaps so."}),
        *WHOLE[-2:],
    )
    said = [c["choices"][0]["delta"].get("content", "") for c in frames[:-1]]
    assert said == ["It is", " per", "haps", " so.", ""]


async def test_a_run_that_waits_is_an_answer() -> None:
    """What was said, then that a person is asked; the extra field says about what."""
    first, second, last, done = await chunks(*WAITS)
    assert first["choices"][0]["delta"]["content"] == "I will see."
    assert second["choices"][0]["delta"] == {"content": "\n\nI asked a person."}
    assert last["choices"][0]["finish_reason"] == "stop"
    waiting = {
        "status": "waiting",
        "thread_id": "thread",
        "run_id": "run",
        "approvals": [APPROVAL],
    }
    assert last["choices"][0]["delta"]["parley"] == waiting
    assert done == "[DONE]"
    message = REPLY.completion(await await_outcome(events(*WAITS)), QUESTION)["choices"][0]
    assert message["message"]["content"] == "I will see.\n\nI asked a person."
    assert message["message"]["parley"] == waiting
    assert message["finish_reason"] == "stop"


async def test_a_run_that_waits_without_a_word_has_a_role_too() -> None:
    """The first chunk names it, whatever it holds."""
    first, _, _ = await chunks(*WAITS[2:])
    assert first["choices"][0]["delta"] == {"role": "assistant", "content": "I asked a person."}


@pytest.mark.parametrize(("status", "seen"), [("waiting", 2), ("running", 5)])
async def test_only_a_question_that_is_open_ends_an_answer(status: Status, seen: int) -> None:
    """A log that is read later tells of questions that somebody has decided since."""
    now = datetime.now(UTC)

    async def look() -> runs.Run:
        return runs.Run(uuid4(), uuid4(), status, None, 1, now, None)

    given = events(
        ("token", {"text": "It is"}),
        ("run.waiting", {}),
        ("run.resumed", {"answer": "It is"}),
        *WHOLE[-3:],
    )
    kinds = [event.type async for event in until_waiting(given, look)]
    assert len(kinds) == seen
