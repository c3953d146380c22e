"""What is put into the job queue, and how long the queue is.

The queue is procrastinate's; `knowledge.worker` takes out of it. Its rows hold ids alone: they
are not protected by tenant, and what they stand for, in `knowledge.ingestions`, is.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import TupleRow, class_row
from uuid_utils.compat import uuid7

from db.sql import load
from knowledge import ingestions
from knowledge.access import UNCHANGED, Access
from knowledge.ingestions import Action, Item, options_of

if TYPE_CHECKING:  # importing it takes a quarter of a second, which not every command needs
    from procrastinate.manager import JobManager

SQL = load(__file__)
QUEUE = "knowledge"
TASK = "ingest"
MERGE = "merge"
# More important jobs come first.
BULK, MERGING, INTERACTIVE = 0, 50, 100
AT_ONCE = 1000  # rows and jobs put in by one statement

Conn = AsyncConnection[TupleRow]


@dataclass(frozen=True, slots=True)
class Figures:
    """The queue, over all tenants."""

    todo: int
    doing: int
    failed: int  # parked, until somebody retries
    lag_seconds: float  # age of the oldest document that waits


async def enqueue(
    conn: Conn,
    items: Sequence[Item],
    *,
    tenant_id: str,
    batch_id: UUID,
    action: Action = "read",
    access: Access = UNCHANGED,
    priority: int = BULK,
    suffix: str = "",
    content_sha256: bytes | None = None,
) -> list[UUID]:
    """Have documents read or forgotten in the background; return the ids of the ingestions.

    In the caller's transaction: rows and jobs are there together, or not at all. What waited for
    the same documents is dropped, so the newest request wins.
    """
    manager = await _manager()
    await ingestions.prune(conn, tenant_id=tenant_id)
    ids: list[UUID] = []
    for first in range(0, len(items), AT_ONCE):
        some = items[first : first + AT_ONCE]
        new = [uuid7() for _ in some]
        wanted = [(one, item.uri, priority) for one, item in zip(new, some, strict=True)]
        await ingestions.add(
            conn,
            tenant_id=tenant_id,
            batch_id=batch_id,
            action=action,
            items=some,
            ids=new,
            job_ids=await _defer(manager, conn, wanted, tenant_id=tenant_id),
            options=options_of(access, suffix=suffix),
            priority=priority,
            content_sha256=content_sha256,
        )
        ids.extend(new)
    return ids


async def retry(conn: Conn, *, tenant_id: str, ids: Sequence[UUID] | None = None) -> int:
    """Try what is parked again, all of it or some; return how many documents that are."""
    found = await ingestions.parked(conn, tenant_id=tenant_id, ids=ids)
    manager = await _manager()
    for first in range(0, len(found), AT_ONCE):
        some = found[first : first + AT_ONCE]
        wanted = [(one.ingestion_id, one.uri, one.priority) for one in some]
        job_ids = await _defer(manager, conn, wanted, tenant_id=tenant_id)
        await ingestions.revive(conn, some, job_ids, tenant_id=tenant_id)
    return len(found)


async def figures(conn: Conn) -> Figures:
    """Return how long the queue is."""
    async with conn.cursor(row_factory=class_row(Figures)) as cursor:
        found = await (await cursor.execute(SQL["figures"], {"task": TASK})).fetchone()
    assert found is not None
    return found


async def workers(conn: Conn, *, within_seconds: float) -> int:
    """Return how many workers have shown a sign of life within this time."""
    row = await (await conn.execute(SQL["workers"], {"seconds": within_seconds})).fetchone()
    assert row is not None
    return int(row[0])


def lock_of(tenant_id: str, uri: str) -> str:
    """Return what keeps two jobs from working on one document at the same time.

    A digest: other tenants can read the queue, and a lock fits into an index.
    """
    return hashlib.sha256(f"{tenant_id}\0{uri}".encode(errors="surrogateescape")).hexdigest()[:32]


async def _defer(
    manager: JobManager,
    conn: Conn,
    wanted: Sequence[tuple[UUID, str, int]],
    *,
    tenant_id: str,
) -> list[int]:
    """Put in a job for each (ingestion_id, uri, priority); return their ids in the same order."""
    from procrastinate.jobs import Job

    jobs = [
        Job(
            id=None,
            queue=QUEUE,
            task_name=TASK,
            priority=priority,
            lock=lock_of(tenant_id, uri),
            queueing_lock=None,
            task_kwargs={"tenant_id": tenant_id, "ingestion_id": str(ingestion_id)},
        )
        for ingestion_id, uri, priority in wanted
    ]
    deferred = await manager.batch_defer_jobs_async(jobs, connection=conn)
    return [_id(job) for job in deferred]


def _id(job: Any) -> int:
    assert job.id is not None
    return int(job.id)


async def _manager() -> JobManager:
    """Return the library's door to the queue; it uses the connection that each call is given."""

    def make() -> JobManager:
        from procrastinate import PsycopgConnector
        from procrastinate.manager import JobManager

        return JobManager(PsycopgConnector())

    return await asyncio.to_thread(make)
