"""Asks the model and streams its answer through the gate."""

from __future__ import annotations

import time
from contextlib import aclosing
from typing import Any

from langchain_core.messages import AIMessageChunk
from langgraph.runtime import Runtime

from core.errors import StreamCut
from core.turn import Intent, PromptRecord, TurnState, Usage
from nodes.context import Context
from nodes.gate import AnswerGate
from nodes.release import Release
from nodes.support import SupportCheck
from safety import credentials
from tgi.stream import stream

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
    sampling = parameters(state, context)
    gate = AnswerGate(passages, must_cite=not talk)
    release = Release(
        context,
        gate,
        None if talk else SupportCheck(passages, context.services.embedder),
        rules=context.services.prompts[prompt["name"]].rules,
    )
    began = time.perf_counter()
    first_token_ms: float | None = None
    last: AIMessageChunk | None = None
    raw: list[str] = []
    refusal: str | None = None
    answer = stream(
        context.services.model,
        [(message["role"], message["content"]) for message in prompt["messages"]],
        **sampling,
    )
    async with aclosing(answer):
        async for chunk in answer:
            if text := str(chunk.content):
                first_token_ms = first_token_ms or (time.perf_counter() - began) * 1000
                raw.append(text)
                if refusal := await release.let(gate.feed(text)):
                    break
            if chunk.response_metadata.get("finish_reason") or chunk.usage_metadata:
                last = chunk if last is None else last + chunk
    refusal = refusal or await release.let(gate.finish())
    if last is None and refusal is None:
        raise StreamCut
    update = TurnState(
        prompt=prompt,
        parameters=sampling,
        raw_answer=credentials.redact("".join(raw)),
        answer=gate.released,
        citations=gate.citations,
        support=release.log,
        findings=[*state.get("findings", []), *release.findings],
        model=await context.services.model.info(),
        usage=_usage(last),
        first_token_ms=first_token_ms,
    )
    if refusal is not None:
        reply = context.services.replies.say(refusal)
        context.emit("token", {"text": reply})
        return {**update, "answer": gate.released + reply, "finish_reason": "content_filter"}
    reason = last.response_metadata.get("finish_reason") if last else None
    return {**update, "finish_reason": str(reason or "stop")}


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


def _usage(chunk: AIMessageChunk | None) -> Usage | None:
    usage = chunk.usage_metadata if chunk else None
    if usage is None:
        return None
    return Usage(
        prompt_tokens=usage["input_tokens"],
        completion_tokens=usage["output_tokens"],
        total_tokens=usage["total_tokens"],
    )
