"""Keeps what is needed later: the conversation's title, and an answer that may be given again."""

from __future__ import annotations

import re

from langgraph.runtime import Runtime

from core.turn import TurnState
from nodes.context import Context
from nodes.reuse import keep

TITLE_CHARACTERS = 60


async def remember(state: TurnState, runtime: Runtime[Context]) -> TurnState:
    """Return a title for the thread, from its first question; keep its answer."""
    await keep(state, runtime.context)
    if level := state.get("level"):
        runtime.context.services.metrics.answers.labels(level).inc()
    if state["user_seq"] > 1:
        return {}
    return {"title": title(state["text"])}


def title(text: str) -> str:
    """Return the first sentence of `text`, cut at a word, at most 60 characters."""
    line = " ".join(text.split())
    sentence = re.split(r"(?<=[.!?])\s", line, maxsplit=1)[0]
    if len(sentence) <= TITLE_CHARACTERS:
        return sentence
    return sentence[: TITLE_CHARACTERS - 1].rsplit(" ", 1)[0].rstrip(",;:") + "…"
