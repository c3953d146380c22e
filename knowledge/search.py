"""Finds the passages that may answer a question: by meaning and by words, fused.

Vectors find paraphrases, keywords find names and numbers; neither wins on every kind of
question. What they find is scaled to [0, 1] per question and added with a fixed weight
(docs/decisions/0004 has the measurements).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pgvector import HalfVector
from psycopg import AsyncConnection
from psycopg.rows import TupleRow, dict_row

from core.turn import Passage
from db.sql import load
from embeddings.base import Embedder
from knowledge import keywords

SQL = load(__file__)

VECTOR_WEIGHT = 0.5  # of the fused score; the rest is the keywords'. docs/decisions/0004
EXACT_CHUNKS = 5_000  # a tenant with no more is searched without the index: exact, in 3 ms
MAX_EF_SEARCH = 1000  # the limit of pgvector

Conn = AsyncConnection[TupleRow]


class Search:
    """Hybrid search over a tenant's chunks, with one fixed configuration."""

    def __init__(self, embedder: Embedder, *, candidates: int = 100) -> None:
        """candidates: what each retriever may contribute to the fusion, per question."""
        self._embedder = embedder
        self._candidates = candidates

    async def __call__(
        self, conn: Conn, query: str, *, tenant_id: str, limit: int
    ) -> list[Passage]:
        """Return the best `limit` passages, best first; fewer only when there are no more.

        conn: inside a transaction opened for `tenant_id`. Await `embedder.query(query)` before
        taking it: the vector is remembered, and no connection waits for the model.
        """
        vector = HalfVector(await self._embedder.query(query))
        near = await nearest(conn, vector, tenant_id=tenant_id, limit=self._candidates)
        hits = await keywords.search(conn, query, tenant_id=tenant_id, limit=self._candidates)
        matches = {hit.chunk_id: hit.score for hit in hits}
        best = fuse(near, matches, weight=VECTOR_WEIGHT)[:limit]
        async with conn.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(
                SQL["passages"],
                {
                    "tenant_id": tenant_id,
                    "vector": vector,
                    "chunk_ids": [chunk_id for chunk_id, _ in best],
                },
            )
            rows = {row["chunk_id"]: row for row in await cursor.fetchall()}
        # A chunk can be missing: its document went away between the statements.
        return [
            _passage(rows[chunk_id], score, matches.get(chunk_id))
            for chunk_id, score in best
            if chunk_id in rows
        ]


async def nearest(
    conn: Conn,
    vector: HalfVector,
    *,
    tenant_id: str,
    limit: int,
    exact_chunks: int = EXACT_CHUNKS,
) -> dict[int, float]:
    """Return the chunks nearest in meaning: chunk_id -> cosine, best first.

    exact_chunks: a tenant with more than these is searched by the HNSW index.
    """
    parameters = {"tenant_id": tenant_id, "vector": vector, "limit": limit}
    cursor = await conn.execute(SQL["few"], {"tenant_id": tenant_id, "most": exact_chunks})
    few = await cursor.fetchone()
    if few is not None and few[0]:
        cursor = await conn.execute(SQL["nearest_exact"], parameters)
    else:
        await conn.execute(SQL["tune"], {"ef_search": min(2 * limit, MAX_EF_SEARCH)})
        cursor = await conn.execute(SQL["nearest"], parameters)
    rows = await cursor.fetchall()
    return dict(sorted(rows, key=lambda row: (-row[1], row[0])))


def fuse(
    near: Mapping[int, float], matches: Mapping[int, float], *, weight: float
) -> list[tuple[int, float]]:
    """Return (chunk_id, score in [0, 1]) of all candidates, best first.

    Each retriever's scores are stretched so that its best is 1 and its last is 0;
    what it did not find counts 0. `weight` is the share of the first.
    """
    near, matches = _stretch(near), _stretch(matches)
    scores = {
        chunk_id: weight * near.get(chunk_id, 0) + (1 - weight) * matches.get(chunk_id, 0)
        for chunk_id in [*near, *(i for i in matches if i not in near)]
    }
    return sorted(scores.items(), key=lambda item: (-item[1], item[0]))


def _stretch(scores: Mapping[int, float]) -> dict[int, float]:
    if not scores:
        return {}
    low, high = min(scores.values()), max(scores.values())
    if high == low:
        return dict.fromkeys(scores, 1.0)
    return {chunk_id: (score - low) / (high - low) for chunk_id, score in scores.items()}


def _passage(row: Mapping[str, Any], score: float, match: float | None) -> Passage:
    scores = {"vector": max(-1.0, min(1.0, row["cosine"]))}
    if match is not None:
        scores["keyword"] = match
    return Passage(
        chunk_id=row["chunk_id"],
        document_id=row["document_id"],
        uri=row["uri"],
        title=row["title"],
        section=row["section"],
        page=row["page"],
        ordinal=row["ordinal"],
        text=row["text"],
        tokens=row["tokens"],
        score=score,
        scores=scores,
    )
