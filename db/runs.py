"""Runs: one turn of a thread each, leased to the process that works on it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.errors import UniqueViolation
from psycopg.rows import TupleRow, class_row
from psycopg.types.json import Jsonb

from core.errors import LeaseLost, RunActive, RunNotFound, ThreadNotFound
from core.turn import TurnState
from db.pool import Database
from db.sql import Statement
from db.sql import load as load_sql

Status = Literal["running", "succeeded", "failed", "cancelled"]
Conn = AsyncConnection[TupleRow]

SQL = load_sql(__file__)


@dataclass(frozen=True, slots=True)
class Run:
    """One turn as seen from outside."""

    run_id: UUID
    thread_id: UUID
    status: Status
    error: dict[str, str] | None  # {code, message} of a failed run
    attempt: int
    created_at: datetime
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class Work:
    """A run as the process that takes it over needs it."""

    tenant_id: str
    run_id: UUID
    thread_id: UUID
    user_id: str
    input: TurnState
    attempt: int
    lease_token: int
    cancel_requested: bool


@dataclass(frozen=True, slots=True)
class Lease:
    """A lease of this process that the database has just renewed."""

    run_id: UUID
    lease_token: int
    cancel_requested: bool


async def start(
    database: Database,
    *,
    tenant_id: str,
    user_id: str,
    thread_id: UUID,
    run_id: UUID,
    message_id: UUID,
    text: str,
    state: TurnState,
    worker: str,
    lease_seconds: float,
    first: Sequence[Statement] = (),
) -> int:
    """Store the user's message and a running run; return the message's sequence number.

    first: what to do before in the same transaction.
    Raises ThreadNotFound, and RunActive when the thread has a running run already.
    """
    parameters = {
        "tenant_id": tenant_id,
        "user_id": user_id,
        "thread_id": thread_id,
        "run_id": run_id,
        "message_id": message_id,
        "text": text,
        "input": Jsonb(state),
        "worker": worker,
        "lease_seconds": lease_seconds,
    }
    try:
        *_, rows = await database.once(tenant_id, *first, (SQL["start"], parameters))
    except UniqueViolation as error:
        raise RunActive from error
    if not rows:
        raise ThreadNotFound
    return int(rows[0][0])


async def finish(
    database: Database,
    *,
    tenant_id: str,
    run_id: UUID,
    lease_token: int,
    status: Status,
    state: TurnState,
    message_id: UUID | None,
    error: Mapping[str, str] | None = None,
    after: Sequence[Statement] = (),
) -> None:
    """End a run, with its answer when `message_id` is given; raises LeaseLost if it is not ours.

    after: what to do then in the same transaction; it must do nothing when the lease was lost.
    """
    parameters = {
        "tenant_id": tenant_id,
        "run_id": run_id,
        "lease_token": lease_token,
        "status": status,
        "error": Jsonb(error) if error else None,
        "message_id": message_id,
        "title": state.get("title", ""),
        "answer": state.get("answer", ""),
        "citations": Jsonb(state.get("citations", [])),
        "abstained": state.get("abstained", False),
    }
    ended, *_ = await database.once(tenant_id, (SQL["finish"], parameters), *after)
    if ended[0][0] == 0:
        raise LeaseLost


async def get(conn: Conn, thread_id: UUID, run_id: UUID) -> Run:
    """Return a run of a thread; raises RunNotFound."""
    async with conn.cursor(row_factory=class_row(Run)) as cursor:
        await cursor.execute(SQL["get"], {"thread_id": thread_id, "run_id": run_id})
        run = await cursor.fetchone()
    if run is None:
        raise RunNotFound
    return run


async def list_of_thread(conn: Conn, thread_id: UUID, *, limit: int) -> list[Run]:
    """Return the runs of a thread, newest first."""
    async with conn.cursor(row_factory=class_row(Run)) as cursor:
        await cursor.execute(SQL["list_of_thread"], {"thread_id": thread_id, "limit": limit})
        return await cursor.fetchall()


async def load(conn: Conn, tenant_id: str, run_id: UUID) -> Work | None:
    """Return a running run with its input; None when it has ended in the meantime."""
    cursor = await conn.execute(SQL["load"], {"run_id": run_id})
    row = await cursor.fetchone()
    if row is None:
        return None
    thread_id, user_id, state, attempt, lease_token, cancel_requested = row
    return Work(
        tenant_id, run_id, thread_id, user_id, state, attempt, lease_token, cancel_requested
    )


async def request_cancel(conn: Conn, thread_id: UUID, run_id: UUID) -> bool:
    """Ask for a run to stop; False when there is no such running run."""
    parameters: dict[str, Any] = {"thread_id": thread_id, "run_id": run_id}
    cursor = await conn.execute(SQL["request_cancel"], parameters)
    return await cursor.fetchone() is not None


async def release(conn: Conn, run_id: UUID, lease_token: int) -> None:
    """Let another process take the run over at once."""
    await conn.execute(SQL["release"], {"run_id": run_id, "lease_token": lease_token})


async def renew_leases(
    conn: Conn, worker: str, run_ids: Collection[UUID], lease_seconds: float
) -> list[Lease]:
    """Renew the leases of `worker` on these runs; return those it still holds."""
    async with conn.cursor(row_factory=class_row(Lease)) as cursor:
        await cursor.execute(
            SQL["renew_leases"],
            {"worker": worker, "run_ids": list(run_ids), "lease_seconds": lease_seconds},
        )
        return await cursor.fetchall()


async def take_over(
    conn: Conn, worker: str, lease_seconds: float, *, most: int
) -> list[tuple[str, UUID]]:
    """Take over at most `most` runs whose lease has expired; return (tenant_id, run_id) of each."""
    cursor = await conn.execute(
        SQL["take_over"], {"worker": worker, "lease_seconds": lease_seconds, "most": most}
    )
    return [(tenant_id, run_id) for tenant_id, run_id in await cursor.fetchall()]
