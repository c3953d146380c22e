"""A knowledge base in three lines: what tests of the store, the search and ingestion put in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from uuid import UUID

import pytest

from core.settings import KnowledgeSettings
from db.pool import Database
from embeddings.minilm import MiniLM
from knowledge.access import UNCHANGED, Access
from knowledge.ingest import ingest
from knowledge.store import Chunk, DocumentRow, replace_document, searchable
from knowledge.summary import Summary
from tests.knowledge.ingesting import Counting, Ingest

Put = Callable[..., Awaitable[UUID]]


@pytest.fixture
def put(database: Database, embedder: MiniLM, tenant: str) -> Put:
    """Store a document: `await put(uri, "text of a chunk", ...)`, more by keyword."""

    async def put(
        uri: str, *texts: str, title: str = "", section: str = "", tenant_id: str = tenant
    ) -> UUID:
        chunks = [
            Chunk(text, section, None, ordinal, embedder.count_tokens(text))
            for ordinal, text in enumerate(texts)
        ]
        vectors = await embedder.passages([searchable(title, chunk) for chunk in chunks])
        row = DocumentRow(uri, title, "text/plain", uri.encode(), embedder.name, bytes=1)
        async with database.transaction(tenant_id) as conn:
            return await replace_document(
                conn, tenant_id=tenant_id, document=row, chunks=chunks, vectors=vectors
            )

    return put


@pytest.fixture
def counting(embedder: MiniLM) -> Counting:
    """The model, counting."""
    return Counting(embedder)


@pytest.fixture
def run(database: Database, counting: Counting, tenant: str) -> Ingest:
    """Ingest paths: `await run(path, ...)`."""

    async def run(
        *paths: Path,
        embedder: Counting = counting,
        tenant_id: str = tenant,
        access: Access = UNCHANGED,
        **changes: object,
    ) -> Summary:
        settings = KnowledgeSettings().model_copy(update=changes)
        return await ingest(
            database, embedder, list(paths), tenant_id=tenant_id, settings=settings, access=access
        )

    return run
