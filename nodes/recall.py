"""Brings back the part of the conversation that fits into the budget."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from uuid import UUID

from langgraph.runtime import Runtime

from core.turn import HistoryMessage, TurnState
from db import messages
from nodes.context import Context


async def recall(state: TurnState, runtime: Runtime[Context]) -> TurnState:
    """Return the newest messages within the token budget, oldest first.

    History that the caller sent along is taken instead of stored messages.
    """
    context = runtime.context
    earlier: Sequence[HistoryMessage] = state.get("given_history") or []
    if not earlier and state["user_seq"] > 1:
        earlier = await messages.window(
            context.services.database,
            context.tenant_id,
            UUID(context.thread_id),
            limit=context.limits.history_messages,
            before_seq=state["user_seq"],
        )
    count = context.services.embedder.count_tokens
    return {"history": fit(earlier, count, context.limits.history_tokens)}


def fit(
    earlier: Sequence[HistoryMessage], count: Callable[[str], int], budget: int
) -> list[HistoryMessage]:
    """Return the newest messages of `earlier` whose tokens sum to at most `budget`.

    The window begins with a user message: chat templates reject one that does not.
    """
    kept: list[HistoryMessage] = []
    for message in reversed(earlier):
        budget -= count(message["content"])
        if budget < 0:
            break
        kept.insert(0, message)
    while kept and kept[0]["role"] != "user":
        kept.pop(0)
    return kept
