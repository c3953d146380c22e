"""What the knowledge base of a tenant holds, document by document."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import TupleRow, class_row

from db.sql import load
from knowledge.filter import EVERYTHING, Filter

SQL = load(__file__)

Conn = AsyncConnection[TupleRow]


@dataclass(frozen=True, slots=True)
class Entry:
    """A stored document, for a list."""

    uri: str
    title: str
    media_type: str
    chunks: int
    tokens: int
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Stored:
    """A stored document, with who may read it."""

    document_id: UUID
    uri: str
    title: str
    media_type: str
    language: str | None
    author: str | None
    chunks: int
    tokens: int
    bytes: int
    owners: list[str]
    groups: list[str]
    labels: list[str]
    modified_at: datetime | None  # as the file says
    created_at: datetime
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


async def page(
    conn: Conn, *, tenant_id: str, filter: Filter = EVERYTHING, after: str = "", limit: int
) -> list[Stored]:
    """Return at most `limit` documents that pass the filter, by uri, beginning after a uri."""
    async with conn.cursor(row_factory=class_row(Stored)) as cursor:
        await cursor.execute(
            SQL["page"],
            {"tenant_id": tenant_id, "after": after, "limit": limit, **filter.parameters()},
        )
        return await cursor.fetchall()


async def get(
    conn: Conn, document_id: UUID, *, tenant_id: str, filter: Filter = EVERYTHING
) -> Stored | None:
    """Return a document; None when there is none that the filter's reader may read."""
    async with conn.cursor(row_factory=class_row(Stored)) as cursor:
        await cursor.execute(
            SQL["get"],
            {"tenant_id": tenant_id, "document_id": document_id, **filter.parameters()},
        )
        return await cursor.fetchone()


async def find(conn: Conn, uri: str, *, tenant_id: str, filter: Filter = EVERYTHING) -> UUID | None:
    """Return the id of the document of a uri; None when the filter's reader may not read it."""
    cursor = await conn.execute(
        SQL["find"], {"tenant_id": tenant_id, "uri": uri, **filter.parameters()}
    )
    row = await cursor.fetchone()
    return None if row is None else row[0]
