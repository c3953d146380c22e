"""Runs: one turn of a thread each, leased to the process that works on it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, cast
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.errors import UniqueViolation
from psycopg.rows import TupleRow, class_row
from psycopg.types.json import Jsonb

from core.errors import LeaseLost, RunActive, RunNotFound, ThreadNotFound
from core.turn import TurnState
from db.sql import Statement
from db.sql import load as load_sql

Status = Literal["queued", "running", "waiting", "succeeded", "failed", "cancelled"]
ENDED: frozenset[str] = frozenset({"succeeded", "failed", "cancelled"})
CALLER = "caller"  # in a run's stored input, beside the state: {groups, roles}
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
    approvals: list[UUID] = field(
        default_factory=list
    )  # that a waiting run waits for, oldest first


@dataclass(frozen=True, slots=True)
class Work:
    """A run as the process that takes it over needs it."""

    tenant_id: str
    run_id: UUID
    thread_id: UUID
    user_id: str
    input: TurnState
    groups: tuple[str, ...]  # that the user belonged to when the run was asked for
    roles: frozenset[str]  # that the user had then
    attempt: int
    lease_token: int
    cancel_requested: bool
    resumes: int  # times that it went on after a decision
    waited: bool  # it has never been worked on: it was queued behind another run

    @property
    def failures(self) -> int:
        """How many attempts ended without an end of the run."""
        return self.attempt - 1 - self.resumes


@dataclass(frozen=True, slots=True)
class Lease:
    """A lease of this process that the database has just renewed."""

    run_id: UUID
    lease_token: int
    cancel_requested: bool


@dataclass(frozen=True, slots=True)
class Idle:
    """A run that was cancelled while nobody worked on it."""

    user_id: str
    attempt: int
    lease_token: int
    webhook: bool  # somebody outside wants to hear of its end


def starting(
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
    queued: bool = False,
    groups: Collection[str] = (),
    roles: Collection[str] = (),
) -> Statement:
    """Return what stores the user's message and a run; give its rows to `started`.

    queued: it begins when the thread has no other run. Otherwise it is running, and a unique index
    refuses it where the thread has a running one: see `alone`.
    """
    return SQL["start_queued" if queued else "start"], {
        "tenant_id": tenant_id,
        "user_id": user_id,
        "thread_id": thread_id,
        "run_id": run_id,
        "message_id": message_id,
        "text": text,
        # Whoever takes the run over has to know for whom it is.
        "input": Jsonb({**state, CALLER: {"groups": [*groups], "roles": sorted(roles)}}),
        "worker": worker,
        "lease_seconds": lease_seconds,
    }


def started(rows: Sequence[TupleRow]) -> int:
    """Return the sequence number of the message that `starting` stored.

    Raises ThreadNotFound, and RunActive when runs of the thread are queued.
    """
    if not rows:
        raise ThreadNotFound
    if rows[0][0] is None:
        raise RunActive
    return int(rows[0][0])


@contextmanager
def alone() -> Iterator[None]:
    """Turn the refusal of a second running run of a thread into RunActive."""
    try:
        yield
    except UniqueViolation as error:
        raise RunActive from error


def finishing(
    *,
    tenant_id: str,
    run_id: UUID,
    lease_token: int,
    status: Status,
    state: TurnState,
    message_id: UUID | None,
    error: Mapping[str, str] | None = None,
) -> Statement:
    """Return what ends a run, with its answer when `message_id` is given; see `finished`."""
    return SQL["finish"], {
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
        "taint": Jsonb(taint) if (taint := inherited(state)) else None,
    }


def finished(rows: Sequence[TupleRow]) -> None:
    """Raise LeaseLost when `finishing` ended nothing: the run is not ours."""
    if rows[0][0] == 0:
        raise LeaseLost


def inherited(state: TurnState) -> dict[str, Any] | None:
    """Return what later turns inherit from tools that this one used; None when it used none."""
    if not state.get("results"):
        return None
    sources = [one for one in state.get("taint", []) if one["kind"] == "tool"]
    return {"sources": sources, "private": state.get("private", False)}


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
    thread_id, user_id, state, attempt, lease_token, cancel_requested, resumes = row
    caller = state.pop(CALLER, {})
    return Work(
        tenant_id=tenant_id,
        run_id=run_id,
        thread_id=thread_id,
        user_id=user_id,
        input=state,
        groups=tuple(caller.get("groups", ())),
        roles=frozenset(caller.get("roles", ())),
        attempt=attempt,
        lease_token=lease_token,
        cancel_requested=cancel_requested,
        resumes=resumes,
        waited=attempt == 1,
    )


async def request_cancel(conn: Conn, thread_id: UUID, run_id: UUID) -> bool:
    """Ask for a run to stop; False when there is no such running run."""
    parameters: dict[str, Any] = {"thread_id": thread_id, "run_id": run_id}
    cursor = await conn.execute(SQL["request_cancel"], parameters)
    return await cursor.fetchone() is not None


async def queued(conn: Conn, thread_id: UUID) -> int:
    """Return how many runs of a thread wait for their turn."""
    row = await (await conn.execute(SQL["queued"], {"thread_id": thread_id})).fetchone()
    assert row is not None
    return int(row[0])


async def active(conn: Conn, thread_id: UUID) -> list[Run]:
    """Return the runs of a thread that run, wait or are queued, oldest first."""
    async with conn.cursor(row_factory=class_row(Run)) as cursor:
        await cursor.execute(SQL["active"], {"thread_id": thread_id})
        return await cursor.fetchall()


async def pause(conn: Conn, run_id: UUID, lease_token: int, *, approval_id: UUID) -> Status:
    """Let a run wait for a decision; return "queued" when it has been taken meanwhile, or when
    the run was asked to stop.

    Raises LeaseLost. Deciding locks the run as well, so one of the two sees the other.
    """
    parameters = {"run_id": run_id, "lease_token": lease_token, "approval_id": approval_id}
    if await (await conn.execute(SQL["hold"], parameters)).fetchone() is None:
        raise LeaseLost
    row = await (await conn.execute(SQL["pause"], parameters)).fetchone()
    assert row is not None
    status: Status = row[0]
    return status


async def unsay(conn: Conn, thread_id: UUID, run_ids: Collection[UUID]) -> None:
    """Remove the messages of runs that have ended; what they did stays in the ledger."""
    await conn.execute(SQL["unsay"], {"thread_id": thread_id, "run_ids": list(run_ids)})


async def asked(conn: Conn, thread_id: UUID, run_id: UUID) -> TurnState:
    """Return what a run was asked; raises RunNotFound."""
    cursor = await conn.execute(SQL["asked"], {"thread_id": thread_id, "run_id": run_id})
    if (row := await cursor.fetchone()) is None:
        raise RunNotFound
    row[0].pop(CALLER, None)
    row[0].pop("user_seq", None)
    return cast(TurnState, row[0])


def retracting(thread_id: UUID, run_id: UUID) -> Statement:
    """Return what takes a message back that is to be asked again; no row when it may not be."""
    return SQL["retract"], {"thread_id": thread_id, "run_id": run_id}


async def end_idle(conn: Conn, thread_id: UUID, run_id: UUID) -> Idle | None:
    """Cancel a run that nobody works on; None when it runs, has ended, or does not exist."""
    parameters = {"thread_id": thread_id, "run_id": run_id}
    row = await (await conn.execute(SQL["end_idle"], parameters)).fetchone()
    return None if row is None else Idle(*row)


async def claim_queued(
    conn: Conn, worker: str, lease_seconds: float, *, most: int
) -> list[tuple[str, UUID]]:
    """Take at most `most` queued runs that may begin; return (tenant_id, run_id) of each."""
    parameters = {"worker": worker, "lease_seconds": lease_seconds, "most": most}
    try:
        cursor = await conn.execute(SQL["claim_queued"], parameters)
    except UniqueViolation:
        return []  # a run of the same thread began at this moment
    return [(tenant_id, run_id) for tenant_id, run_id in await cursor.fetchall()]


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
