"""Looks at the user's text before anything else does."""

from __future__ import annotations

from langgraph.runtime import Runtime

from core.turn import TurnState
from nodes.context import Context
from safety.findings import noted


async def screen(state: TurnState, runtime: Runtime[Context]) -> TurnState:
    """Return the normalised text, what the checks found, and a refusal when one blocks it."""
    context = runtime.context
    verdict = await context.services.guard.check_input(state["text"], context.about())
    return {
        "text": verdict.text,
        "findings": noted(verdict, state["text"], context.run_id),
        "refusal": verdict.refusal,
    }
