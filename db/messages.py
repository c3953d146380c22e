"""Messages: what was said in a thread, numbered from 1."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import TupleRow, class_row

from core.turn import Citation
from db.pool import Database
from db.sql import load

SQL = load(__file__)


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a thread."""

    message_id: UUID
    thread_id: UUID
    seq: int  # 1, 2, 3 … within the thread
    run_id: UUID  # the turn that it belongs to
    role: Literal["user", "assistant"]
    content: str
    citations: list[Citation]
    abstained: bool
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Said:
    """A message as a later turn needs it."""

    run_id: UUID
    seq: int
    role: Literal["user", "assistant"]
    content: str
    citations: list[Citation]
    taint: dict[str, Any] | None  # what stood behind it: {"sources": […], "private": bool}


async def list_after(
    conn: AsyncConnection[TupleRow], thread_id: UUID, *, after: int = 0, limit: int = 100
) -> list[Message]:
    """Return the messages with a sequence number above `after`, oldest first."""
    async with conn.cursor(row_factory=class_row(Message)) as cursor:
        await cursor.execute(
            SQL["list_after"], {"thread_id": thread_id, "after": after, "limit": limit}
        )
        return await cursor.fetchall()


async def window(
    database: Database, tenant_id: str, thread_id: UUID, *, limit: int, before_seq: int
) -> list[Said]:
    """Return the newest `limit` messages before a question, each in its place, oldest first.

    What was asked later does not count; answers that were written since do, because that question
    had to wait for them.
    """
    parameters = {"thread_id": thread_id, "before": before_seq, "limit": limit}
    (rows,) = await database.once(tenant_id, (SQL["window"], parameters))
    return [Said(*row) for row in reversed(rows)]
