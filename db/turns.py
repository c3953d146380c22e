"""The turn log: what was asked, found, sent and answered, with the time each stage took."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import TupleRow, dict_row
from psycopg.types.json import Jsonb

from core.errors import RunNotFound
from core.turn import ModelRecord, Usage
from db import audit
from db.packed import pack, unpack
from db.pool import Database
from db.sql import Statement, load

SQL = load(__file__)
_JSON = ("model", "usage", "stages", "findings")
_PACKED = (
    *("prompt", "passages", "raw_answer", "retrieval", "support", "actions"),
    *("model_calls", "budget", "level"),
)


@dataclass(frozen=True, slots=True)
class TurnLog:
    """One turn as it happened."""

    run_id: UUID
    thread_id: UUID
    intent: str | None
    query: str | None  # what retrieval searched for
    prompt_name: str | None  # None when no model was asked
    prompt_version: int | None
    prompt_sha256: str | None
    prompt: list[dict[str, Any]]  # messages as sent; {first_seq, last_seq} stands for history
    passages: list[dict[str, Any]]  # without text, with the score of each retriever
    raw_answer: str  # what the model wrote, before any check changed it
    model: ModelRecord | None
    usage: Usage | None
    stages: dict[str, float]  # node -> milliseconds
    first_token_ms: float | None
    total_ms: float
    outcome: str  # answered | abstained | refused | failed | cancelled | waiting
    retrieval: dict[str, Any] = field(default_factory=dict)  # queries, rounds, assembly
    support: list[dict[str, Any]] = field(default_factory=list)  # each sentence that was checked
    actions: list[dict[str, Any]] = field(default_factory=list)  # calls of tools, in order
    model_calls: list[dict[str, Any]] = field(default_factory=list)  # questions to models, in order
    budget: dict[str, Any] = field(default_factory=dict)  # of the last prompt: tokens by part
    level: str | None = None  # where the answer came from; None when no model was asked
    findings: list[dict[str, Any]] = field(default_factory=list)  # of the checks; no text
    created_at: datetime | None = None  # the database's clock, once it is stored


def saving(log: TurnLog, *, tenant_id: str, lease_token: int) -> Statement:
    """Return what stores the log of a turn, if this lease has ended the run.

    A later attempt at the same run replaces it.
    """
    parameters: dict[str, Any] = {"tenant_id": tenant_id, "lease_token": lease_token}
    for name in TurnLog.__dataclass_fields__:
        value = getattr(log, name)
        if name not in _PACKED:
            parameters[name] = Jsonb(value) if name in _JSON and value is not None else value
    parameters["findings"] = Jsonb(log.findings) if log.findings else None
    parameters["packed"] = pack({name: getattr(log, name) for name in _PACKED})
    return SQL["save"], parameters


def decided(
    findings: Sequence[Mapping[str, Any]], *, policy: str, run_id: UUID, lease_token: int
) -> Statement:
    """Return what notes in the audit log what the checks decided, if this lease has ended the run.

    policy: version of the policy that the decisions were taken under.
    """
    parameters = {
        "actor": audit.SYSTEM,
        "details": Jsonb({"policy": policy, "decisions": list(findings)}),
        "run_id": run_id,
        "lease_token": lease_token,
    }
    return SQL["decided"], parameters


@dataclass(frozen=True, slots=True)
class Recorded:
    """What was written, asked for and answered in a turn."""

    run_id: UUID
    created_at: datetime
    asked: str  # by the user
    answered: str  # by the model, before any check but the one for credentials changed it
    actions: list[dict[str, Any]]  # calls of tools: arguments as the model wrote them, result


async def recorded(conn: AsyncConnection[TupleRow], *, days: int, limit: int) -> list[Recorded]:
    """Return the turns of the last days of the transaction's tenant, newest first."""
    cursor = await conn.execute(SQL["recorded"], {"days": days, "limit": limit})
    rows = [(*row[:3], unpack(row[3])) for row in await cursor.fetchall()]
    return [
        Recorded(run_id, at, asked, log["raw_answer"], log["actions"])
        for run_id, at, asked, log in rows
    ]


async def forget(database: Database, *, general_days: int, own_days: Mapping[str, int]) -> int:
    """Forget what checks found, of every tenant, after so many days; return in how many turns.

    own_days: of tenants that have a time of their own.
    """
    parameters = {"general_days": general_days, "own_days": Jsonb(dict(own_days))}
    async with database.connection() as conn:
        row = await (await conn.execute(SQL["forget"], parameters)).fetchone()
    return int(row[0]) if row is not None else 0


async def get(conn: AsyncConnection[TupleRow], run_id: UUID) -> TurnLog:
    """Return the log of a turn; raises RunNotFound, also while it is still running.

    Stretches of the conversation that it only refers to are written out.
    """
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(SQL["get"], {"run_id": run_id})
        row = await cursor.fetchone()
        if row is None:
            raise RunNotFound
        if (packed := row.pop("packed")) is not None:
            row |= unpack(packed)
        prompt: list[dict[str, Any]] = []
        for sent in row["prompt"]:
            if "first_seq" in sent:
                await cursor.execute(SQL["said"], {**sent, "thread_id": row["thread_id"]})
                prompt += await cursor.fetchall()
            else:
                prompt.append(sent)
        return TurnLog(**{**row, "prompt": prompt})
