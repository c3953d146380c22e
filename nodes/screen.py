"""Looks at the user's text before anything else does."""

from __future__ import annotations

from dataclasses import asdict

from langgraph.runtime import Runtime

from core.turn import TurnState
from nodes.context import Context


async def screen(state: TurnState, runtime: Runtime[Context]) -> TurnState:
    """Return the normalised text, what the checks found, and a refusal when one blocks it."""
    context = runtime.context
    verdict = await context.services.guard.check_input(state["text"], context.about())
    return {
        "text": verdict.text,
        "findings": [asdict(finding) for finding in verdict.findings],
        "refusal": verdict.refusal,
    }
