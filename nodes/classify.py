"""Decides what kind of turn this is, and what retrieval should look for."""

from __future__ import annotations

from langgraph.runtime import Runtime

from core.turn import Intent, TurnState
from nodes import tie
from nodes.calling import described
from nodes.context import Context
from nodes.cues import corrects
from nodes.intents import Guess
from nodes.phrases import names_something
from nodes.standalone import standalone

# A message less like the examples than this counts as a question for the documents:
# searching in vain costs less than chatting about a question that has an answer.
FAMILIAR = 0.15
# What may lean on the conversation before it.
LEANING = frozenset({Intent.KNOWLEDGE, Intent.FOLLOW_UP, Intent.ACTION})


async def classify(state: TurnState, runtime: Runtime[Context]) -> TurnState:
    """Return the intent, its confidence and the standalone query."""
    context = runtime.context
    services, text, history = context.services, state["text"], state.get("history", [])
    vector = await services.embedder.query(text)  # the cache and the search ask for it again
    guess = await services.intents.classify(text, vector, tenant_id=context.tenant_id)
    guess, call = await tie.broken(text, guess, context)
    intent = settle(guess, text, has_history=bool(history))
    context.emit("intent", {"intent": intent.value, "confidence": round(guess.probability, 4)})
    update = TurnState(intent=intent.value, intent_confidence=guess.probability, query=text)
    calls = [call] if call is not None else []
    if calls:
        update["model_calls"] = calls
    if intent is Intent.ACTION and context.held is not None and described(context):
        update["acting"] = True
    if not history or intent not in LEANING:
        return update
    found = await standalone(text, history, context, leaning=intent is Intent.FOLLOW_UP)
    if found.call is not None:
        update["model_calls"] = [*calls, found.call]
    return {**update, "query": found.query, "retrieval": {"rewriting": found.record()}}


def settle(guess: Guess, text: str, *, has_history: bool) -> Intent:
    """Return the intent to act on.

    What resembles no example is a question, a vague message with history follows up, and what
    seems to follow up without history is a question too, unless it names nothing to search for.
    """
    intent = guess.intent
    if has_history and corrects(text):
        return Intent.FOLLOW_UP
    if guess.scope < FAMILIAR or intent is Intent.OUT_OF_SCOPE:
        return Intent.KNOWLEDGE
    if intent is Intent.CLARIFY and has_history:
        return Intent.FOLLOW_UP
    if intent is Intent.FOLLOW_UP and not has_history:
        return Intent.KNOWLEDGE if names_something(text) else Intent.CLARIFY
    return intent
