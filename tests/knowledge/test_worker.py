"""The worker: every document once, whoever dies, and what cannot be read is set aside."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID, uuid4

from core.settings import KnowledgeSettings
from db.pool import Database
from embeddings.minilm import MiniLM
from knowledge import ingestions, jobs
from knowledge.catalog import entries
from knowledge.files import find
from knowledge.ingestions import Item
from knowledge.worker import Worker, working

QUICK = KnowledgeSettings(_env_file=None, worker_timeout_seconds=1.0)


@asynccontextmanager
async def at_work(
    database: Database, embedder: MiniLM, *, concurrency: int = 2
) -> AsyncIterator[Worker]:
    worker = Worker(database, embedder, settings=QUICK, concurrency=concurrency, drain_seconds=30)
    async with working(worker):
        yield worker


async def put(database: Database, paths: list[Path], tenant: str, priority: int = 0) -> UUID:
    batch = uuid4()
    items = [Item(file.uri, file.shown, file.bytes) for file in find(paths).files]
    async with database.transaction(tenant) as conn:
        await jobs.enqueue(conn, items, tenant_id=tenant, batch_id=batch, priority=priority)
    return batch


async def until(ready: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(60):
        while not await ready():
            await asyncio.sleep(0.05)


async def settled(database: Database, tenant: str) -> bool:
    async with database.transaction(tenant) as conn:
        counts = await ingestions.progress(conn, tenant_id=tenant)
    return not any(count.state in ingestions.ACTIVE for count in counts)


async def test_what_is_put_in_is_read(
    database: Database, embedder: MiniLM, tenant: str, tmp_path: Path
) -> None:
    """Each file of a batch becomes a document; a broken one is parked with its reason."""
    for n in range(6):
        (tmp_path / f"{n}.md").write_text(f"# Note {n}\n\nThe harbour has {n} boats.")
    (tmp_path / "broken.pdf").write_bytes(b"%PDF-1.7 and nothing more")
    await put(database, [tmp_path], tenant)
    async with at_work(database, embedder):
        await until(lambda: settled(database, tenant))
    async with database.transaction(tenant) as conn:
        found = await entries(conn, tenant_id=tenant, limit=100)
        parked = await ingestions.listed(conn, tenant_id=tenant, states=["parked"], limit=9)
    assert sorted(entry.title for entry in found) == [f"Note {n}" for n in range(6)]
    assert [(one.code, one.shown) for one in parked] == [
        ("document_unreadable", str(tmp_path / "broken.pdf"))
    ]
