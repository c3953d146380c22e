"""Threads: conversations of a user."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import TupleRow, class_row
from psycopg.types.json import Jsonb
from uuid_utils.compat import uuid7

from core.errors import ThreadNotFound
from db.sql import Statement, load

SQL = load(__file__)


@dataclass(frozen=True, slots=True)
class Thread:
    """A conversation."""

    thread_id: UUID
    user_id: str
    title: str  # "" until somebody gives it one
    metadata: dict[str, Any]
    messages: int
    created_at: datetime
    updated_at: datetime


async def create(
    conn: AsyncConnection[TupleRow],
    *,
    tenant_id: str,
    user_id: str,
    title: str = "",
    metadata: Mapping[str, Any] | None = None,
    thread_id: UUID | None = None,
) -> Thread:
    """Begin a conversation; `thread_id` is made up unless given."""
    statement = creation(
        tenant_id=tenant_id,
        user_id=user_id,
        title=title,
        metadata=metadata,
        thread_id=thread_id or uuid7(),
    )
    async with conn.cursor(row_factory=class_row(Thread)) as cursor:
        await cursor.execute(*statement)
        thread = await cursor.fetchone()
    assert thread is not None
    return thread


def creation(
    *,
    tenant_id: str,
    user_id: str,
    thread_id: UUID,
    title: str = "",
    metadata: Mapping[str, Any] | None = None,
) -> Statement:
    """Return what begins a conversation."""
    return SQL["create"], {
        "tenant_id": tenant_id,
        "thread_id": thread_id,
        "user_id": user_id,
        "title": title,
        "metadata": Jsonb(dict(metadata or {})),
    }


async def get(conn: AsyncConnection[TupleRow], thread_id: UUID) -> Thread:
    """Return a thread; raises ThreadNotFound."""
    async with conn.cursor(row_factory=class_row(Thread)) as cursor:
        await cursor.execute(SQL["get"], {"thread_id": thread_id})
        thread = await cursor.fetchone()
    if thread is None:
        raise ThreadNotFound
    return thread


async def list_recent(
    conn: AsyncConnection[TupleRow],
    *,
    user_id: str,
    limit: int,
    before: tuple[datetime, UUID] | None = None,
) -> list[Thread]:
    """Return the threads of a user, last used first.

    before: (updated_at, thread_id) of the last one of the page before.
    """
    at, thread_id = before or (None, None)
    parameters = {"user_id": user_id, "limit": limit, "at": at, "thread_id": thread_id}
    async with conn.cursor(row_factory=class_row(Thread)) as cursor:
        await cursor.execute(SQL["list_recent" if before is None else "list_before"], parameters)
        return await cursor.fetchall()


async def update(
    conn: AsyncConnection[TupleRow],
    thread_id: UUID,
    *,
    title: str | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> Thread:
    """Rename a thread or replace its metadata; None leaves them. Raises ThreadNotFound."""
    parameters = {
        "thread_id": thread_id,
        "title": title,
        "metadata": None if metadata is None else Jsonb(dict(metadata)),
    }
    async with conn.cursor(row_factory=class_row(Thread)) as cursor:
        await cursor.execute(SQL["update"], parameters)
        thread = await cursor.fetchone()
    if thread is None:
        raise ThreadNotFound
    return thread


async def delete(conn: AsyncConnection[TupleRow], thread_id: UUID) -> None:
    """Delete a thread and all that belongs to it; raises ThreadNotFound."""
    for statement in ("delete_checkpoints", "delete_checkpoint_blobs", "delete_checkpoint_writes"):
        await conn.execute(SQL[statement], {"thread_id": thread_id})
    cursor = await conn.execute(SQL["delete"], {"thread_id": thread_id})
    if cursor.rowcount == 0:
        raise ThreadNotFound
