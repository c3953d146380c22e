"""A run's events in the words of OpenAI's chat completions."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import orjson

from api.dialects.outcome import Outcome
from api.errors import openai_body
from core.errors import ParleyError, StreamCut
from core.events import Event
from core.turn import ModelRecord
from graphs.admission import StartedRun

DONE = b"data: [DONE]\n\n"


@dataclass(frozen=True, slots=True)
class Question:
    """What a person is asked before a turn goes on."""

    text: str  # for the user
    approvals: list[dict[str, Any]]  # {approval_id, tool, arguments}, oldest first


@dataclass(frozen=True, slots=True)
class Reply:
    """What all parts of one answer share."""

    run: StartedRun
    record: ModelRecord
    created: int  # seconds since 1970

    def completion(self, outcome: Outcome, question: Question | None = None) -> dict[str, Any]:
        """Return the whole answer, or what was said until a person is asked."""
        if question is not None:
            content, reason = outcome.said + behind(outcome.said, question.text), "stop"
            extra = self.waiting(question)
        else:
            assert outcome.message is not None
            content, reason = outcome.message["content"], outcome.message["finish_reason"]
            extra = self.parley(outcome)
        message: dict[str, Any] = {
            "role": "assistant",
            "content": content,
            "refusal": None,
            "annotations": [],
            "parley": extra,
        }
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": reason}
        return {
            **self._head("chat.completion"),
            "choices": [choice],
            "usage": usage_of(outcome),
        }

    def chunk(self, delta: dict[str, Any], *, finish_reason: str | None = None) -> dict[str, Any]:
        """Return a piece of the answer."""
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return {**self._head("chat.completion.chunk"), "choices": [choice]}

    def usage_chunk(self, outcome: Outcome) -> dict[str, Any]:
        """Return the chunk that only counts."""
        return {
            **self._head("chat.completion.chunk"),
            "choices": [],
            "usage": usage_of(outcome),
        }

    def parley(self, outcome: Outcome) -> dict[str, Any]:
        """Return what OpenAI has no word for."""
        assert outcome.message is not None
        return {
            "status": "succeeded",
            "thread_id": self.run.thread_id,
            "run_id": self.run.run_id,
            "citations": outcome.message["citations"],
            "sources": outcome.sources,
            "abstained": outcome.message["abstained"],
            "cached": outcome.message.get("cached"),  # exact | semantic | None
            "level": outcome.message.get("level"),  # full … canned; None when no model was asked
            "model": (outcome.usage or {}).get("model"),  # None when no model was asked
        }

    def waiting(self, question: Question) -> dict[str, Any]:
        """Return the same of a turn that waits for a person."""
        return {
            "status": "waiting",
            "thread_id": self.run.thread_id,
            "run_id": self.run.run_id,
            "approvals": question.approvals,
        }

    def _head(self, kind: str) -> dict[str, Any]:
        return {
            "id": f"chatcmpl-{self.run.run_id}",
            "object": kind,
            "created": self.created,
            "model": self.record["name"],
            "system_fingerprint": self.record["version"],
            "service_tier": "default",
        }


async def stream(
    events: AsyncIterator[Event],
    reply: Reply,
    *,
    include_usage: bool,
    ask: Callable[[], Awaitable[Question]],
) -> AsyncGenerator[bytes, None]:
    """Yield the answer as chunks.

    ask: says what a run waits for whose events end with that.
    An error before the first chunk is raised; after it, it is the last chunk.
    """
    outcome, spoken = Outcome(), Spoken()
    begun = False
    try:
        async for event in events:
            outcome.add(event)
            if new := spoken.add(event):
                delta = {"content": new}
                if not begun:
                    delta = {"role": "assistant", "content": new}
                begun = True
                yield data(reply.chunk(delta))
        question = await ask() if outcome.waiting else None
        if question is None and (not outcome.finished or outcome.message is None):
            raise StreamCut
    except ParleyError as error:
        if not begun:
            raise
        yield data({"error": openai_body(error)})
        return
    if question is not None:
        said = {"content": behind(spoken.said, question.text)}
        yield data(reply.chunk(said if begun else {"role": "assistant", **said}))
        yield data(reply.chunk({"parley": reply.waiting(question)}, finish_reason="stop"))
    elif outcome.message is not None:
        reason = outcome.message["finish_reason"]
        yield data(reply.chunk({"parley": reply.parley(outcome)}, finish_reason=reason))
    if include_usage:
        yield data(reply.usage_chunk(outcome))
    yield DONE


class Spoken:
    """The text that a client has; it cannot be taken back when a run starts over."""

    def __init__(self) -> None:
        self.said = ""  # what the client has
        self._text = ""  # what this attempt has written

    def add(self, event: Event) -> str:
        """Return what `event` adds; raises StreamCut when it contradicts what was said."""
        match event.type:
            case "token":
                self._text += event.data["text"]
            case "run.resumed":
                # What stands is the answer of the attempts before; the rest is said anew.
                self._text = str(event.data.get("answer", ""))
            case "message.finished":
                # The final text may have lost blanks at its ends, which nobody minds.
                content = str(event.data["content"])
                self._text = content if content.startswith(self.said) else self._text
            case _:
                return ""
        if self._text.startswith(self.said):
            new = self._text[len(self.said) :]
            self.said = self._text
            return new
        if not self.said.startswith(self._text):
            raise StreamCut("The answer was begun anew in other words; please ask again.")
        return ""


def behind(said: str, more: str) -> str:
    """Return `more` as a paragraph of its own behind what was said."""
    return f"\n\n{more}" if said.strip() else more


def data(content: dict[str, Any]) -> bytes:
    """Return `content` as one event of OpenAI's streams, which have no names and no ids."""
    return b"data: " + orjson.dumps(content) + b"\n\n"


def usage_of(outcome: Outcome) -> dict[str, float]:
    """Return the tokens as counted, and what they cost; zeros when no model was asked."""
    usage = outcome.usage or {}
    tokens = ("prompt_tokens", "completion_tokens", "total_tokens")
    counted: dict[str, float] = {name: int(usage.get(name) or 0) for name in tokens}
    return counted | {"cost_usd": float(usage.get("cost_usd") or 0)}
