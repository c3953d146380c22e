"""Lets a small model decide between two intents that the classifier holds for about as likely."""

from __future__ import annotations

import logging

from core.errors import ModelError
from core.turn import Intent, ModelCall
from nodes import masking
from nodes.context import Context
from nodes.intents import Guess

log = logging.getLogger(__name__)

CLOSE = 0.15  # of two probabilities; farther apart the classifier is right more often than not
SECONDS = 1.0  # nobody should wait longer for so little
MAX_CHARACTERS = 1000  # of a message; who writes more means what most of it says
MEANINGS = {
    Intent.SMALL_TALK: "a greeting, thanks, or a question about how the assistant is",
    Intent.KNOWLEDGE: "a question whose answer stands in documents",
    Intent.ACTION: "something to be done, such as changing, sending or cancelling",
    Intent.FOLLOW_UP: "something that can only be understood after what was said before",
    Intent.CLARIFY: "too unclear to be answered",
    Intent.FEEDBACK: "praise or criticism of an answer",
    Intent.GOODBYE: "the end of the conversation",
    Intent.HANDOFF: "the wish to talk to a person",
    Intent.OUT_OF_SCOPE: "something that this assistant is not for",
}


async def broken(text: str, guess: Guess, context: Context) -> tuple[Guess, ModelCall | None]:
    """Return the guess, with its two intents exchanged if a model says so, and the call.

    Only where the model file has a rule for `classify` and a model that can be held to two words;
    a model that fails leaves the guess as it is.
    """
    second = guess.second
    tied = second is not None and guess.probability - guess.second_probability < CLOSE
    if not tied or second is None or len(text) > MAX_CHARACTERS:
        return guess, None
    models = context.services.models
    chosen = models.small(await context.wish("classify"), seconds=SECONDS)
    if chosen is None:
        return guess, None
    choice, native = chosen
    meanings = {intent.value: MEANINGS[intent] for intent in (guess.intent, second)}
    masks = await masking.towards(choice.name, context)
    told = masks.mask(text)
    prompt = context.services.prompts["tie"].render([], text=told, meanings=meanings)
    asked = "\n\n".join(message["content"] for message in prompt["messages"])
    try:
        with models.calling("classify", choice) as call:
            said = await native.choose(asked, list(meanings))
    except ModelError as error:
        log.warning("a tie of intents was not broken: %s", error.code)
        return guess, models.record(call)
    if said == second:
        guess = guess._replace(
            intent=second,
            probability=guess.second_probability,
            second=guess.intent,
            second_probability=guess.probability,
        )
    return guess, models.record(call)
