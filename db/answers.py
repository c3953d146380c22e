"""Answers that may be given again: found by question, dead when what they rest on changed.

Each function belongs into a transaction of the caller's, opened for the same tenant.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg
from pgvector import HalfVector
from psycopg import AsyncConnection
from psycopg.rows import TupleRow, class_row
from psycopg.types.json import Jsonb

from core.errors import CacheFailed
from db.sql import load

SQL = load(__file__)

CANDIDATES = 5  # looked at for one question
# Chunks that an answer did not know and is compared with; with more of them it is dead.
MOST_UNKNOWN = 2_000

Conn = AsyncConnection[TupleRow]


@dataclass(frozen=True, slots=True)
class Asked:
    """A question, for whom it is asked, and what its answer depends on besides documents."""

    tenant_id: str
    policy: bytes  # sha256
    key: bytes  # sha256 of the question, however it was typed
    vector: HalfVector
    reader: str | None  # None: may read everything
    member_of: tuple[str, ...]

    def parameters(self) -> dict[str, Any]:
        """Return what all statements ask for."""
        return {
            "tenant_id": self.tenant_id,
            "policy": self.policy,
            "key": self.key,
            "vector": self.vector,
            "reader": self.reader,
            "member_of": list(self.member_of),
        }


@dataclass(frozen=True, slots=True)
class Found:
    """An answer that may be given again."""

    answer_id: UUID
    question: str
    exact: bool  # the same question, up to how it is typed
    cosine: float  # of the two questions
    turn: dict[str, Any]
    age_seconds: float


async def horizon(conn: Conn) -> str:
    """Return a mark of now: what was written before it, every later search has seen."""
    async with _translated():
        row = await (await conn.execute(SQL["horizon"])).fetchone()
    assert row is not None
    return str(row[0])


async def find(
    conn: Conn, asked: Asked, *, similarity: float, lasting: bool = False
) -> list[Found]:
    """Return living answers to the same question, then to those nearest in meaning.

    similarity: cosine of the questions at least. lasting: also those that have expired or were
    made in other circumstances, as long as their documents are the same. Raises CacheFailed.
    """
    parameters = asked.parameters() | {
        "similarity": similarity,
        "limit": CANDIDATES,
        "most_unknown": MOST_UNKNOWN,
        "lasting": lasting,
    }
    async with _translated(), conn.cursor(row_factory=class_row(Found)) as cursor:
        await cursor.execute(SQL["find"], parameters)
        return await cursor.fetchall()


async def use(conn: Conn, *, tenant_id: str, answer_id: UUID) -> None:
    """Count that an answer was given again; raises CacheFailed."""
    async with _translated():
        await conn.execute(SQL["use"], {"tenant_id": tenant_id, "answer_id": answer_id})


async def store(
    conn: Conn,
    asked: Asked,
    *,
    question: str,
    turn: dict[str, Any],
    documents: Sequence[str],
    nearest: float,
    horizon: str,
    ttl_seconds: float,
    entries: int,
) -> UUID | None:
    """Keep an answer and forget what is too old or too many; None when it cannot be kept.

    documents: ids of all that it rests on; one of them may have changed since `horizon`, then
    nothing is kept. nearest: cosine with the question from which on a new chunk would be a
    source. entries: what a tenant keeps at most. Raises CacheFailed.
    """
    parameters = asked.parameters() | {
        "question": question,
        "turn": Jsonb(turn),
        "documents": sorted(set(documents)),
        "nearest": nearest,
        "horizon": horizon,
        "ttl_seconds": ttl_seconds,
    }
    async with _translated():
        row = await (await conn.execute(SQL["store"], parameters)).fetchone()
        await conn.execute(SQL["sweep"], {"tenant_id": asked.tenant_id, "entries": entries})
    return None if row is None else row[0]


@asynccontextmanager
async def _translated() -> AsyncIterator[None]:
    """Tell what is wrong with the cache alone from a database that is gone."""
    try:
        yield
    except (psycopg.OperationalError, psycopg.InterfaceError):
        raise  # for Database, which lent the connection
    except psycopg.Error as error:
        raise CacheFailed(f"The answer cache failed: {type(error).__name__}.") from error
