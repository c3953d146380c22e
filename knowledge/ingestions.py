"""What is asked of the knowledge base in the background, and what came of it, one row a document.

    queued ──▶ working ──▶ done
      ▲           ├──────▶ parked      cannot be done; the reason is kept until somebody retries
      └───────────┤                    its worker died, or a service failed: the next attempt
                  └──────▶ cancelled   a newer request took its place, or the document was deleted

Each function belongs into a transaction of the caller's, opened for the same tenant.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import TupleRow, class_row
from psycopg.types.json import Jsonb

from db.sql import load
from knowledge.access import Access
from knowledge.summary import Outcome

SQL = load(__file__)

Action = Literal["read", "forget"]
State = Literal["queued", "working", "done", "parked", "cancelled"]
ACTIVE: tuple[State, ...] = ("queued", "working")
Conn = AsyncConnection[TupleRow]


@dataclass(frozen=True, slots=True)
class Ingestion:
    """One document's way into the knowledge base, or out of it."""

    ingestion_id: UUID
    batch_id: UUID
    action: Action
    uri: str
    shown: str  # as whoever asked calls it
    size_bytes: int
    content_sha256: bytes | None  # of an upload
    options: dict[str, Any]
    priority: int
    state: State
    attempts: int
    outcome: Outcome | None
    chunks: int
    failed: int  # lines that could not be read
    code: str | None  # of what went wrong last
    message: str | None
    job_id: int
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None

    @property
    def access(self) -> Access:
        """Who may read the document, as far as the request says."""
        given = self.options.get("access", {})
        return Access(**{name: tuple(values) for name, values in given.items()})


@dataclass(frozen=True, slots=True)
class Item:
    """A document to be read or forgotten."""

    uri: str
    shown: str
    size_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Count:
    """How many documents of a batch are in a state, and how large they are."""

    state: State
    outcome: str  # "" before the end
    documents: int
    size_bytes: int
    chunks: int


@dataclass(frozen=True, slots=True)
class Parked:
    """What is needed to try again."""

    ingestion_id: UUID
    uri: str
    action: Action
    priority: int
    job_id: int


def options_of(access: Access, *, suffix: str = "") -> dict[str, Any]:
    """Return what `Ingestion.options` holds for these.

    suffix: says what an upload is, where its name does not.
    """
    given = {
        name: list(values)
        for name, values in zip(("owners", "groups", "labels"), access.lists(), strict=True)
        if values is not None
    }
    return {"access": given} | ({"suffix": suffix} if suffix else {})


async def add(
    conn: Conn,
    *,
    tenant_id: str,
    batch_id: UUID,
    action: Action,
    items: Sequence[Item],
    ids: Sequence[UUID],
    job_ids: Sequence[int],
    options: dict[str, Any],
    priority: int,
    content_sha256: bytes | None = None,
) -> None:
    """Note what is to be done, by which jobs; what waited for the same documents is dropped."""
    await outdate(conn, [item.uri for item in items], tenant_id=tenant_id)
    await conn.execute(
        SQL["add"],
        {
            "tenant_id": tenant_id,
            "batch_id": batch_id,
            "action": action,
            "ids": list(ids),
            "jobs": list(job_ids),
            "uris": [item.uri for item in items],
            "shown": [item.shown for item in items],
            "sizes": [item.size_bytes for item in items],
            "content_sha256": content_sha256,
            "options": Jsonb(options),
            "priority": priority,
        },
    )


async def prune(conn: Conn, *, tenant_id: str) -> None:
    """Delete what ended a week ago."""
    await conn.execute(SQL["prune"], {"tenant_id": tenant_id})


async def outdate(
    conn: Conn, uris: Sequence[str], *, tenant_id: str, working_too: bool = False
) -> None:
    """Drop what waits for these documents; what is being worked on only where asked for."""
    cursor = await conn.execute(
        SQL["outdate"], {"tenant_id": tenant_id, "uris": list(uris), "working_too": working_too}
    )
    await _drop_jobs(conn, [job_id for (job_id,) in await cursor.fetchall()])


async def start(
    conn: Conn, ingestion_id: UUID, *, tenant_id: str, job_id: int, max_attempts: int
) -> Ingestion | None:
    """Begin an attempt; None when there is nothing to do, or when it is given up (then parked)."""
    key = {"tenant_id": tenant_id, "ingestion_id": ingestion_id}
    attempt = key | {"job_id": job_id, "max_attempts": max_attempts}
    if not await _happened(conn, SQL["start"], attempt):
        why = {
            "code": "worker_died",
            "message": f"The worker that read it ended {max_attempts} times before it was done.",
        }
        if not await _happened(conn, SQL["give_up"], attempt | why):
            await conn.execute(SQL["pass_over"], attempt)
            return None
    return await get(conn, ingestion_id, tenant_id=tenant_id)


