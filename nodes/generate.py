"""Asks the model and streams its answer through the gate."""

from __future__ import annotations

import time
from typing import Any

from langchain_core.messages import AIMessageChunk
from langgraph.runtime import Runtime

from core.errors import StreamCut
from core.turn import Intent, ModelRecord, PromptRecord, TurnState, Usage
from nodes.context import Context
from nodes.gate import AnswerGate

TALK = frozenset({Intent.SMALL_TALK, Intent.GOODBYE, Intent.FEEDBACK})


async def generate(state: TurnState, runtime: Runtime[Context]) -> TurnState:
    """Return the answer as it was released, and everything the turn log wants to know.

    Without passages a question is not put to the model at all: it could only guess.
    """
    context = runtime.context
    talk = Intent(state["intent"]) in TALK
    passages = state.get("passages", [])
    if not talk and not passages:
        return {"prompt": None, "raw_answer": "", "answer": "", "citations": [], "usage": None}
    prompt = render(state, context, talk=talk)
    gate = AnswerGate(passages, must_cite=not talk)
    began = time.perf_counter()
    first_token_ms: float | None = None
    last: AIMessageChunk | None = None
    raw: list[str] = []
    async for chunk in context.services.model.astream(
        [(message["role"], message["content"]) for message in prompt["messages"]],
        **parameters(state, context),
    ):
        assert isinstance(chunk, AIMessageChunk)
        if text := str(chunk.content):
            first_token_ms = first_token_ms or (time.perf_counter() - began) * 1000
            raw.append(text)
            await _release(context, gate, gate.feed(text))
        if chunk.response_metadata.get("finish_reason") or chunk.usage_metadata:
            last = chunk if last is None else last + chunk
    await _release(context, gate, gate.finish())
    if last is None:
        raise StreamCut
    return {
        "prompt": prompt,
        "raw_answer": "".join(raw),
        "answer": gate.released,
        "citations": gate.citations,
        "finish_reason": str(last.response_metadata.get("finish_reason", "stop")),
        "model": await _model(context),
        "usage": _usage(last),
        "first_token_ms": first_token_ms,
    }


def render(state: TurnState, context: Context, *, talk: bool) -> PromptRecord:
    """Return the prompt of this turn."""
    prompt = context.services.prompts["talk" if talk else "answer"]
    return prompt.render(
        state.get("history", []),
        instructions=state.get("instructions", ""),
        passages=state.get("passages", []),
        question=state["text"],
    )


def parameters(state: TurnState, context: Context) -> dict[str, Any]:
    """Return the sampling parameters: the caller's, within our limit of output tokens."""
    wanted = dict(state.get("parameters", {}))
    limit = context.limits.max_output_tokens
    wanted["max_tokens"] = min(int(wanted.get("max_tokens") or limit), limit)
    return wanted


async def _release(context: Context, gate: AnswerGate, stretches: list[str]) -> None:
    for stretch in stretches:
        verdict = await context.services.guard.check_output(stretch)
        citations = gate.release(verdict.text)
        context.emit("token", {"text": verdict.text})
        for citation in citations:
            context.emit("citation", dict(citation))


async def _model(context: Context) -> ModelRecord:
    return await context.services.model.info()


def _usage(chunk: AIMessageChunk) -> Usage | None:
    usage = chunk.usage_metadata
    if usage is None:
        return None
    return Usage(
        prompt_tokens=usage["input_tokens"],
        completion_tokens=usage["output_tokens"],
        total_tokens=usage["total_tokens"],
    )
