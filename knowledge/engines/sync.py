"""Tells an engine what changed in Postgres, in small steps that may be repeated or cut off."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

import numpy as np
from psycopg.rows import dict_row

from db.pool import Database
from db.sql import load
from knowledge.engines.base import Conn, Place, Points, VectorEngine

SQL = load(__file__)

STEP_DOCUMENTS = 256  # told in one transaction, which others of the same tenant wait for
STEP_CHUNKS = 512  # sent at a time: 1.6 MB of JSON a hundred

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Told:
    """What an engine was told."""

    documents: int = 0  # that changed or went
    chunks: int = 0  # sent
    rebuilt: bool = False  # the copy did not match and was made anew


async def sync(
    database: Database,
    engine: VectorEngine,
    *,
    tenant_id: str,
    check: bool = False,
    report: Callable[[Told], None] | None = None,
) -> Told:
    """Bring an engine's copy of a tenant up to date; return what it took.

    Safe at any time, from any process, killed at any time: a document stays noted until the
    engine has it, and telling it twice changes nothing. The first call begins the copy.
    check: compare the numbers of chunks afterwards, and make the copy anew when they differ, as
    after the engine lost its data; counting takes about a second a million documents.
    Raises VectorEngineUnavailable, DatabaseUnavailable.
    """
    await engine.prepare()
    told = Told()
    await _begin(database, engine, tenant_id)
    await _tell_all(database, engine, tenant_id, told, report)
    if check and not await _matches(database, engine, tenant_id):
        _log.warning("the copy in %s does not match Postgres and is made anew", engine.name)
        told.rebuilt = True
        async with database.transaction(tenant_id) as conn:
            await conn.execute(SQL["forget"], _key(engine, tenant_id))
        await engine.clear(tenant_id=tenant_id)
        await _begin(database, engine, tenant_id)
        await _tell_all(database, engine, tenant_id, told, report)
    return told


async def _begin(database: Database, engine: VectorEngine, tenant_id: str) -> None:
    """Have changes noted from now on, and once note all that was there before."""
    key = _key(engine, tenant_id)
    async with database.transaction(tenant_id) as conn:
        cursor = await conn.execute(SQL["noted"], key)
        row = await cursor.fetchone()
        if row is None:
            # Waits for those who are writing now: they did not see that changes are to be noted.
            await conn.execute(SQL["pause_writers"])
            await conn.execute(SQL["begin"], key)
    if row is None or not row[0]:
        async with database.transaction(tenant_id) as conn:
            await conn.execute(SQL["note_all"], key)
            await conn.execute(SQL["all_noted"], key)


async def _tell_all(
    database: Database,
    engine: VectorEngine,
    tenant_id: str,
    told: Told,
    report: Callable[[Told], None] | None,
) -> None:
    key = _key(engine, tenant_id)
    while True:
        async with database.transaction(tenant_id) as conn:
            await conn.execute(SQL["one_at_a_time"], key)
            cursor = await conn.execute(SQL["changes"], key | {"limit": STEP_DOCUMENTS})
            changes = await cursor.fetchall()
            if not changes:
                return
            documents = [document_id for document_id, _ in changes]
            # Forgotten first and told anew: meanwhile searches find them as late ones.
            await engine.drop(documents, tenant_id=tenant_id)
            told.chunks += await _tell(conn, engine, tenant_id, documents)
            # A document that changed again meanwhile has another change_id, and stays noted.
            change_ids = [change_id for _, change_id in changes]
            await conn.execute(
                SQL["cross_off"], key | {"document_ids": documents, "change_ids": change_ids}
            )
        told.documents += len(documents)
        if report is not None:
            report(told)


async def _tell(conn: Conn, engine: VectorEngine, tenant_id: str, documents: list[UUID]) -> int:
    """Send the chunks of documents as they are now; return how many there were."""
    sent, after = 0, 0
    while True:
        async with conn.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(
                SQL["chunks"],
                {
                    "tenant_id": tenant_id,
                    "document_ids": documents,
                    "after": after,
                    "limit": STEP_CHUNKS,
                },
            )
            rows = await cursor.fetchall()
        if not rows:
            return sent
        vectors = np.stack([row["embedding"].to_numpy() for row in rows]).astype(np.float32)
        places = [
            Place(
                row["document_id"],
                row["uri"],
                owners=tuple(row["owners"]),
                groups=tuple(row["groups"]),
                labels=tuple(row["labels"]),
            )
            for row in rows
        ]
        chunk_ids = [row["chunk_id"] for row in rows]
        await engine.put(Points(chunk_ids, vectors, places), tenant_id=tenant_id)
        sent, after = sent + len(rows), chunk_ids[-1]


async def _matches(database: Database, engine: VectorEngine, tenant_id: str) -> bool:
    """True when both hold as many chunks, or something is still to be told."""
    async with database.transaction(tenant_id) as conn:
        # With the lock nobody tells the engine anything, so its number stands still.
        await conn.execute(SQL["one_at_a_time"], _key(engine, tenant_id))
        cursor = await conn.execute(SQL["expected"], _key(engine, tenant_id))
        row = await cursor.fetchone()
        assert row is not None
        changing, chunks = row
        return bool(changing) or await engine.count(tenant_id=tenant_id) == chunks


def _key(engine: VectorEngine, tenant_id: str) -> dict[str, str]:
    return {"tenant_id": tenant_id, "engine": engine.name}
