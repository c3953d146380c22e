"""How the model of a turn is to choose its words."""

from __future__ import annotations

from typing import Any

from core.turn import TurnState
from nodes.context import Context


def parameters(state: TurnState, context: Context) -> dict[str, Any]:
    """Return the sampling parameters: the caller's, within our limit of output tokens."""
    wanted = dict(state.get("parameters", {}))
    limit = context.limits.max_output_tokens
    wanted["max_tokens"] = min(int(wanted.get("max_tokens") or limit), limit)
    return wanted
