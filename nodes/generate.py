"""Asks the model and streams its answer through the gate."""

from __future__ import annotations

from langgraph.runtime import Runtime

from core.price import usage_of
from core.turn import TALK, Intent, TurnState
from nodes import calling, ladder, reuse, screening
from nodes.context import Context
from nodes.prompting import BREAK, Asking
from nodes.refuse import refusal
from safety import credentials
from tgi.routing import LEVELS


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
    earlier = state.get("model_calls", [])
    asking = Asking(
        state,
        context,
        context.services.prompts["act" if acting else "talk" if talk else "answer"],
        tools,
        cites=not talk and not acting,
    )
    climb = await ladder.climb(
        await context.wish("answer", tokens=await asking.tokens()),
        context,
        asking.prepare,
        listens=acting and not state.get("steps"),
        degrades=not acting or bool(state.get("results")),  # it could only talk about a task
        earlier=earlier,
    )
    level = lower(state.get("level", "full"), climb.level)
    calls = [*earlier, *climb.calls]
    usage = usage_of(calls)
    update = TurnState(
        usage=usage,
        spent_tokens=usage["total_tokens"] if usage else 0,
        model_calls=calls,
        level=level,
    )
    if stopped:
        update["stopped"] = stopped
    if climb.asked is None:
        return {**update, **await without(state, context)}
    answer = climb.asked.answer
    update = {**update, **climb.asked.update}
    if climb.level == "degraded" and answer.is_empty and asking.cites:
        return {**update, **await without(state, context)}
    update |= TurnState(
        # What was blocked is not kept anywhere.
        raw_answer="" if answer.refusal else credentials.redact(answer.raw),
        answer=joined(state.get("answer", ""), answer.gate.released),
        citations=answer.gate.citations,
        support=answer.release.log,
        findings=[*state.get("findings", []), *screening.found(answer.safe, answer.raw, context)],
        model=await context.services.models.info(climb.choice.name if climb.choice else None),
        first_token_ms=state.get("first_token_ms") or answer.first_token_ms,
    )
    if answer.refusal is not None:
        reply = await refusal(answer.refusal, state["text"], context)
        context.emit("token", {"text": reply})
        return {**update, "answer": update["answer"] + reply, "finish_reason": "content_filter"}
    if step := calling.step(credentials.redact(answer.raw), answer.asked, answer.masks):
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


async def without(state: TurnState, context: Context) -> TurnState:
    """Return an answer where no model has one: what was answered before, or that nobody can."""
    if (known := await reuse.known(state, context)) is not None:
        return TurnState(**{**known, "level": "cached"})
    if state.get("results"):
        return {"answer": state.get("answer", ""), "level": "canned"}  # `verify` tells them
    reply = context.services.replies.say("unavailable", task=bool(state.get("acting")))
    said = joined(state.get("answer", ""), reply)
    context.emit("token", {"text": said[len(state.get("answer", "")) :]})
    return {"answer": said, "citations": [], "finish_reason": "stop", "level": "canned"}


def lower(one: str, other: str) -> str:
    """Return the lower of two levels."""
    return max(one, other, key=LEVELS.index)


def joined(before: str, after: str) -> str:
    """Return two parts of an answer as two paragraphs."""
    return before + BREAK + after if before.strip() and after.strip() else before + after
