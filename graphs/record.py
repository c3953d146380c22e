"""What a turn leaves behind: its last events and its log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

from pydantic import TypeAdapter, ValidationError

from core.errors import CheckpointRefused
from core.events import EventType
from core.price import cost_of
from core.turn import Passage, TurnState
from db.turns import TurnLog


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an attempt ended."""

    status: Literal["succeeded", "failed", "cancelled", "waiting"]
    error: dict[str, str] | None = None
    approval_id: UUID | None = None  # what a waiting run waits for


_STATE = TypeAdapter(TurnState)


def restored(values: Mapping[str, Any]) -> TurnState:
    """Return the state that a checkpoint holds; raises CheckpointRefused when it is none.

    What has another shape would fail somewhere in the turn, and again where its end is written
    down: such a run could never be ended.
    """
    known = TurnState()
    known.update({key: values[key] for key in TurnState.__annotations__ if key in values})  # type: ignore[typeddict-item]
    try:
        _STATE.validate_python(known)
    except ValidationError as error:
        raise CheckpointRefused from error
    return known


def failed(code: str, message: str) -> Outcome:
    """Return the outcome of a run that failed."""
    return Outcome("failed", {"code": code, "message": message})


def farewell(
    state: TurnState, outcome: Outcome, run_id: UUID, message_id: UUID | None
) -> list[tuple[EventType, dict[str, Any]]]:
    """Return the events that end a run's log."""
    if outcome.status == "waiting":
        waits = {"run_id": str(run_id), "approval_id": str(outcome.approval_id)}
        return [("run.waiting", waits)]
    if outcome.status == "cancelled":
        return [("run.cancelled", {"run_id": str(run_id)})]
    if outcome.status == "failed":
        return [("run.failed", {"run_id": str(run_id), "error": outcome.error})]
    message = {
        "message_id": str(message_id),
        "role": "assistant",
        "content": state["answer"],
        "citations": state.get("citations", []),
        "abstained": state.get("abstained", False),
        "finish_reason": state.get("finish_reason", "stop"),
        "cached": cached(state),
        "level": state.get("level"),
    }
    last: list[tuple[EventType, dict[str, Any]]] = [("message.finished", message)]
    calls = state.get("model_calls", [])
    if usage := state.get("usage"):
        cost = {"cost_usd": cost_of(calls), "model": state.get("model")}
        last.append(("usage", {**usage, **cost}))
    last.append(("run.finished", {"run_id": str(run_id)}))
    return last


def turn_log(
    state: TurnState,
    outcome: Outcome,
    *,
    run_id: UUID,
    thread_id: UUID,
    stages: Mapping[str, float],
    total_ms: float,
) -> TurnLog:
    """Return the log of a turn, as far as it came."""
    prompt = state.get("prompt")
    return TurnLog(
        run_id=run_id,
        thread_id=thread_id,
        intent=state.get("intent"),
        query=state.get("query"),
        prompt_name=prompt["name"] if prompt else None,
        prompt_version=prompt["version"] if prompt else None,
        prompt_sha256=prompt["sha256"] if prompt else None,
        prompt=by_reference(prompt["messages"]) if prompt else [],
        passages=[scores(passage) for passage in state.get("passages", [])],
        raw_answer=state.get("raw_answer", ""),
        model=state.get("model"),
        usage=state.get("usage"),
        stages=dict(stages),
        first_token_ms=state.get("first_token_ms"),
        total_ms=total_ms,
        outcome=verdict(state, outcome),
        retrieval=found_by(state),
        support=state.get("support", []),
        actions=actions(state),
        model_calls=[dict(call) for call in state.get("model_calls", [])],
        budget=state.get("budget", {}),
        level=state.get("level"),
        findings=state.get("findings", []),
    )


def actions(state: TurnState) -> list[dict[str, Any]]:
    """Return each call of a tool, as the model wrote it, with what came of it so far."""
    results = state.get("results", {})
    return [
        {
            "step": number,
            "call_id": call["call_id"],
            "tool": call["tool"],
            "arguments": call["arguments"],
            "result": results.get(call["call_id"]),
        }
        for number, step in enumerate(state.get("steps", []), start=1)
        for call in step["calls"]
    ]


def verdict(state: TurnState, outcome: Outcome) -> str:
    """Return how a turn ended, in one word."""
    if outcome.status != "succeeded":
        return outcome.status
    if state.get("refusal"):
        return "refused"
    return "abstained" if state.get("abstained") else "answered"


def found_by(state: TurnState) -> dict[str, Any]:
    """Return how the passages were found, the look into the answer cache among it."""
    cache = state.get("cache")
    return {**({"cache": cache} if cache else {}), **state.get("retrieval", {})}


def cached(state: TurnState) -> str | None:
    """Return how the answer was found in the cache: exact | semantic; None when it is new."""
    result = state.get("cache", {}).get("result")
    return result if result in ("exact", "semantic") else None


def by_reference(sent: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the messages of a prompt with stored ones replaced by where they stand.

    So the log keeps no second copy of what people wrote, and costs the same at any depth:
    the window of a conversation is one entry, {"first_seq", "last_seq"}.
    """
    log: list[dict[str, Any]] = []
    for message in sent:
        seq = message.get("seq")
        if seq is None:
            log.append({"role": message["role"], "content": message["content"]})
        elif log and log[-1].get("last_seq") == seq - 1:
            log[-1]["last_seq"] = seq
        else:
            log.append({"first_seq": seq, "last_seq": seq})
    return log


def scores(passage: Passage) -> dict[str, Any]:
    """Return a passage without its text, which the logged prompt shows as it was sent."""
    return {key: value for key, value in passage.items() if key != "text"}
