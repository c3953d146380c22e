"""Finds the passages that may answer a question: by meaning and by words, then looked at closely.

Vectors find paraphrases, keywords find names and numbers; neither wins on every kind of
question. What they find is scaled to [0, 1] per question and added; the best are compared with
the question token by token. One configuration for all (docs/decisions/0004 and 0019 measure it).
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pgvector import HalfVector
from psycopg import AsyncConnection
from psycopg.rows import TupleRow, dict_row

from core.metrics import Metrics
from core.turn import Passage
from db.pool import Database
from db.sql import load
from embeddings.base import Embedder, Encoded
from knowledge import keywords
from knowledge.engines.base import VectorIndex
from knowledge.engines.postgres import PostgresIndex
from knowledge.filter import EVERYTHING, Filter
from knowledge.late import Late
from knowledge.rerank import CrossEncoder, reordered

SQL = load(__file__)

VECTOR_WEIGHT = 0.5  # of the fused score; the rest is the keywords'. docs/decisions/0004
RERANKED = 20  # the right one is among the first 20 for 99 of 100 questions

# Fitted on one half of three sets; docs/decisions/0019 has what the other half says.
FUSED_WEIGHT, LATE_WEIGHT = 5.0, 24.0

Conn = AsyncConnection[TupleRow]


class Search:
    """Hybrid search over a tenant's chunks, with one fixed configuration."""

    def __init__(
        self,
        embedder: Embedder,
        *,
        candidates: int = 100,
        index: VectorIndex | None = None,
        late: Late | None = None,
        cross: CrossEncoder | None = None,
        metrics: Metrics | None = None,
    ) -> None:
        """candidates: what each retriever may contribute to the fusion, per question.

        index: what finds vectors; None: Postgres. late: None reads the table in the repository.
        cross: a model on a server that looks at the best once more; asked without a transaction.
        """
        self._embedder = embedder
        self._candidates = candidates
        self._index = index or PostgresIndex()
        self._late = late or Late.load()
        self._cross = cross
        self._metrics = metrics or Metrics()

    async def __call__(
        self,
        database: Database,
        query: str,
        *,
        tenant_id: str,
        limit: int,
        filter: Filter = EVERYTHING,
    ) -> list[Passage]:
        """Return the best `limit` passages, best first, in a transaction of its own.

        No connection waits for a model. With a cross-encoder the best are put into its order;
        when that does not answer in time, they stay in ours.
        """
        with self._metrics.retrieval_seconds.labels("embed").time():
            await self._embedder.encoded_query(query)
        most = max(limit, RERANKED) if self._cross else limit
        async with database.transaction(tenant_id) as conn:
            found = await self.within(conn, query, tenant_id=tenant_id, limit=most, filter=filter)
        if self._cross is not None:
            with self._metrics.retrieval_seconds.labels("cross").time():
                found = await reordered(self._cross, query, found)
        return found[:limit]

    async def within(
        self,
        conn: Conn,
        query: str,
        *,
        tenant_id: str,
        limit: int,
        filter: Filter = EVERYTHING,
    ) -> list[Passage]:
        """Return the best `limit` passages before any cross-encoder; fewer if there are no more.

        conn: inside a transaction opened for `tenant_id`. Await `embedder.query(query)` before
        taking it: the vector is remembered, and no connection waits for the model.
        """
        question = await self._embedder.encoded_query(query)
        vector = HalfVector(question.vector)
        seconds = self._metrics.retrieval_seconds
        asked = filter
        if filter.reader is not None and not await _restricted(conn, tenant_id):
            filter = replace(filter, reader=None)  # it would take nothing out, and cost as much
        with seconds.labels("vector").time():
            near = await self._index.nearest(
                conn, vector, tenant_id=tenant_id, limit=self._candidates, filter=filter
            )
        with seconds.labels("keyword").time():
            hits = await keywords.search(
                conn, query, tenant_id=tenant_id, limit=self._candidates, filter=filter
            )
        matches = {hit.chunk_id: hit.score for hit in hits}
        best = fuse(near, matches, weight=VECTOR_WEIGHT)[: max(limit, RERANKED)]
        with seconds.labels("fetch").time():
            rows = await self._rows(conn, vector, best, tenant_id=tenant_id, filter=asked)
        began = time.perf_counter()
        found = await self._close_look(question, best, rows, matches)
        seconds.labels("rerank").observe(time.perf_counter() - began)
        return found[:limit]

    async def _rows(
        self,
        conn: Conn,
        vector: HalfVector,
        best: list[tuple[int, float]],
        *,
        tenant_id: str,
        filter: Filter,
    ) -> dict[int, dict[str, Any]]:
        """Return what is stored of chunks; one whose document went away meanwhile is missing."""
        async with conn.cursor(row_factory=dict_row, binary=True) as cursor:
            await cursor.execute(
                SQL["passages"],
                {
                    **filter.parameters(),
                    "tenant_id": tenant_id,
                    "vector": vector,
                    "chunk_ids": [chunk_id for chunk_id, _ in best],
                },
            )
            return {row["chunk_id"]: row for row in await cursor.fetchall()}

    async def _close_look(
        self,
        question: Encoded,
        best: list[tuple[int, float]],
        rows: Mapping[int, dict[str, Any]],
        matches: Mapping[int, float],
    ) -> list[Passage]:
        """Return the candidates, the first of them reordered by their tokens."""
        there = [(chunk_id, fused) for chunk_id, fused in best if chunk_id in rows]
        late = await self._late.scores(question, [rows[chunk_id]["late"] for chunk_id, _ in there])
        scored = blend([fused for _, fused in there], late)
        passages = [
            _passage(rows[chunk_id], score, fused, matches.get(chunk_id), closeness)
            for (chunk_id, fused), closeness, score in zip(there, late, scored, strict=True)
        ]
        return sorted(passages, key=lambda one: (-one["score"], one["chunk_id"]))


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


def blend(fused: list[float], late: list[float | None]) -> list[float]:
    """Return scores in [0, 1] of candidates: how they were found, and what a close look says.

    One whose tokens are not stored counts like the middle one of the others.
    """
    known = sorted(score for score in late if score is not None)
    if not known:
        return list(fused)
    middle = known[len(known) // 2]
    total = FUSED_WEIGHT + LATE_WEIGHT
    return [
        (FUSED_WEIGHT * first + LATE_WEIGHT * max(0.0, middle if closer is None else closer))
        / total
        for first, closer in zip(fused, late, strict=True)
    ]


async def _restricted(conn: Conn, tenant_id: str) -> bool:
    """Return whether any document of a tenant is kept from anybody.

    One that is from now on is looked at again where its text is read.
    """
    cursor = await conn.execute(SQL["restricted"], {"tenant_id": tenant_id})
    row = await cursor.fetchone()
    return bool(row and row[0])


def _stretch(scores: Mapping[int, float]) -> dict[int, float]:
    if not scores:
        return {}
    low, high = min(scores.values()), max(scores.values())
    if high == low:
        return dict.fromkeys(scores, 1.0)
    return {chunk_id: (score - low) / (high - low) for chunk_id, score in scores.items()}


def _passage(
    row: Mapping[str, Any], score: float, fused: float, match: float | None, late: float | None
) -> Passage:
    scores = {"vector": max(-1.0, min(1.0, row["cosine"]))}
    if match is not None:
        scores["keyword"] = match
    scores["fused"] = fused
    if late is not None:
        scores["late"] = late
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
        score=min(1.0, score),
        scores=scores,
        modified_at=row["modified_at"].isoformat(),
    )
