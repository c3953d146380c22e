"""Finds the passages that may answer a question: by meaning and by words, then looked at closely.

Vectors find paraphrases, keywords find names and numbers; neither wins on every kind of
question. What they find is scaled to [0, 1] per question and added; the best are compared with
the question token by token. One configuration for all (docs/decisions/0004 and 0019 measure it).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from pgvector import HalfVector
from psycopg import AsyncConnection, AsyncCursor
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
Row = dict[str, Any]


class _Candidates(NamedTuple):
    """What both retrievers found, fused, best first; their texts are on the way."""

    best: list[tuple[int, float]]  # (chunk_id, score)
    matches: Mapping[int, float]  # what the words gave
    rows: AsyncCursor[Row]
    asked_at: float  # when these were asked for, by time.perf_counter


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
        self._candidates_each = candidates
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
            question = await self._embedder.encoded_query(query)
        most = max(limit, RERANKED) if self._cross else limit
        async with database.pipeline(tenant_id) as conn:
            candidates = await self._candidates(
                conn, query, question, tenant_id=tenant_id, limit=most, filter=filter
            )
        found = (await self._close_look(question, candidates))[:most]
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
        candidates = await self._candidates(
            conn, query, question, tenant_id=tenant_id, limit=limit, filter=filter
        )
        return (await self._close_look(question, candidates))[:limit]

    async def _candidates(
        self,
        conn: Conn,
        query: str,
        question: Encoded,
        *,
        tenant_id: str,
        limit: int,
        filter: Filter,
    ) -> _Candidates:
        """Return the best, to be fetched; in a pipeline that takes two round trips until here."""
        seconds = self._metrics.retrieval_seconds
        vector = HalfVector(question.vector)
        own = {"tenant_id": tenant_id}
        restricted = await conn.execute(SQL["restricted"], own) if filter.reader else None
        with seconds.labels("keyword").time():
            words = await keywords.read(conn, query, tenant_id=tenant_id)
        asked = filter
        if restricted is not None and await restricted.fetchone() == (False,):
            # The reader would take nothing out, and cost as much. A document that is restricted
            # from now on is looked at again where its text is read.
            asked = replace(filter, reader=None)

        async def search_vectors() -> dict[int, float]:
            with seconds.labels("vector").time():
                return await self._index.nearest(
                    conn,
                    vector,
                    tenant_id=tenant_id,
                    limit=self._candidates_each,
                    filter=asked,
                    chunks=words.chunks,
                )

        near_task = asyncio.create_task(search_vectors())
        try:
            # The question is sent now; the index is walked while the words are ranked here.
            await asyncio.sleep(0)
            hits = await words.best(
                conn, tenant_id=tenant_id, limit=self._candidates_each, filter=asked
            )
            near = await near_task
        except BaseException:
            near_task.cancel()
            await asyncio.gather(near_task, return_exceptions=True)
            raise
        matches = {hit.chunk_id: hit.score for hit in hits}
        best = fuse(near, matches, weight=VECTOR_WEIGHT)[: max(limit, RERANKED)]
        rows = conn.cursor(binary=True, row_factory=dict_row)
        chunk_ids = [chunk_id for chunk_id, _ in best]
        asked_at = time.perf_counter()
        await rows.execute(
            SQL["passages"], filter.parameters() | own | {"vector": vector, "chunk_ids": chunk_ids}
        )
        return _Candidates(best, matches, rows, asked_at)

    async def _close_look(self, question: Encoded, candidates: _Candidates) -> list[Passage]:
        """Return the candidates, best first, after comparing them token by token.

        One whose document went away meanwhile is missing.
        """
        seconds = self._metrics.retrieval_seconds
        rows = {row["chunk_id"]: row for row in await candidates.rows.fetchall()}
        began = time.perf_counter()
        seconds.labels("fetch").observe(began - candidates.asked_at)
        there = [(chunk_id, fused) for chunk_id, fused in candidates.best if chunk_id in rows]
        late = await self._late.scores(question, [rows[chunk_id]["late"] for chunk_id, _ in there])
        scored = blend([fused for _, fused in there], late)
        passages = [
            _passage(rows[chunk_id], score, fused, candidates.matches.get(chunk_id), closeness)
            for (chunk_id, fused), closeness, score in zip(there, late, scored, strict=True)
        ]
        passages.sort(key=lambda one: (-one["score"], one["chunk_id"]))
        seconds.labels("rerank").observe(time.perf_counter() - began)
        return passages


def fuse(
    near: Mapping[int, float], matches: Mapping[int, float], *, weight: float
) -> list[tuple[int, float]]:
    """Return (chunk_id, score in [0, 1]) of all candidates, best first.

    Each retriever's scores are stretched so that its best is 1 and its last is 0;
    what it did not find counts 0. `weight` is the share of the first.
    """
    near, matches = _stretch(near), _stretch(matches)
    worst_last = sorted(
        (-(weight * near.get(chunk_id, 0) + (1 - weight) * matches.get(chunk_id, 0)), chunk_id)
        for chunk_id in near.keys() | matches.keys()
    )
    return [(chunk_id, -score) for score, chunk_id in worst_last]


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


def _stretch(scores: Mapping[int, float]) -> dict[int, float]:
    if not scores:
        return {}
    low, high = min(scores.values()), max(scores.values())
    if high == low:
        return dict.fromkeys(scores, 1.0)
    return {chunk_id: (score - low) / (high - low) for chunk_id, score in scores.items()}


def _passage(
    row: Row, score: float, fused: float, match: float | None, late: float | None
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
