"""Refuses with a sentence that helps."""

from __future__ import annotations

import asyncio

from langgraph.runtime import Runtime

from core.turn import TurnState
from knowledge.load import language
from nodes.context import Context

FALLBACK = "en"
GENERAL = "blocked"  # the refusal of a check that has none of its own


async def refuse(state: TurnState, runtime: Runtime[Context]) -> TurnState:
    """Return the refusal of the check that has blocked the message as the answer."""
    context = runtime.context
    answer = await refusal(state.get("refusal") or GENERAL, state["text"], context)
    context.emit("token", {"text": answer})
    return {"answer": answer, "finish_reason": "content_filter"}


async def refusal(check: str, asked: str, context: Context) -> str:
    """Return what to say when a check blocks, in the language of what was asked where there is one.

    asked: the user's text. A tenant whose policy says nothing gets the reply that always fits.
    """
    policy = context.services.guard.policies.of(context.tenant_id)
    spoken = await asyncio.to_thread(language.among, asked, policy.refusals.keys())
    for tongue in (spoken, FALLBACK):
        for name in (check, GENERAL):
            if tongue is not None and (found := policy.refusal(name, tongue)) is not None:
                return found.strip()
    return context.services.replies.say(GENERAL)
