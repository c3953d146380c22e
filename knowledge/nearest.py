"""Finds the chunks nearest in meaning in Postgres: exactly where that is quick, else by HNSW."""

from __future__ import annotations

from pgvector import HalfVector
from psycopg import AsyncConnection
from psycopg.rows import TupleRow

from db.sql import load
from knowledge.filter import EVERYTHING, Few, Filter

SQL = load(__file__)

EF_SEARCH = 1.2  # times what is wanted; 2 finds .6 % more of the last ones and takes half more
MAX_EF_SEARCH = 1000  # the limit of pgvector

Conn = AsyncConnection[TupleRow]


async def nearest(
    conn: Conn,
    vector: HalfVector,
    *,
    tenant_id: str,
    limit: int,
    filter: Filter = EVERYTHING,
    chunks: int | None = None,
    few: Few | None = None,
) -> dict[int, float]:
    """Return chunk_id -> cosine of the chunks nearest in meaning, best first.

    conn: inside a transaction opened for `tenant_id`.
    chunks: about how many the tenant has, where the caller knows; else they are counted.
    few: where the filter leaves more, the HNSW index is searched; None: what costs less.
    """
    few = few or Few.of(chunks or 0, limit)
    parameters = filter.parameters() | {
        "tenant_id": tenant_id,
        "vector": vector,
        "limit": limit,
        "most": few.chunks,
        "documents": few.documents,
        "everything": filter == EVERYTHING,
        "ef_search": min(round(EF_SEARCH * limit), MAX_EF_SEARCH),
    }
    if chunks is not None and filter == EVERYTHING:
        exact = chunks <= few.chunks
    else:
        cursor = await conn.execute(SQL["small"], parameters)
        seen = await cursor.fetchone()
        exact = bool(seen and seen[0])
    if exact:
        statement = "exact"
    else:
        await conn.execute(SQL["tune"], parameters)
        statement = "all_by_index" if filter == EVERYTHING else "some_by_index"
    cursor = await conn.execute(SQL[statement], parameters, binary=True)
    rows = await cursor.fetchall()
    return dict(sorted(rows, key=lambda row: (-row[1], row[0])))
