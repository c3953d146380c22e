"""The stored log of a run: stretches of numbered events."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import TupleRow

from core.errors import LeaseLost
from core.events import Event
from db.packed import pack, unpack
from db.sql import Statement
from db.sql import load as load_sql

SQL = load_sql(__file__)


async def append(
    conn: AsyncConnection[TupleRow],
    *,
    tenant_id: str,
    run_id: UUID,
    lease_token: int,
    events: Sequence[Event],
) -> None:
    """Store a stretch of events in one row; raises LeaseLost when another process holds the run."""
    cursor = await conn.execute(SQL["append"], _stretch(tenant_id, run_id, lease_token, events))
    if await cursor.fetchone() is None:
        raise LeaseLost


def last(*, tenant_id: str, run_id: UUID, lease_token: int, events: Sequence[Event]) -> Statement:
    """Return what stores the last stretch, if this lease has just ended the run."""
    return SQL["append_end"], _stretch(tenant_id, run_id, lease_token, events)


def _stretch(
    tenant_id: str, run_id: UUID, lease_token: int, events: Sequence[Event]
) -> dict[str, Any]:
    return {
        "tenant_id": tenant_id,
        "run_id": run_id,
        "lease_token": lease_token,
        "first_seq": events[0].seq,
        "last_seq": events[-1].seq,
        "packed": pack([[event.seq, event.type, event.data] for event in events]),
    }


async def read(conn: AsyncConnection[TupleRow], run_id: UUID, *, after: int) -> list[Event]:
    """Return the stored events of a run with a sequence number above `after`, in order."""
    cursor = await conn.execute(SQL["read"], {"run_id": run_id, "after": after})
    return [
        Event(seq, type_, data)
        for stretch, packed in await cursor.fetchall()
        for seq, type_, data in (stretch if packed is None else unpack(packed))
        if seq > after
    ]
