"""Idempotency keys: the run that a request with a key has begun, for when it comes again."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import TupleRow, class_row

from core.errors import KeyInFlight, KeyReused
from db.sql import load

SQL = load(__file__)
Conn = AsyncConnection[TupleRow]


@dataclass(frozen=True, slots=True)
class RequestKey:
    """A key that a client chose for a request, and what tells that request from others."""

    key: str
    request: str  # SHA-256 of method, path and body


@dataclass(frozen=True, slots=True)
class Begun:
    """The run that a request began."""

    request: str
    run_id: UUID
    thread_id: UUID
    message_id: UUID | None  # None: taken back by a later message


async def find(conn: Conn, user_id: str, key: RequestKey) -> Begun | None:
    """Return the run that this request began; None when it never came.

    Raises KeyReused when the key came with another request.
    """
    async with conn.cursor(row_factory=class_row(Begun)) as cursor:
        await cursor.execute(SQL["find"], {"user_id": user_id, "key": key.key})
        begun = await cursor.fetchone()
    if begun is not None and begun.request != key.request:
        raise KeyReused
    return begun


async def keep(conn: Conn, *, tenant_id: str, user_id: str, key: RequestKey, run_id: UUID) -> None:
    """Note that a request began a run, in the transaction that stores the run.

    Raises KeyInFlight when the key is taken: roll back, and `find` knows by what.
    """
    parameters = {
        "tenant_id": tenant_id,
        "user_id": user_id,
        "key": key.key,
        "request": key.request,
        "run_id": run_id,
    }
    if await (await conn.execute(SQL["keep"], parameters)).fetchone() is None:
        raise KeyInFlight
