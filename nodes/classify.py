"""Decides what kind of turn this is, and what retrieval should look for."""

from __future__ import annotations

from collections.abc import Sequence

from langgraph.runtime import Runtime

from core.turn import HistoryMessage, Intent, TurnState
from nodes.context import Context

# Below this probability a message counts as a question for the documents:
# searching in vain costs less than chatting about a question that has an answer.
CONFIDENT = 0.6


async def classify(state: TurnState, runtime: Runtime[Context]) -> TurnState:
    """Return the intent, its confidence and the standalone query."""
    context = runtime.context
    vector = await context.services.embedder.query(state["text"])
    intent, confidence = context.services.intents.classify(vector)
    intent = settle(intent, confidence, has_history=bool(state["history"]))
    context.emit("intent", {"intent": intent.value, "confidence": round(confidence, 4)})
    return {
        "intent": intent.value,
        "intent_confidence": confidence,
        "query": standalone(state["text"], intent, state["history"]),
    }


def settle(intent: Intent, confidence: float, *, has_history: bool) -> Intent:
    """Return the intent to act on: an unsure one is a question, a vague one needs history."""
    if confidence < CONFIDENT:
        return Intent.KNOWLEDGE
    if intent is Intent.CLARIFY and has_history:
        return Intent.FOLLOW_UP
    if intent is Intent.FOLLOW_UP and not has_history:
        return Intent.CLARIFY
    return intent


def standalone(text: str, intent: Intent, history: Sequence[HistoryMessage]) -> str:
    """Return what to search for: a follow-up borrows the words of the question before it."""
    if intent is not Intent.FOLLOW_UP:
        return text
    questions = [message["content"] for message in history if message["role"] == "user"]
    return f"{questions[-1]} {text}" if questions else text
