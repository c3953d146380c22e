"""Postgres itself as the index: exact where that is quick, HNSW elsewhere."""

from __future__ import annotations

from pgvector import HalfVector

from knowledge.engines.base import Conn
from knowledge.filter import Filter
from knowledge.nearest import nearest


class PostgresIndex:
    """The `VectorIndex` that needs nothing else: the vectors beside the text."""

    async def nearest(
        self,
        conn: Conn,
        vector: HalfVector,
        *,
        tenant_id: str,
        limit: int,
        filter: Filter,
        chunks: int | None = None,
    ) -> dict[int, float]:
        """Return chunk_id -> cosine of at most `limit` chunks, best first, ties by chunk_id."""
        return await nearest(
            conn, vector, tenant_id=tenant_id, limit=limit, filter=filter, chunks=chunks
        )
