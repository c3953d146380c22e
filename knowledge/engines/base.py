"""What finds vectors: the seam between search and an engine, one method wide."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from pgvector import HalfVector
from psycopg import AsyncConnection
from psycopg.rows import TupleRow

from embeddings.base import Vector, Vectors
from knowledge.filter import Filter

Conn = AsyncConnection[TupleRow]


class VectorIndex(Protocol):
    """Finds the chunks nearest in meaning. What search uses; every implementation is exact about
    what may be seen and approximate only about what is nearest."""

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
        """Return chunk_id -> cosine of at most `limit` chunks, best first, ties by chunk_id.

        conn: inside a transaction opened for `tenant_id`; what it sees decides what exists.
        chunks: about how many the tenant has, where the caller knows.
        """


@dataclass(frozen=True, slots=True)
class Points:
    """Chunks as an engine holds them: vectors and what filters ask for, never their text."""

    chunk_ids: Sequence[int]
    vectors: Vectors
    places: Sequence[Place]  # of each chunk


@dataclass(frozen=True, slots=True)
class Place:
    """The document of a chunk, as far as filters ask for it."""

    document_id: UUID
    uri: str
    owners: tuple[str, ...]
    groups: tuple[str, ...]
    labels: tuple[str, ...]


class VectorEngine(Protocol):
    """A store of vectors beside Postgres. Its copy may be late; `Mirrored` makes up for that.

    Every method raises VectorEngineUnavailable when the engine does not answer.
    """

    @property
    def name(self) -> str:
        """Which copy this is: another name is another copy, which begins empty."""

    async def prepare(self) -> None:
        """Make what the copy needs, unless it is there."""

    async def nearest(
        self, vector: Vector, *, tenant_id: str, limit: int, filter: Filter
    ) -> list[int]:
        """Return the chunk_ids of the nearest vectors, best first, as of the last `put`."""

    async def put(self, points: Points, *, tenant_id: str) -> None:
        """Store vectors, in place of those with the same chunk_id; durable when it returns."""

    async def drop(self, document_ids: Sequence[UUID], *, tenant_id: str) -> None:
        """Forget the vectors of documents."""

    async def clear(self, *, tenant_id: str) -> None:
        """Forget all vectors of a tenant."""

    async def count(self, *, tenant_id: str) -> int:
        """Return how many vectors of a tenant there are, exactly."""
