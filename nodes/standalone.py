"""Makes a question of its own out of one that leans on the conversation before it.

A model does it when there is a good one; rules do it otherwise, and whenever the model fails or
says something else than what was asked. A question that leans on nothing stays as it is.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from core.errors import ModelError
from core.turn import HistoryMessage, ModelCall
from nodes import cues, masking, rewriting
from nodes.antecedents import Exchange
from nodes.context import Context
from nodes.phrases import content_words, phrases

log = logging.getLogger(__name__)

EXCHANGES = 4  # looked back upon
MODEL_SECONDS = 4.0
MOST_WORDS = 50
# A rewritten question nearer than this to what the user wrote, or to what the rules make of it,
# is still the same question.
DRIFT = 0.55


@dataclass(frozen=True, slots=True)
class Standalone:
    """What to search for, and how it came about."""

    query: str
    by: Literal["none", "rules", "model"]
    why: str  # which rule; for the model, what the rules would have done
    rejected: str = ""  # why what the model wrote was not taken
    call: ModelCall | None = None  # of the model that was asked

    def record(self) -> dict[str, Any]:
        """Return what the turn log keeps beside the query and the call."""
        return {k: v for k, v in asdict(self).items() if v and k not in ("query", "call")}


async def standalone(
    text: str, history: Sequence[HistoryMessage], context: Context, *, leaning: bool
) -> Standalone:
    """Return the question that `text` asks after `history`.

    leaning: the classifier takes it for a follow-up. Never raises for a model that fails.
    """
    talk = exchanges(history)
    query, why = await rewriting.rewrite(
        text, talk, context.services.embedder.passages, leaning=leaning
    )
    if why == "whole" or not talk:
        return Standalone(text, "none", why)
    ruled = Standalone(query, "rules", why)
    if not context.limits.rewrite_with_model:
        return ruled
    try:
        async with asyncio.timeout(MODEL_SECONDS):
            written, call = await ask(text, talk, context)
            fault = await drift(written, text, query, talk, context)
    except (ModelError, TimeoutError) as error:
        log.warning("a follow-up was rewritten by rules: %s", type(error).__name__)
        return Standalone(query, "rules", why, rejected=type(error).__name__)
    if fault:
        return Standalone(query, "rules", why, fault, call)
    return Standalone(written, "model", why, call=call)


def exchanges(history: Sequence[HistoryMessage]) -> list[Exchange]:
    """Return the last questions with their answers, oldest first, without marks of citation."""
    found: list[Exchange] = []
    for message in history:
        if message["role"] == "user":
            found.append(Exchange(message["content"], ""))
        elif found:
            found[-1] = Exchange(found[-1].question, message["content"])
    return [
        Exchange(question, re.sub(r"\s*\[\d{1,3}\]", "", answer))
        for question, answer in found[-EXCHANGES:]
    ]


async def ask(text: str, talk: Sequence[Exchange], context: Context) -> tuple[str, ModelCall]:
    """Return what a model makes of the question, and what that took; raises ModelError."""
    template = context.services.prompts["standalone"]
    limit = template.limits.max_output_tokens or context.limits.max_output_tokens
    masks = await masking.towards(None, context)
    told = [Exchange(masks.mask(one.question), masks.mask(one.answer)) for one in talk]
    prompt = template.render([], exchanges=told, question=masks.mask(text))
    message, call = await context.services.models.ask(
        await context.wish(template.task, tokens=limit),
        [(m["role"], m["content"]) for m in prompt["messages"]],
        max_tokens=limit,
        temperature=0.0,
    )
    said = str(message.content).strip().strip('"').strip()
    return masks.restored(said), call


async def drift(
    written: str, text: str, ruled: str, talk: Sequence[Exchange], context: Context
) -> str:
    """Return what is wrong with the model's question, in a word or two; "" when nothing is."""
    if not written or "\n" in written or len(written.split()) > MOST_WORDS:
        return "shape"
    said = " ".join([text, *(f"{e.question} {e.answer}" for e in talk)])
    known = set(content_words(said))
    for phrase in phrases(written):
        if phrase.kind in {"name", "number"} and not known & set(content_words(phrase.text)):
            return "names something new"
    kept = set(content_words(written))
    correction = cues.CORRECTION.match(text) is not None
    for phrase in phrases(text):
        wanted = set(content_words(phrase.text))
        if phrase.kind in {"name", "number"} and not correction and not wanted & kept:
            return "loses a name or number"
    embedder = context.services.embedder
    vectors = await embedder.passages([written, text, ruled])
    if max(float(vectors[0] @ vectors[1]), float(vectors[0] @ vectors[2])) < DRIFT:
        return "another question"
    return ""