async def finish(
    conn: Conn,
    ingestion_id: UUID,
    *,
    tenant_id: str,
    outcome: Outcome | None,
    chunks: int = 0,
    failed: int = 0,
    code: str | None = None,
    message: str | None = None,
) -> bool:
    """Note the end; False when it was cancelled meanwhile."""
    return await _happened(
        conn,
        SQL["finish"],
        {
            "tenant_id": tenant_id,
            "ingestion_id": ingestion_id,
            "outcome": outcome,
            "chunks": chunks,
            "failed": failed,
            "code": code,
            "message": message,
        },
    )


async def park(conn: Conn, ingestion_id: UUID, *, tenant_id: str, code: str, message: str) -> bool:
    """Set aside what cannot be done; False when it was cancelled meanwhile."""
    reason = {"code": code, "message": message}
    key = {"tenant_id": tenant_id, "ingestion_id": ingestion_id}
    return await _happened(conn, SQL["park"], key | reason)


async def requeue(
    conn: Conn,
    ingestion_id: UUID,
    *,
    tenant_id: str,
    code: str | None = None,
    message: str | None = None,
    counts: bool = True,
) -> None:
    """Hand it to the next attempt. counts: whether this attempt was one of those allowed."""
    reason = {"code": code, "message": message, "forgiven": int(not counts)}
    key = {"tenant_id": tenant_id, "ingestion_id": ingestion_id}
    await conn.execute(SQL["requeue"], key | reason)


async def parked(
    conn: Conn, *, tenant_id: str, ids: Collection[UUID] | None = None
) -> list[Parked]:
    """Return what is parked, to be revived in the same transaction; None: all of it."""
    async with conn.cursor(row_factory=class_row(Parked)) as cursor:
        wanted = None if ids is None else list(ids)
        await cursor.execute(SQL["parked"], {"tenant_id": tenant_id, "ids": wanted})
        return await cursor.fetchall()


async def revive(
    conn: Conn, found: Sequence[Parked], job_ids: Sequence[int], *, tenant_id: str
) -> None:
    """Let what is parked wait again for these new jobs."""
    ids = [one.ingestion_id for one in found]
    await conn.execute(SQL["revive"], {"tenant_id": tenant_id, "ids": ids, "jobs": list(job_ids)})
    await _drop_jobs(conn, [one.job_id for one in found])


async def get(conn: Conn, ingestion_id: UUID, *, tenant_id: str) -> Ingestion | None:
    """Return an ingestion."""
    key = {"tenant_id": tenant_id, "ingestion_id": ingestion_id}
    async with conn.cursor(row_factory=class_row(Ingestion)) as cursor:
        return await (await cursor.execute(SQL["get"], key)).fetchone()


async def newest(conn: Conn, uri: str, *, tenant_id: str) -> Ingestion | None:
    """Return the newest request for a document."""
    async with conn.cursor(row_factory=class_row(Ingestion)) as cursor:
        key = {"tenant_id": tenant_id, "uri": uri}
        return await (await cursor.execute(SQL["newest"], key)).fetchone()


async def listed(
    conn: Conn,
    *,
    tenant_id: str,
    states: Collection[State],
    batch_id: UUID | None = None,
    flawed_too: bool = False,
    limit: int,
) -> list[Ingestion]:
    """Return those in these states, the newest first; `flawed_too`: and those with bad lines."""
    async with conn.cursor(row_factory=class_row(Ingestion)) as cursor:
        await cursor.execute(
            SQL["listed"],
            {
                "tenant_id": tenant_id,
                "states": list(states),
                "batch_id": batch_id,
                "flawed_too": flawed_too,
                "limit": limit,
            },
        )
        return await cursor.fetchall()


async def progress(conn: Conn, *, tenant_id: str, batch_id: UUID | None = None) -> list[Count]:
    """Return how far a batch is; without one, everything there is."""
    async with conn.cursor(row_factory=class_row(Count)) as cursor:
        await cursor.execute(SQL["progress"], {"tenant_id": tenant_id, "batch_id": batch_id})
        return await cursor.fetchall()


async def _drop_jobs(conn: Conn, job_ids: list[int]) -> None:
    if job_ids:
        await conn.execute(SQL["drop_jobs"], {"jobs": job_ids})


async def _happened(conn: Conn, statement: Any, parameters: dict[str, Any]) -> bool:
    return await (await conn.execute(statement, parameters)).fetchone() is not None
