"""Who answers when a model does not: the next model, then the sources alone, then the cache.

full       the model that the policy wants
fallback   another model of the model file
degraded   the extractive model of this process, from the sources in the prompt; it calls no tools
cached     what was answered before to the same question
canned     a sentence that says that nobody can answer now

A step down is only taken while the user has seen nothing of the answer.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from langchain_core.messages import BaseMessage

from core.errors import ModelError, PromptTooLong
from core.turn import ModelCall, TurnState, Usage
from nodes.asking import Answer
from nodes.context import Context
from safety import credentials
from tgi.models import LOCAL, counted
from tgi.routing import Choice, Level, Wish
from tgi.stream import stream

log = logging.getLogger(__name__)

ANEW = "begun anew"


@dataclass(frozen=True, slots=True)
class Question:
    """A question as one model is asked it, and its answer as it comes."""

    messages: Sequence[BaseMessage | tuple[str, str]]
    parameters: Mapping[str, Any]
    answer: Answer
    tokens: int  # of the messages
    update: TurnState  # what the turn keeps when this model has the last word


Prepare = Callable[[Choice], Awaitable[Question]]


@dataclass(slots=True)
class Climb:
    """What became of one question to the models."""

    asked: Question | None = None  # None: nobody could say anything
    choice: Choice | None = None  # who was asked
    calls: list[ModelCall] = field(default_factory=list)

    @property
    def level(self) -> Level:
        """Where the answer came from, as far as models go."""
        return self.choice.level if self.choice is not None else "canned"


async def climb(
    wish: Wish,
    context: Context,
    prepare: Prepare,
    *,
    listens: bool,
    degrades: bool = True,
    earlier: Sequence[ModelCall] = (),
) -> Climb:
    """Ask one model after the other until one answers.

    prepare: makes the prompt that fits a model. degrades: whether the sources alone may answer.
    earlier: the calls of the turn before these.
    When a model does not know, a better one is asked once, if the policy says so. One that broke
    off before the user has seen anything is asked once more.
    Raises ModelError when an answer breaks off that the user has begun to read; what was said
    until then is kept for the turn log; PromptTooLong when the prompt fits none of them.
    """
    models = context.services.models
    last = _last(context) if degrades else []
    waiting = models.choices(wish) or last
    result, tried = Climb(), list[dict[str, str]]()
    escalated = False
    while waiting:
        choice = waiting.pop(0)
        try:
            asked = await prepare(choice)
        except PromptTooLong:
            if not waiting and result.asked is None and not tried:
                raise  # a shorter one would be answered
            continue
        answer = asked.answer
        try:
            with models.calling(wish.task, choice, tried) as call:
                chunks = stream(models.chat(choice.name), asked.messages, **asked.parameters)
                await answer.read(chunks, listens=listens)
                call.usage = counted(answer.last)
        except (ModelError, asyncio.CancelledError) as error:
            call.usage = _begun(asked, context)
            result.calls.append(models.record(call))
            if answer.release.began or not isinstance(error, ModelError):
                said = TurnState(
                    raw_answer=credentials.redact(answer.raw),
                    model_calls=[*earlier, *result.calls],
                )
                context.stages.note(said)
                raise
            log.warning("model %s failed: %s", choice.name, error.code)
            tried.append({"model": choice.name, "error": error.code})
            if answer.raw and ANEW not in choice.why and models.healthy(choice.name):
                # One of its servers died in the middle of the answer; another one may be well.
                waiting.insert(0, replace(choice, why=(*choice.why, ANEW)))
                continue
            if not waiting and result.asked is None and choice.level != "degraded":
                waiting += last
            continue
        result.calls.append(models.record(call))
        if result.asked is None or not answer.is_empty:
            result.asked, result.choice = asked, choice
        ignorant = answer.is_empty and not listens  # listening, "I don't know" is an answer
        better = models.better(waiting, choice, wish) if ignorant else None
        if better is None or escalated:
            break
        waiting, escalated = [better], True
    return result


def _begun(asked: Question, context: Context) -> Usage | None:
    """Return about what an answer took that broke off: servers count only at the end."""
    if not asked.answer.raw:
        return None
    told = context.services.embedder.count_tokens(asked.answer.raw)
    return Usage(
        prompt_tokens=asked.tokens,
        completion_tokens=told,
        total_tokens=asked.tokens + told,
    )


def _last(context: Context) -> list[Choice]:
    """Return the model of this process as the last one to ask, if there is one."""
    if context.services.models.last is None:
        return []
    return [Choice(LOCAL, "degraded", ("no other model answers",))]
