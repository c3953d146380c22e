"""Gives an answer again when the same was asked and nothing has changed since.

Only for questions that anybody could have asked: no history, no instructions, nothing about the
person or the day. What may be reused is decided in the database, in one statement with the
versions and the readers of the documents; which question is the same, in nodes/alike.py.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any, Literal

from langgraph.runtime import Runtime
from pgvector import HalfVector

from core.errors import CacheFailed, OperatorError
from core.turn import Citation, Intent, Passage, TurnState
from db import answers
from nodes import screening
from nodes.alike import typed
from nodes.context import Context
from nodes.retrieve import source
from nodes.sampling import parameters

log = logging.getLogger(__name__)

FORMAT = 1  # of what is kept; raise it when old entries cannot be read any more
# A new chunk this much farther from the question than the last source may still become one,
# by its words. docs/decisions/0018 has the measurement.
MARGIN = 0.1
MAX_CHARACTERS = 500  # of a question; a longer one is nobody else's
SAMPLED = ("temperature", "top_p")  # who sets these wants it said anew
_SENTENCE = re.compile(r"\S.*?(?:[.!?…]['\"’”)\]]*(?:[ \t]*\[\d{1,3}\])*(?=\s)|\Z)\s*", re.DOTALL)
_MARKER = re.compile(r"\[(\d{1,3})\]")

Result = Literal["exact", "semantic", "miss", "skipped"]


async def reuse(state: TurnState, runtime: Runtime[Context]) -> TurnState:
    """Return an answer that was given before, as this turn's own; or only why there is none."""
    context = runtime.context
    if why := unfit(state, context):
        return {"cache": {"result": "skipped", "why": why}}
    try:
        asked = await question(state, context)
        async with context.services.database.transaction(context.tenant_id) as conn:
            mark = await answers.horizon(conn)
            found = await answers.find(conn, asked, similarity=context.limits.cache_similarity)
            chosen, refused = choose(state["text"], found, context)
            if chosen is not None:
                await answers.use(conn, tenant_id=context.tenant_id, answer_id=chosen.answer_id)
        update = await again(chosen, state, context) if chosen is not None else None
    except CacheFailed as error:
        log.warning("no answer was looked up: %s", error.code)
        return {"cache": {"result": "skipped", "why": error.code}}
    if chosen is None or update is None:
        context.services.metrics.cache_lookups.labels("miss").inc()
        return {"cache": {"result": "miss", "horizon": mark, "refused": refused}}
    result: Result = "exact" if chosen.exact else "semantic"
    context.services.metrics.cache_lookups.labels(result).inc()
    record = {
        "result": result,
        "answer_id": str(chosen.answer_id),
        "run_id": chosen.turn.get("run_id"),
        "cosine": round(chosen.cosine, 4),
        "age_seconds": round(chosen.age_seconds, 1),
    }
    return {**update, "cache": record}


async def known(state: TurnState, context: Context) -> TurnState | None:
    """Return what was answered before to the same question, where no model can be asked now.

    By whatever model and however long ago, as long as its documents have not changed.
    """
    if unfit(state, context):
        return None
    try:
        asked = await question(state, context)
        async with context.services.database.transaction(context.tenant_id) as conn:
            found = await answers.find(
                conn, asked, similarity=context.limits.cache_similarity, lasting=True
            )
        chosen, _ = choose(state["text"], found, context)
        update = await again(chosen, state, context) if chosen is not None else None
    except CacheFailed as error:
        log.warning("no answer was looked up: %s", error.code)
        return None
    if update is not None:
        del update["prompt"], update["usage"]  # of this turn, whose models were asked in vain
    return update


async def keep(state: TurnState, context: Context) -> None:
    """Keep the answer of a finished turn, if it may be given again.

    Whatever service is down: the user has the answer, and the turn does not fail for this.
    """
    mark = state.get("cache", {}).get("horizon")
    if mark is None or not worth_keeping(state):
        return
    passages = state["passages"]
    try:
        asked = await question(state, context)
        async with context.services.database.transaction(context.tenant_id) as conn:
            await answers.store(
                conn,
                asked,
                question=state["text"],
                turn=kept(state, context.run_id),
                documents=[passage["document_id"] for passage in passages],
                nearest=nearest(passages, context.limits.passages),
                horizon=mark,
                ttl_seconds=context.limits.cache_seconds,
                entries=context.limits.cache_entries,
            )
    except OperatorError as error:
        log.warning("an answer was not kept: %s", error.code)


def unfit(state: TurnState, context: Context) -> str | None:
    """Return why nothing may be reused for this question, in one word; None when it may."""
    text = state["text"]
    given = state.get("parameters", {})
    reasons = {
        "off": not context.limits.cache_entries,
        "intent": state["intent"] != Intent.KNOWLEDGE,
        "history": bool(state.get("history") or state.get("given_history")),
        "instructions": bool(state.get("instructions")),
        "findings": _touched(state),
        "rewritten": state["query"] != text,
        "long": len(text) > MAX_CHARACTERS,
        "sampling": any(name in given for name in SAMPLED) and given.get("temperature") != 0,
    }
    found = next((why for why, applies in reasons.items() if applies), None)
    return found or ("personal" if context.services.alike.personal(text) else None)


