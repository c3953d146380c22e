"""Refuses with a sentence that helps."""

from __future__ import annotations

from langgraph.runtime import Runtime

from core.turn import TurnState
from nodes.context import Context


async def refuse(state: TurnState, runtime: Runtime[Context]) -> TurnState:
    """Return the refusal that `screen` chose as the answer."""
    context = runtime.context
    answer = context.services.replies.say(state.get("refusal") or "blocked")
    context.emit("token", {"text": answer})
    return {"answer": answer, "finish_reason": "content_filter"}
