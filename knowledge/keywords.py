"""Finds chunks by their words: BM25, exact, from posting lists in Postgres.

Words are lexemes of Postgres' own English dictionary (stemmed, without stop words), for
documents and questions alike. A chunk's words are written with the chunk, in a row of their own
(`keyword_fresh`); `knowledge/segments.py` packs many of them into segments later. A question
reads both in one statement, so it sees one moment of the index, whatever goes on meanwhile.

Postgres' own ts_rank_cd is no substitute: nDCG@10 .711 against .922 on SQuAD, and slower.
docs/decisions/0011 has the reasons and the measurements; knowledge/bm25.py has the formula.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

import numpy as np
from psycopg import AsyncConnection
from psycopg.rows import TupleRow

from core.text import scrub
from db.sql import load
from knowledge.bm25 import FRESH, Best, Corpus, Ranking, Segment
from knowledge.filter import EVERYTHING, Few, Filter
from knowledge.postings import Ids, Runs, unpack, unpack_lengths, unpack_mask

SQL = load(__file__)

_FIRST_LOOK = 4  # times `limit`: how many of the best are shown to another filter at first

Conn = AsyncConnection[TupleRow]


class Hit(NamedTuple):
    """A chunk that shares words with the question; the score is positive and has no upper end."""

    chunk_id: int
    score: float


async def search(
    conn: Conn,
    query: str,
    *,
    tenant_id: str,
    limit: int,
    filter: Filter = EVERYTHING,
    few: Few | None = None,
) -> list[Hit]:
    """Return the chunks that match best, best first; none when nothing but stop words is asked.

    A chunk needs not contain every word. Equal scores keep the order of their ids.
    The filter takes chunks out, it does not change the scores of the others.
    few: a filter that leaves no more is worked out first; None: where that costs less.
    """
    words = await read(conn, query, tenant_id=tenant_id)
    return await words.best(conn, tenant_id=tenant_id, limit=limit, filter=filter, few=few)


async def read(conn: Conn, query: str, *, tenant_id: str) -> Words:
    """Return what a question touches of the index, for the moment in which it is read."""
    cursor = await conn.execute(
        SQL["read"], {"tenant_id": tenant_id, "query": scrub(query)}, binary=True
    )
    return Words(await cursor.fetchall())


class Words:
    """What a question touches of the index. Nothing is worked out before it is asked for."""

    def __init__(self, rows: list[TupleRow]) -> None:
        """rows: of the statement `read`; a segment's comes before its lists'."""
        self._rows = sorted(rows, key=lambda row: row[0])

    @property
    def chunks(self) -> int:
        """How many chunks the tenant has; those that were just deleted may still count."""
        return sum(
            chunks if kind == 0 else alive
            for kind, _, _, chunks, alive, *_ in self._rows
            if kind <= 1
        )

    async def best(
        self, conn: Conn, *, tenant_id: str, limit: int, filter: Filter, few: Few | None = None
    ) -> list[Hit]:
        """Return the chunks that match best, as `search` does; computes before it asks anything."""
        corpus = _corpus(self._rows)
        if corpus is None:
            return []
        ranking = Ranking(corpus)
        if filter == EVERYTHING:
            best = ranking.best(limit)
        else:
            parameters = {"tenant_id": tenant_id, **filter.parameters()}
            best = await _permitted(conn, ranking, parameters, limit=limit, few=few)
        return [Hit(*hit) for hit in zip(best.ids.tolist(), best.scores.tolist(), strict=True)]


async def index(
    conn: Conn, *, tenant_id: str, document_id: UUID, chunk_ids: Sequence[int] | None = None
) -> None:
    """Make chunks of a document findable by their words, titles and headings.

    chunk_ids: those that are not indexed, or were dropped before; None: all of the document.
    """
    await conn.execute(SQL["index"], _parameters(tenant_id, document_id, chunk_ids))


async def drop(
    conn: Conn, *, tenant_id: str, document_id: UUID, chunk_ids: Sequence[int] | None = None
) -> None:
    """Forget the words of chunks that stay; chunks that are deleted take theirs with them."""
    await conn.execute(SQL["drop"], _parameters(tenant_id, document_id, chunk_ids))


def _corpus(rows: list[TupleRow]) -> Corpus | None:
    """Return what was read, unpacked; None when no chunk has any of the words."""
    corpus = Corpus()
    hit = False
    buried = None
    for kind, segment_id, word, chunks, alive, words, dense, packed, lengths, dead in rows:
        if kind == 0:
            corpus.chunks, corpus.words, buried = chunks, words, packed
        elif kind == 1:
            corpus.segments[segment_id] = Segment(
                chunks,
                alive,
                words,
                Runs.unpack(packed, chunks),
                None if lengths is None else unpack_lengths(lengths, chunks),
                unpack_mask(dead, chunks),
            )
        elif kind == 2:
            postings = unpack(packed, chunks, dense=dense)
            corpus.segments[segment_id].lists.append((word, postings))
            hit = True
        else:
            corpus.fresh[word] = np.frombuffer(packed, FRESH)
            hit = True
    if not hit:
        return None
    if buried is not None:
        ids = np.frombuffer(buried, ">i8").astype(np.int64)
        for segment in corpus.segments.values():
            segment.bury(ids)
    return corpus


async def _permitted(
    conn: Conn, ranking: Ranking, parameters: dict[str, object], *, limit: int, few: Few | None
) -> Best:
    """Return the best chunks that the filter lets through.

    One that leaves few names them all; another is shown more and more of the ranking, until
    that is enough or promises to cost more than all that the filter leaves.
    """
    few = few or Few.of(ranking.chunks, limit)
    bounds = {"most": few.chunks, "documents": few.documents}
    left = await _ids(conn, "few_permitted", {**parameters, **bounds})
    looked = _FIRST_LOOK * limit
    while left is None:
        best = ranking.best(looked)
        cursor = await conn.execute(
            SQL["permitted"], {**parameters, "chunk_ids": best.ids.tolist()}, binary=True
        )
        let = np.array([chunk_id for (chunk_id,) in await cursor.fetchall()], np.int64)
        through = np.isin(best.ids, let)
        if len(let) >= limit or len(best.ids) < looked:
            return Best(best.ids[through][:limit], best.scores[through][:limit])
        share = len(let) / looked
        needed = round(1.5 * limit / share) if share else ranking.chunks
        if needed >= share * ranking.chunks:
            left = await _ids(conn, "all_permitted", parameters)
        looked = max(needed, 2 * looked)
    ranking.keep(np.sort(left))
    return ranking.best(limit)


async def _ids(conn: Conn, name: str, parameters: dict[str, object]) -> Ids | None:
    cursor = await conn.execute(SQL[name], parameters, binary=True)
    row = await cursor.fetchone()
    assert row is not None
    return None if row[0] is None else np.frombuffer(row[0], ">i8").astype(np.int64)


def _parameters(
    tenant_id: str, document_id: UUID, chunk_ids: Sequence[int] | None
) -> dict[str, object]:
    return {
        "tenant_id": tenant_id,
        "document_id": document_id,
        "chunk_ids": None if chunk_ids is None else list(chunk_ids),
    }