def _touched(state: TurnState) -> bool:
    """Return whether a check found anything in what was asked or answered.

    What stands in documents is theirs: a kept answer goes when they change.
    """
    own = ("input", "output")
    return any(one.get("direction", "input") in own for one in state.get("findings", []))


def worth_keeping(state: TurnState) -> bool:
    """Return whether an answer is whole, its own, and free of anything a check had to touch."""
    return (
        state.get("level", "full") == "full"
        and not state.get("abstained")
        and not state.get("refusal")
        and not _touched(state)
        and state.get("finish_reason") == "stop"
        and bool(state.get("citations"))
        and all(sentence.get("supported", True) for sentence in state.get("support", []))
    )


def choose(
    text: str, found: Sequence[answers.Found], context: Context
) -> tuple[answers.Found | None, list[dict[str, Any]]]:
    """Return the first entry that answers this very question, and why those before it do not."""
    refused: list[dict[str, Any]] = []
    for entry in found:
        difference = context.services.alike.difference(text, entry.question)
        if difference is None:
            return entry, refused
        refused.append({"cosine": round(entry.cosine, 4), "differs": difference})
    return None, refused


async def question(state: TurnState, context: Context) -> answers.Asked:
    """Return the question as the cache knows it."""
    vector = await context.services.embedder.query(state["text"])  # embedded by `classify`
    reader = context.reader
    return answers.Asked(
        tenant_id=context.tenant_id,
        policy=await policy(state, context),
        key=hashlib.sha256(typed(state["text"]).encode()).digest(),
        vector=HalfVector(vector),
        reader=reader.user_id,
        member_of=tuple(sorted(reader.groups)),
    )


async def policy(state: TurnState, context: Context) -> bytes:
    """Return a hash of everything that shapes an answer besides the question and the documents."""
    services, limits = context.services, asdict(context.limits)
    shapes = {
        "format": FORMAT,
        "prompt": services.prompts["answer"].sha256,
        "model": await services.models.wanted(await context.wish("answer")),
        "embedder": services.embedder.name,
        "parameters": parameters(state, context),
        "limits": {k: v for k, v in limits.items() if not k.startswith(("cache_", "history_"))},
    }
    return hashlib.sha256(json.dumps(shapes, sort_keys=True).encode()).digest()


def kept(state: TurnState, run_id: str) -> dict[str, Any]:
    """Return what the next turn takes over. Not the text of the passages: nobody would read it."""
    return {
        "run_id": run_id,
        "answer": state["answer"],
        "citations": state["citations"],
        "passages": [{**passage, "text": ""} for passage in state["passages"]],
        "support": state.get("support", []),
        "model": state.get("model"),
    }


def nearest(passages: Sequence[Passage], limit: int) -> float:
    """Return from which cosine on a chunk that nobody knew yet could have been a source.

    Any could where the sources are fewer than there is room for.
    """
    cosines = [passage["scores"].get("vector", -1.0) for passage in passages]
    return -1.0 if len(passages) < limit else max(-1.0, min(cosines) - MARGIN)


async def again(entry: answers.Found, state: TurnState, context: Context) -> TurnState | None:
    """Let a kept answer leave, as it streamed the first time; None when a check objects today.

    None too when the entry cannot be read. Raises CheckFailed when a check cannot run.
    """
    try:
        answer = str(entry.turn["answer"])
        passages: list[Passage] = entry.turn["passages"]
        citations: list[Citation] = entry.turn["citations"]
        update = TurnState(
            answer=answer,
            citations=citations,
            passages=passages,
            support=entry.turn["support"],
            model=entry.turn["model"],
            abstained=False,
            prompt=None,
            usage=None,
            finish_reason="stop",
        )
        sources = [source(number, passage) for number, passage in enumerate(passages, 1)]
    except (KeyError, TypeError):
        log.warning("answer %s of the cache cannot be read", entry.answer_id)
        return None
    rules = context.services.prompts["answer"].rules
    about = screening.leaving(rules, passages, state, context)
    verdict = await context.services.guard.check("output", answer, about)
    if verdict.refusal is not None or verdict.text != answer:
        return None
    context.emit("sources", {"passages": sources})
    for sentence, new in stretches(answer, citations):
        context.emit("token", {"text": sentence})
        for citation in new:
            context.emit("citation", dict(citation))
    return update


def stretches(answer: str, citations: Sequence[Citation]) -> Iterator[tuple[str, list[Citation]]]:
    """Yield an answer sentence by sentence, each with the citations that are new with it."""
    waiting = list(citations)
    for match in _SENTENCE.finditer(answer):
        markers = {int(marker) for marker in _MARKER.findall(match[0])}
        new = [citation for citation in waiting if citation["marker"] in markers]
        waiting = [citation for citation in waiting if citation["marker"] not in markers]
        yield match[0], new
