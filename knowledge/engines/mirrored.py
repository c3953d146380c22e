"""Searches a copy of the vectors in another engine, and lets Postgres have the last word.

The engine narrows millions of chunks down to some; Postgres says which of them exist, who may read
them and how near they are, and adds what changed since the engine was last told. So a deletion, a
new text and a withdrawn right count from the transaction on in which they happened, however late
the copy is (docs/decisions/0015).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

import numpy as np
from pgvector import HalfVector

from core.errors import VectorEngineUnavailable
from db.sql import load
from knowledge.engines.base import Conn, VectorEngine, VectorIndex
from knowledge.filter import Filter

SQL = load(__file__)

LATE_CHUNKS = 5_000  # changed ones that are compared one by one: 3 ms; more wait for the copy
SPARE = 20  # asked for besides, because some of the engine's may be gone from Postgres
REST_SECONDS = 5.0  # an engine that failed is not asked meanwhile

_log = logging.getLogger(__name__)


class Mirrored:
    """A `VectorIndex` over an engine that holds a copy."""

    def __init__(
        self,
        engine: VectorEngine,
        *,
        otherwise: VectorIndex | None,
        small_chunks: int = 5_000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """otherwise: answers where the engine cannot, or cannot fully: it does not answer, its copy
        is not complete, a tenant is small, or a filter leaves less than was asked for. None: raise
        VectorEngineUnavailable where it cannot, and return what there is.
        small_chunks: a tenant with no more is not worth the way to the engine.
        """
        self._engine = engine
        self._otherwise = otherwise
        self._small_chunks = small_chunks
        self._clock = clock
        self._rests_until = -float("inf")

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
        try:
            found = await self._found(conn, vector, tenant_id, limit, filter)
        except VectorEngineUnavailable as error:
            if self._otherwise is None:
                raise
            if self._clock() >= self._rests_until:
                _log.warning("vectors are searched in Postgres: %s", error)
                self._rests_until = self._clock() + REST_SECONDS
            found = {}
        if len(found) < limit and self._otherwise is not None:
            return await self._otherwise.nearest(
                conn, vector, tenant_id=tenant_id, limit=limit, filter=filter, chunks=chunks
            )
        return found

    async def _found(
        self, conn: Conn, vector: HalfVector, tenant_id: str, limit: int, filter: Filter
    ) -> dict[int, float]:
        if self._clock() < self._rests_until:
            raise VectorEngineUnavailable
        parameters = filter.parameters() | {
            "tenant_id": tenant_id,
            "engine": self._engine.name,
            "vector": vector,
            "limit": limit,
        }
        cursor = await conn.execute(
            SQL["usable"], parameters | {"late": LATE_CHUNKS, "small": self._small_chunks}
        )
        usable = await cursor.fetchone()
        if usable is None or not usable[0]:
            if self._otherwise is None:
                raise VectorEngineUnavailable("The vector engine has not caught up.")
            return {}
        # What is late is read before the engine is asked: a document that it is told of in
        # between is found twice rather than never.
        cursor = await conn.execute(SQL["late"], parameters)
        rows = await cursor.fetchall()
        near = await self._engine.nearest(
            vector.to_numpy().astype(np.float32),
            tenant_id=tenant_id,
            limit=limit + SPARE,
            filter=filter,
        )
        cursor = await conn.execute(SQL["sure"], parameters | {"chunk_ids": near})
        sure = dict([*rows, *await cursor.fetchall()])
        return dict(sorted(sure.items(), key=lambda item: (-item[1], item[0]))[:limit])
