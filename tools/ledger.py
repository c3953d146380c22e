"""The ledger of calls: one row each, whose status alone says what may happen to it.

An effect in our own database is committed together with the note that it happened. Before any
other effect a note is committed that it is about to happen; found without its end after a crash,
the call is made again where a second one with the same key does nothing, and otherwise nobody
knows whether it happened: a person is asked (docs/decisions/0021).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import TupleRow, class_row
from psycopg.types.json import Jsonb

from core.errors import LeaseLost
from core.turn import Taint
from db.sql import load
from tools.policy import Judgement
from tools.registry import Outcome
from tools.tool import Arguments, Declaration

SQL = load(__file__)

Status = Literal[
    "proposed",
    "ready",
    "started",
    "done",
    "refused",
    "failed",
    "unknown",
    "denied",
    "rejected",
    "answered",
    "expired",
    "cancelled",
]
# Nothing happens to such a call any more; `unknown` may be decided by a person.
SETTLED: frozenset[str] = frozenset(
    {"done", "refused", "failed", "denied", "rejected", "answered", "expired", "cancelled"}
)
STATUS_OF_DECISION: Mapping[str, Status] = {
    "run": "ready",
    "approve": "proposed",
    "deny": "denied",
}

PROPOSED: tuple[Status] = ("proposed",)
UNKNOWN: tuple[Status] = ("unknown",)

Conn = AsyncConnection[TupleRow]


@dataclass(frozen=True, slots=True)
class Call:
    """One call as the ledger knows it."""

    call_id: UUID
    thread_id: UUID
    run_id: UUID
    position: int
    tool: str
    arguments: dict[str, Any]
    digest: str
    effect: str
    idempotency: str
    taint: list[Taint]
    policy: str
    rule: str
    status: Status
    attempts: int
    result: str | None
    code: str
    sources: list[str]
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class Held:
    """The lease under which calls are made."""

    run_id: UUID
    token: int


def digest(tool: str, arguments: Arguments) -> str:
    """Return the SHA-256 of a tool's name and its arguments, whatever the order of their keys."""
    content = json.dumps([tool, arguments], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(content.encode()).hexdigest()


async def propose(
    conn: Conn,
    *,
    tenant_id: str,
    call_id: UUID,
    thread_id: UUID,
    run_id: UUID,
    position: int,
    tool: str,
    arguments: Arguments,
    declaration: Declaration | None,
    taint: Sequence[Taint],
    judgement: Judgement,
) -> None:
    """Write down a call and what the policy says; the same call again changes nothing."""
    denied = judgement.decision == "deny"
    await conn.execute(
        SQL["propose"],
        {
            "tenant_id": tenant_id,
            "call_id": call_id,
            "thread_id": thread_id,
            "run_id": run_id,
            "position": position,
            "tool": tool,
            "arguments": Jsonb(arguments),
            "digest": digest(tool, arguments),
            "effect": declaration.effect if declaration else "external",
            "idempotency": declaration.idempotency if declaration else "none",
            "taint": Jsonb(list(taint)),
            "policy": judgement.version,
            "rule": judgement.rule,
            "status": STATUS_OF_DECISION[judgement.decision],
            "result": refusal(judgement) if denied else None,
            "code": "denied" if denied else "",
        },
    )


async def judge(conn: Conn, call_id: UUID, judgement: Judgement) -> None:
    """Note what another version of the policy says about a call that has not run."""
    denied = judgement.decision == "deny"
    await conn.execute(
        SQL["judge"],
        {
            "call_id": call_id,
            "policy": judgement.version,
            "rule": judgement.rule,
            "status": STATUS_OF_DECISION[judgement.decision],
            "result": refusal(judgement) if denied else None,
            "code": "denied" if denied else "",
        },
    )


def refusal(judgement: Judgement) -> str:
    """Return what the model is told about a call that the policy denies."""
    return f"This call is not allowed: {judgement.rule} Do without it."


async def get(conn: Conn, call_id: UUID, *, lock: bool = False) -> Call | None:
    """Return a call; with `lock` nobody else changes it before the transaction ends."""
    async with conn.cursor(row_factory=class_row(Call)) as cursor:
        await cursor.execute(SQL["lock" if lock else "get"], {"call_id": call_id})
        return await cursor.fetchone()


async def of_run(conn: Conn, run_id: UUID) -> list[Call]:
    """Return the calls of a run, in order."""
    return await _many(conn, "of_run", run_id)


async def unfinished(conn: Conn, run_id: UUID) -> list[Call]:
    """Return the calls of a run that nobody has settled, locked."""
    return await _many(conn, "unfinished", run_id)


async def _many(conn: Conn, statement: str, run_id: UUID) -> list[Call]:
    async with conn.cursor(row_factory=class_row(Call)) as cursor:
        await cursor.execute(SQL[statement], {"run_id": run_id})
        return await cursor.fetchall()


async def fence(conn: Conn, held: Held) -> None:
    """Raise LeaseLost unless the run is still ours, and keep it so until the transaction ends."""
    found = await conn.execute(SQL["fence"], {"run_id": held.run_id, "lease_token": held.token})
    if await found.fetchone() is None:
        raise LeaseLost


async def patience(conn: Conn, seconds: float) -> None:
    """Have Postgres end this transaction when it hears nothing for so long.

    Whoever takes the run over waits for the call's row; a process that was stopped would keep it.
    """
    await conn.execute(SQL["patience"], {"milliseconds": f"{seconds * 1000:.0f}"})


async def start(conn: Conn, call: Call, known: Collection[Status]) -> int | None:
    """Note that a call is about to be made; return which attempt it is, None when it is not ours.

    known: the statuses in which it may be. Commit before making the call.
    """
    parameters = {"call_id": call.call_id, "known": list(known), "attempts": call.attempts}
    row = await (await conn.execute(SQL["start"], parameters)).fetchone()
    return None if row is None else int(row[0])


async def settle(
    conn: Conn,
    call: Call,
    status: Status,
    outcome: Outcome,
    *,
    known: Collection[Status],
    attempts: int,
) -> bool:
    """Note what came of an attempt; False when somebody else has settled the call."""
    parameters = {
        "call_id": call.call_id,
        "status": status,
        "result": outcome.text,
        "code": outcome.code,
        "sources": Jsonb(list(outcome.sources)),
        "known": list(known),
        "attempts": attempts,
    }
    return await (await conn.execute(SQL["settle"], parameters)).fetchone() is not None


async def decide(
    conn: Conn,
    call_id: UUID,
    status: Status,
    *,
    known: Collection[Status],
    result: str | None = None,
    code: str = "",
    arguments: Arguments | None = None,
    new_digest: str | None = None,
) -> bool:
    """Note what a person decided about a call; False when it is not in a `known` status."""
    parameters = {
        "call_id": call_id,
        "status": status,
        "known": list(known),
        "result": result,
        "code": code,
        "arguments": None if arguments is None else Jsonb(arguments),
        "digest": new_digest,
    }
    return await (await conn.execute(SQL["decide"], parameters)).fetchone() is not None
