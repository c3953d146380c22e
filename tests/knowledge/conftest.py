"""A knowledge base in three lines: what tests of the store and of the search put in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from uuid import UUID

import pytest

from db.pool import Database
from embeddings.minilm import MiniLM
from knowledge.store import Chunk, DocumentRow, replace_document, searchable

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
