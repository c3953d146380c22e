"""A knowledge base of bare vectors, and the ways in which it can change."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from pgvector import HalfVector

from db.pool import Database
from knowledge.engines.base import VectorEngine, VectorIndex
from knowledge.engines.sync import Told, sync
from knowledge.filter import EVERYTHING, Filter

DIMENSIONS = 384


def at(degrees: float) -> list[float]:
    """Return a vector whose cosine with `at(0)` is that of the angle."""
    radians = math.radians(degrees)
    return [math.cos(radians), math.sin(radians)] + [0.0] * (DIMENSIONS - 2)


class World:
    """Documents whose chunks are angles; an engine that is told of them when `settle` says so."""

    def __init__(
        self, database: Database, index: VectorIndex, engine: VectorEngine | None, *, late: bool
    ) -> None:
        self.database = database
        self.index = index
        self._engine = engine
        self._late = late
        self._names: dict[int, str] = {}

    async def put(
        self,
        uri: str,
        *degrees: float,
        tenant_id: str = "default",
        owners: Sequence[str] = (),
        groups: Sequence[str] = (),
        labels: Sequence[str] = (),
    ) -> None:
        """Store a document in place of the one with the same uri; a chunk is called `uri@angle`."""
        async with self.database.transaction(tenant_id) as conn:
            cursor = await conn.execute(
                "insert into documents (tenant_id, uri, title, media_type, content_sha256,"
                " embedding_model, bytes, chunks, owners, groups, labels)"
                " values (%s, %s, '', '', '', '', 0, %s, %s, %s, %s)"
                " on conflict (tenant_id, uri) do update set chunks = excluded.chunks,"
                " version = nextval('document_versions') returning document_id",
                [tenant_id, uri, len(degrees), list(owners), list(groups), list(labels)],
            )
            row = await cursor.fetchone()
            assert row
            await conn.execute("delete from chunks where document_id = %s", [row[0]])
            for ordinal, angle in enumerate(degrees):
                cursor = await conn.execute(
                    "insert into chunks (tenant_id, document_id, ordinal, text, tokens, embedding)"
                    " values (%s, %s, %s, '', 0, %s) returning chunk_id",
                    [tenant_id, row[0], ordinal, HalfVector(np.array(at(angle)))],
                )
                chunk = await cursor.fetchone()
                assert chunk
                self._names[chunk[0]] = f"{uri}@{angle:g}"

    async def remove(self, uri: str) -> None:
        """Delete a document."""
        async with self.database.transaction("default") as conn:
            await conn.execute("delete from documents where uri = %s", [uri])

    async def allow(
        self, uri: str, *, owners: Sequence[str] = (), labels: Sequence[str] = ()
    ) -> None:
        """Change who may read a document, and its labels."""
        async with self.database.transaction("default") as conn:
            await conn.execute(
                "update documents set owners = %s, labels = %s,"
                " version = nextval('document_versions') where uri = %s",
                [list(owners), list(labels), uri],
            )

    async def settle(self, *, tenant_id: str = "default", check: bool = False) -> Told:
        """Let the engine catch up, where there is one that is not to be late."""
        if self._engine is None or self._late:
            return Told()
        return await sync(self.database, self._engine, tenant_id=tenant_id, check=check)

    async def find(
        self,
        degrees: float = 0,
        *,
        limit: int = 10,
        filter: Filter = EVERYTHING,
        tenant_id: str = "default",
    ) -> list[str]:
        """Return the names of the nearest chunks, best first."""
        return [
            self._names[chunk_id]
            for chunk_id in await self.scores(
                degrees, limit=limit, filter=filter, tenant_id=tenant_id
            )
        ]

    async def scores(
        self,
        degrees: float = 0,
        *,
        limit: int = 10,
        filter: Filter = EVERYTHING,
        tenant_id: str = "default",
    ) -> dict[int, float]:
        """Return the nearest chunks as the index does."""
        async with self.database.transaction(tenant_id) as conn:
            return await self.index.nearest(
                conn,
                HalfVector(np.array(at(degrees))),
                tenant_id=tenant_id,
                limit=limit,
                filter=filter,
            )
