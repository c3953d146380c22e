"""Notices: what the outside is told, stored with what it is about, and sent until it arrives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import TupleRow, class_row
from psycopg.types.json import Jsonb

from db.sql import load

SQL = load(__file__)
CHANNEL = "notices"  # announces each new one
Conn = AsyncConnection[TupleRow]
End = Literal["succeeded", "failed", "cancelled", "waiting"]


@dataclass(frozen=True, slots=True)
class Notice:
    """Something to tell. Its id stays the same however often it is sent."""

    tenant_id: str
    notice_id: UUID
    kind: str  # approval.requested, run.finished, …
    body: dict[str, Any]
    attempts: int  # this one among them
    created_at: datetime


async def tell_end(
    conn: Conn,
    *,
    tenant_id: str,
    thread_id: UUID,
    run_id: UUID,
    status: End,
    error: Mapping[str, str] | None = None,
    approval_id: UUID | None = None,
) -> None:
    """Tell that a run has ended or waits, in the transaction that ends it. No text of messages."""
    body = {
        "run_id": str(run_id),
        "thread_id": str(thread_id),
        "status": status,
        "error": None if error is None else error["code"],
        "approval_id": None if approval_id is None else str(approval_id),
    }
    kind = "run.finished" if status == "succeeded" else f"run.{status}"
    await conn.execute(SQL["tell"], {"tenant_id": tenant_id, "kind": kind, "body": Jsonb(body)})


async def take(conn: Conn, seconds: float, *, most: int) -> list[Notice]:
    """Return notices of all tenants that are due; for a while nobody else takes them."""
    async with conn.cursor(row_factory=class_row(Notice)) as cursor:
        await cursor.execute(SQL["take"], {"seconds": seconds, "most": most})
        return await cursor.fetchall()


async def delivered(conn: Conn, notice: Notice) -> None:
    """Note that a notice has arrived; those that are over for a week are removed."""
    await conn.execute(SQL["delivered"], {"notice_id": notice.notice_id})
    await conn.execute(SQL["prune"])


async def again(conn: Conn, notice: Notice, seconds: float, why: str) -> None:
    """Put a notice off."""
    parameters = {"notice_id": notice.notice_id, "seconds": seconds, "why": why}
    await conn.execute(SQL["again"], parameters)


async def give_up(conn: Conn, notice: Notice, why: str) -> None:
    """Send a notice no more."""
    await conn.execute(SQL["give_up"], {"notice_id": notice.notice_id, "why": why})
    await conn.execute(SQL["prune"])


async def drop(conn: Conn, notice: Notice) -> None:
    """Forget a notice that nobody wants to hear."""
    await conn.execute(SQL["drop"], {"notice_id": notice.notice_id})
