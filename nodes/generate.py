"""Asks the model and streams its answer through the gate."""

from __future__ import annotations

from typing import Any

from langchain_core.messages import AIMessageChunk
from langgraph.runtime import Runtime

from core.turn import Intent, PromptRecord, TurnState, Usage
from nodes import calling
from nodes.asking import Answer
from nodes.context import Context
from nodes.gate import AnswerGate
from nodes.release import Release
from nodes.support import SupportCheck
from safety import credentials
from tgi.stream import stream

BREAK = "\n\n"  # between what was said before a tool was called and after it
TALK = frozenset({Intent.SMALL_TALK, Intent.GOODBYE, Intent.FEEDBACK})


async def generate(state: TurnState, runtime: Runtime[Context]) -> TurnState:
    """Return the answer as it was released, and everything the turn log wants to know.

    The model may ask for tools instead; then the turn goes on with `propose`.
    Without passages a question is not put to the model at all: it could only guess.
    """
    context = runtime.context
    stopped = state.get("stopped", "")
    if state.get("steps") and not stopped:
        stopped = calling.exceeded(state, context.limits)
        state = TurnState(**{**state, "stopped": stopped})
    tools = calling.offered(state, context)
    acting = bool(state.get("acting"))
    talk = Intent(state["intent"]) in TALK
    passages = state.get("passages", [])
    if not talk and not passages and not acting:
        return {"prompt": None, "raw_answer": "", "answer": "", "citations": [], "usage": None}
    prompt = render(state, context, name="act" if acting else "talk" if talk else "answer")
    sampling = parameters(state, context)
    cites = not talk and not acting
    gate = AnswerGate(passages, must_cite=cites)
    release = Release(
        context,
        gate,
        SupportCheck(passages, context.services.embedder) if cites else None,
        rules=context.services.prompts[prompt["name"]].rules,
        lead=BREAK if state.get("answer", "").strip() else "",
    )
    listens = acting and not state.get("steps")
    answer = await Answer.read(
        stream(
            context.services.model,
            calling.conversation(prompt, state),
            **sampling,
            **offer(tools),
        ),
        gate,
        release,
        listens=listens,
    )
    update = TurnState(
        prompt=prompt,
        parameters=sampling,
        raw_answer=credentials.redact(answer.raw),
        answer=joined(state.get("answer", ""), gate.released),
        citations=gate.citations,
        support=release.log,
        findings=[*state.get("findings", []), *release.findings],
        model=await context.services.model.info(),
        usage=together(state.get("usage"), _usage(answer.last)),
        first_token_ms=state.get("first_token_ms") or answer.first_token_ms,
    )
    usage = update["usage"]
    update["spent_tokens"] = usage["total_tokens"] if usage else state.get("spent_tokens", 0)
    if stopped:
        update["stopped"] = stopped
    if answer.refusal is not None:
        reply = context.services.replies.say(answer.refusal)
        context.emit("token", {"text": reply})
        return {**update, "answer": update["answer"] + reply, "finish_reason": "content_filter"}
    if step := calling.step(credentials.redact(answer.raw), answer.asked):
        return {**update, "steps": [*state.get("steps", []), step]}
    if answer.knows_nothing and acting and not state.get("steps"):
        return {**update, "acting": False}  # no task for a tool after all: look it up
    reason = answer.last.response_metadata.get("finish_reason") if answer.last else None
    if stopped:
        why = context.services.replies.say("stopped", limit=stopped)
        said = joined(update["answer"], why)
        context.emit("token", {"text": said[len(update["answer"]) :]})
        update["answer"] = said
    return {**update, "finish_reason": str(reason or "stop")}


def offer(tools: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the parameters that offer tools to the model."""
    return {"tools": tools, "tool_choice": "auto"} if tools else {}


def joined(before: str, after: str) -> str:
    """Return two parts of an answer as two paragraphs."""
    return before + BREAK + after if before.strip() and after.strip() else before + after


def together(before: Usage | None, now: Usage | None) -> Usage | None:
    """Return the sum of the tokens of two answers."""
    if before is None or now is None:
        return now or before
    return Usage(
        prompt_tokens=before["prompt_tokens"] + now["prompt_tokens"],
        completion_tokens=before["completion_tokens"] + now["completion_tokens"],
        total_tokens=before["total_tokens"] + now["total_tokens"],
    )


def render(state: TurnState, context: Context, *, name: str) -> PromptRecord:
    """Return the prompt of this turn."""
    return context.services.prompts[name].render(
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
