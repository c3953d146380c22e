"""Decides what kind of turn this is, and what retrieval should look for."""

from __future__ import annotations

import re
from collections.abc import Sequence

from langgraph.runtime import Runtime

from core.turn import HistoryMessage, Intent, TurnState
from nodes.context import Context

# Below this probability a message counts as a question for the documents:
# searching in vain costs less than chatting about a question that has an answer.
CONFIDENT = 0.6
# Words that point or ask but name nothing.
FUNCTION_WORDS = frozenset(
    """a about after all also always an and any are as at be been before but by can could did do
    does done else example explain for from get give go had has have he her hers him his how i if
    in into is it its just know let like make me mean more most my no not now of off on one ones or
    other others our out over please say second she should show so some something tell than that
    the their them then there these they thing things this those to too under up us was we were
    what when where which who whom whose why will with would yes you your""".split()  # noqa: SIM905 - a list of words reads badly
)


async def classify(state: TurnState, runtime: Runtime[Context]) -> TurnState:
    """Return the intent, its confidence and the standalone query."""
    context = runtime.context
    vector = await context.services.embedder.query(state["text"])
    intent, confidence = context.services.intents.classify(vector)
    intent = settle(intent, confidence, state["text"], has_history=bool(state["history"]))
    context.emit("intent", {"intent": intent.value, "confidence": round(confidence, 4)})
    return {
        "intent": intent.value,
        "intent_confidence": confidence,
        "query": standalone(state["text"], intent, state["history"]),
    }


def settle(intent: Intent, confidence: float, text: str, *, has_history: bool) -> Intent:
    """Return the intent to act on.

    An unsure one is a question, a vague one with history follows up, and what seems to follow up
    without history is a question too, unless it names nothing that one could search for.
    """
    if confidence < CONFIDENT:
        return Intent.KNOWLEDGE
    if intent is Intent.CLARIFY and has_history:
        return Intent.FOLLOW_UP
    if intent is Intent.FOLLOW_UP and not has_history:
        return Intent.KNOWLEDGE if names_something(text) else Intent.CLARIFY
    return intent


def names_something(text: str) -> bool:
    """Return whether `text` has at least two words that mean something by themselves."""
    words = re.findall(r"\w+", text.casefold())
    return sum(word not in FUNCTION_WORDS and len(word) > 1 for word in words) > 1


def standalone(text: str, intent: Intent, history: Sequence[HistoryMessage]) -> str:
    """Return what to search for: a follow-up borrows the words of the question before it."""
    if intent is not Intent.FOLLOW_UP:
        return text
    questions = [message["content"] for message in history if message["role"] == "user"]
    return f"{questions[-1]} {text}" if questions else text
