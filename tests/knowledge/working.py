"""Workers for tests, and what became of what they were given."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID, uuid4

from core.settings import KnowledgeSettings
from db.pool import Database
from embeddings.base import Embedder
from knowledge import ingestions, jobs
from knowledge.catalog import Entry, entries
from knowledge.files import find
from knowledge.ingestions import ACTIVE, Ingestion, Item, State
from knowledge.worker import Worker, working

PATIENCE_SECONDS = 90
EVERY: tuple[State, ...] = ("queued", "working", "done", "parked", "cancelled")
QUICK = KnowledgeSettings(_env_file=None, worker_timeout_seconds=1.0)


@asynccontextmanager
async def at_work(
    database: Database, embedder: Embedder, *, concurrency: int = 2, drain_seconds: float = 30
) -> AsyncIterator[Worker]:
    """Run a worker that notices dead ones quickly."""
    worker = Worker(
        database,
        embedder,
        settings=QUICK,
        concurrency=concurrency,
        drain_seconds=drain_seconds,
    )
    async with working(worker):
        yield worker


async def put(
    database: Database, paths: Sequence[Path], tenant: str, *, priority: int = jobs.BULK
) -> UUID:
    """Queue files and folders; return the batch."""
    batch_id = uuid4()
    items = [Item(file.uri, file.shown, file.bytes) for file in find(paths).files]
    async with database.transaction(tenant) as conn:
        await jobs.enqueue(conn, items, tenant_id=tenant, batch_id=batch_id, priority=priority)
    return batch_id


async def rows(database: Database, tenant: str, *states: State) -> list[Ingestion]:
    """Return the ingestions in some states, or all, in the order in which they were asked for."""
    async with database.transaction(tenant) as conn:
        found = await ingestions.listed(
            conn, tenant_id=tenant, states=states or EVERY, limit=10_000
        )
    return sorted(found, key=lambda one: one.job_id)


async def documents(database: Database, tenant: str) -> list[Entry]:
    """Return what is stored."""
    async with database.transaction(tenant) as conn:
        return await entries(conn, tenant_id=tenant, limit=10_000)


async def until(ready: Callable[[], Awaitable[bool]]) -> None:
    """Return once something is so; raises TimeoutError when it never is."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not await ready():  # noqa: ASYNC110 - it is another process, or the database
            await asyncio.sleep(0.05)


async def settled(database: Database, tenant: str) -> None:
    """Return once nothing waits and nothing is at work."""

    async def nothing() -> bool:
        return not await rows(database, tenant, *ACTIVE)

    await until(nothing)
