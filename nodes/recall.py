"""Brings back the part of the conversation that fits into the budget."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from uuid import UUID

from langgraph.runtime import Runtime

from core.turn import HistoryMessage, Taint, TurnState
from db import messages
from nodes.calling import distinct
from nodes.context import Context


async def recall(state: TurnState, runtime: Runtime[Context]) -> TurnState:
    """Return the newest messages within the token budget, oldest first.

    History that the caller sent along is taken instead of stored messages.
    """
    context = runtime.context
    earlier: Sequence[HistoryMessage] = state.get("given_history") or []
    window: Sequence[messages.Said] = []
    if not earlier and state["user_seq"] > 1:
        window = await messages.window(
            context.services.database,
            context.tenant_id,
            UUID(context.thread_id),
            limit=context.limits.history_messages,
            before_seq=state["user_seq"],
        )
        earlier = [
            HistoryMessage(role=m.role, content=m.content, seq=m.seq) for m in in_turns(window)
        ]
    count = context.services.embedder.count_tokens
    history = fit(earlier, count, context.limits.history_tokens)
    return {"history": history, **inherited(window, history, context)}


def in_turns(window: Sequence[messages.Said]) -> list[messages.Said]:
    """Return the messages with each answer behind its question.

    They were stored as they came: a question that waited stands before the answer it waited for.
    """
    asked = {m.run_id: m.seq for m in reversed(window)}
    return sorted(window, key=lambda m: (asked[m.run_id], m.seq))


def inherited(
    window: Sequence[messages.Said], history: Sequence[HistoryMessage], context: Context
) -> TurnState:
    """Return the taint that the messages in the prompt bring along.

    An answer passes on what its turn had read: what tools brought back, and the documents that it
    cites unless they are trusted.
    """
    shown = {message["seq"] for message in history}
    taint: list[Taint] = []
    private = False
    for message in window:
        if message.seq not in shown:
            continue
        known = message.taint or {}
        taint += known.get("sources", [])
        private = private or bool(known.get("private")) or bool(message.citations)
        taint += [
            Taint(kind="document", source=citation["uri"])
            for citation in message.citations
            if not context.services.policy.trusts(citation["uri"])
        ]
    update = TurnState()
    if taint:
        update["taint"] = distinct(taint)
    if private:
        update["private"] = True
    return update


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
