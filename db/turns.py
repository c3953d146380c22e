"""The turn log: what was asked, found, sent and answered, with the time each stage took."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import TupleRow, class_row
from psycopg.types.json import Jsonb

from core.errors import RunNotFound
from core.turn import ModelRecord, Usage
from db.sql import load

SQL = load(__file__)
_JSON = ("prompt", "passages", "retrieval", "support", "model", "usage", "stages", "actions")


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
    created_at: datetime | None = None  # the database's clock, once it is stored


async def save(conn: AsyncConnection[TupleRow], *, tenant_id: str, log: TurnLog) -> None:
    """Store the log of a turn; a later attempt at the same run replaces it."""
    parameters = asdict(log) | {"tenant_id": tenant_id}
    for name in _JSON:
        parameters[name] = None if parameters[name] is None else Jsonb(parameters[name])
    await conn.execute(SQL["save"], parameters)


async def get(conn: AsyncConnection[TupleRow], run_id: UUID) -> TurnLog:
    """Return the log of a turn; raises RunNotFound, also while it is still running."""
    async with conn.cursor(row_factory=class_row(TurnLog)) as cursor:
        await cursor.execute(SQL["get"], {"run_id": run_id})
        log = await cursor.fetchone()
    if log is None:
        raise RunNotFound
    return log
