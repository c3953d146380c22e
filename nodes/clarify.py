"""Asks one question back when it is not clear what the user wants."""

from __future__ import annotations

from langgraph.runtime import Runtime

from core.turn import Intent, TurnState
from nodes.context import Context


async def clarify(state: TurnState, runtime: Runtime[Context]) -> TurnState:
    """Return the clarifying question (or the way out, when a person is wanted) as the answer."""
    context = runtime.context
    name = "handoff" if state["intent"] == Intent.HANDOFF else "clarify"
    answer = context.services.replies.say(name)
    context.emit("token", {"text": answer})
    return {"answer": answer, "finish_reason": "stop"}
