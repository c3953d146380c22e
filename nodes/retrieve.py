"""Finds the passages that may answer the question."""

from __future__ import annotations

from langgraph.runtime import Runtime

from core.turn import Passage, TurnState
from nodes.context import Context


async def retrieve(state: TurnState, runtime: Runtime[Context]) -> TurnState:
    """Return the best passages, in the order in which the prompt numbers them."""
    context = runtime.context
    services = context.services
    await services.embedder.query(state["query"])  # embed before a connection is taken
    async with services.database.transaction(context.tenant_id) as conn:
        passages = await services.search(
            conn, state["query"], tenant_id=context.tenant_id, limit=context.limits.passages
        )
    context.emit("sources", {"passages": [source(n, p) for n, p in enumerate(passages, 1)]})
    return {"passages": passages}


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
