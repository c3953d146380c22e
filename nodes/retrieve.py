"""Finds the passages that may answer the question, and says in the turn log how it went."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from langgraph.runtime import Runtime

from core.turn import Passage, TurnState
from knowledge.assemble import assemble
from knowledge.filter import Filter
from nodes import explore, screening
from nodes.context import Context

DEPTH = 3  # times what the prompt shows: copies and neighbours take nobody's place


@dataclass(frozen=True, slots=True)
class Query:
    """One search of a turn, and what it found, best first."""

    text: str
    why: str  # asked | part | bridge | how `explore.expand` changed the words
    found: list[Passage]

    def record(self) -> dict[str, Any]:
        """Return what the turn log keeps; the passages in the prompt have their scores there."""
        return {
            "query": self.text,
            "why": self.why,
            "found": [[p["chunk_id"], round(p["score"], 4)] for p in self.found],
        }


async def retrieve(state: TurnState, runtime: Runtime[Context]) -> TurnState:
    """Return the best passages, in the order in which the prompt numbers them."""
    context = runtime.context
    limits = context.limits
    first = await first_round(state["query"], context)
    seen = explore.evidence(state["query"], _together(first))
    queries = [*first, *await second_round(state["query"], first, seen, context)]
    assembly = assemble(
        _together(queries),
        count=context.services.embedder.count_tokens,
        limit=limits.passages,
        budget_tokens=limits.context_tokens,
        strategy=limits.context,
        order=limits.context_order,
    )
    record = {
        "queries": [query.record() for query in queries],
        "evidence": seen.record(),
        "assembly": assembly.record(),
    }
    passages, findings = await screening.passages(assembly.passages, context)
    context.emit("sources", {"passages": [source(n, p) for n, p in enumerate(passages, 1)]})
    return {
        "passages": passages,
        "retrieval": {**state.get("retrieval", {}), **record},
        "findings": [*state.get("findings", []), *findings],
    }


async def first_round(query: str, context: Context) -> list[Query]:
    """Return what the question finds and, if it asks for several things, what each of them does."""
    texts = [query, *explore.split(query)]
    found = await asyncio.gather(*(find(text, context) for text in texts))
    return [
        Query(text, "part" if number else "asked", passages)
        for number, (text, passages) in enumerate(zip(texts, found, strict=True))
    ]


async def second_round(
    query: str, first: Sequence[Query], seen: explore.Evidence, context: Context
) -> list[Query]:
    """Return what the question finds in other words, when it found too little in its own."""
    found = _together(first)
    again, why = explore.bridge(query, found), "bridge"
    if not again and seen.weak:
        again, why = explore.expand(query, seen.words, found)
    if not again or again in {one.text for one in first}:
        return []
    return [Query(again, why, await find(again, context))]


async def find(query: str, context: Context) -> list[Passage]:
    """Search what this turn's user may read."""
    return await context.services.search(
        context.services.database,
        query,
        tenant_id=context.tenant_id,
        limit=DEPTH * context.limits.passages,
        filter=Filter(reader=context.reader),
    )


def source(marker: int, passage: Passage) -> dict[str, object]:
    """Return what a client may see of a passage before the answer cites it."""
    return {
        "marker": marker,
        "chunk_id": passage["chunk_id"],
        "document_id": passage["document_id"],
        "uri": passage["uri"],
        "title": passage["title"],
        "section": passage["section"],
        "page": passage["page"],
        "score": round(passage["score"], 4),
    }


def _together(queries: Sequence[Query]) -> list[Passage]:
    return explore.merged([query.found for query in queries])
