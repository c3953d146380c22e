"""What the knowledge base of a tenant holds, in numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import TupleRow, class_row

from db.sql import load
from knowledge import ingestions, jobs
from knowledge.batches import State, state_of
from knowledge.jobs import Figures

SQL = load(__file__)

Conn = AsyncConnection[TupleRow]


@dataclass(frozen=True, slots=True)
class Kind:
    """The documents of one kind in one language."""

    media_type: str
    language: str  # "" when it is not known
    documents: int
    chunks: int
    tokens: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Keywords:
    """The keyword index. Counts are chunks, but for the segments."""

    segments: int
    packed: int
    dead: int  # gone, and still in a segment until the next merge
    fresh: int  # not in a segment yet


@dataclass(frozen=True, slots=True)
class Size:
    """What a table or an index takes on disk, over all tenants."""

    name: str
    kind: str  # table | index
    bytes: int


@dataclass(frozen=True, slots=True)
class Stats:
    """Everything there is to count."""

    documents: int
    chunks: int
    tokens: int
    bytes: int  # of the documents as they were read
    kinds: list[Kind]
    keywords: Keywords
    cached_answers: int
    ingestions: State
    queue: Figures  # over all tenants
    sizes: list[Size]  # over all tenants


async def stats(conn: Conn, *, tenant_id: str) -> Stats:
    """Return the numbers of a tenant's knowledge base."""
    kinds = await _all(conn, "documents", Kind, tenant_id)
    keywords = await _all(conn, "keywords", Keywords, tenant_id)
    cursor = await conn.execute(SQL["cached"], {"tenant_id": tenant_id})
    cached = await cursor.fetchone()
    return Stats(
        documents=sum(kind.documents for kind in kinds),
        chunks=sum(kind.chunks for kind in kinds),
        tokens=sum(kind.tokens for kind in kinds),
        bytes=sum(kind.bytes for kind in kinds),
        kinds=kinds,
        keywords=keywords[0],
        cached_answers=int(cached[0]) if cached else 0,
        ingestions=state_of(await ingestions.progress(conn, tenant_id=tenant_id)),
        queue=await jobs.figures(conn),
        sizes=await _all(conn, "sizes", Size, tenant_id),
    )


async def _all(conn: Conn, name: str, row: type[Any], tenant_id: str) -> list[Any]:
    async with conn.cursor(row_factory=class_row(row)) as cursor:
        await cursor.execute(SQL[name], {"tenant_id": tenant_id})
        return await cursor.fetchall()
