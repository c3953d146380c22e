"""What the knowledge base of a tenant holds, document by document."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from psycopg import AsyncConnection
from psycopg.rows import TupleRow, class_row

from db.sql import load

SQL = load(__file__)

Conn = AsyncConnection[TupleRow]


@dataclass(frozen=True, slots=True)
class Entry:
    """A stored document."""

    uri: str
    title: str
    media_type: str
    chunks: int
    tokens: int
    updated_at: datetime


async def entries(conn: Conn, *, tenant_id: str, prefix: str = "", limit: int) -> list[Entry]:
    """Return at most `limit` documents whose uri begins with `prefix`, by uri."""
    async with conn.cursor(row_factory=class_row(Entry)) as cursor:
        await cursor.execute(
            SQL["entries"], {"tenant_id": tenant_id, "prefix": prefix, "limit": limit}
        )
        return await cursor.fetchall()


async def size(conn: Conn, *, tenant_id: str) -> tuple[int, int]:
    """Return how many documents and chunks a tenant has."""
    cursor = await conn.execute(SQL["size"], {"tenant_id": tenant_id})
    row = await cursor.fetchone()
    assert row is not None
    return row[0], row[1]
