"""Qdrant as an engine for vectors: one collection, tenants as its partitions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from types import ModuleType
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import httpx

from core.errors import SettingsInvalid, VectorEngineUnavailable
from embeddings.base import Vector
from knowledge.engines.base import Points
from knowledge.filter import Filter

if TYPE_CHECKING:
    from qdrant_client import AsyncQdrantClient
    from qdrant_client.models import Condition

IN_MEMORY = ":memory:"
SEARCH_SECONDS = 1.0  # a search that takes longer is answered by Postgres
WRITE_SECONDS = 60
DIMENSIONS = 384
# As in Postgres: built for tenants each, because every search names one.
LINKS, CONSTRUCTION = 16, 200


class Qdrant:
    """A `VectorEngine` on a Qdrant server, or in this process for tests and small trials."""

    def __init__(
        self, client: AsyncQdrantClient, models: ModuleType, name: str, collection: str
    ) -> None:
        """Use `open`, which imports the client."""
        self.name = name
        self._client = client
        self._models = models
        self._collection = collection
        self._in_process = name.partition(" ")[2].startswith(("/", ".", IN_MEMORY))

    @classmethod
    @asynccontextmanager
    async def open(
        cls, location: str, *, api_key: str | None = None, collection: str = "parley"
    ) -> AsyncIterator[Qdrant]:
        """Give the engine; nothing is sent yet.

        location: http(s)://host:port, a folder, or ":memory:", which is empty each time.
        Raises SettingsInvalid when the client is not installed.
        """
        try:
            from qdrant_client import AsyncQdrantClient, models  # half a second: only who uses it
        except ImportError as error:
            raise SettingsInvalid(
                "KNOWLEDGE_QDRANT_URL is set, but the package qdrant-client is not installed.",
                hint="Install the optional extra: pip install 'qdrant-client>=1.15'.",
            ) from error
        name = f"qdrant {location}/{collection}"
        if location.startswith(("http://", "https://")):
            client = AsyncQdrantClient(
                url=location,
                timeout=WRITE_SECONDS,
                check_compatibility=False,  # it would ask the server here, and block
                headers={"api-key": api_key} if api_key else None,
            )
        elif location == IN_MEMORY:
            client = AsyncQdrantClient(location=IN_MEMORY)
            name += f" {uuid4()}"
        else:
            client = AsyncQdrantClient(path=location)
        try:
            yield cls(client, models, name, collection)
        finally:
            await client.close()

    async def prepare(self) -> None:
        """Make the collection and the indexes of its filters, unless they are there."""
        m = self._models
        with _translated():
            if await self._client.collection_exists(self._collection):
                return
            try:
                await self._client.create_collection(
                    self._collection,
                    vectors_config=m.VectorParams(
                        size=DIMENSIONS, distance=m.Distance.COSINE, datatype=m.Datatype.FLOAT16
                    ),
                    # One graph for each tenant instead of one for all.
                    hnsw_config=m.HnswConfigDiff(m=0, payload_m=LINKS, ef_construct=CONSTRUCTION),
                )
            except Exception:
                if not await self._client.collection_exists(self._collection):
                    raise
                # Another process made it just now.
            if self._in_process:
                return  # which compares all vectors and warns about indexes
            tenants = m.KeywordIndexParams(type=m.KeywordIndexType.KEYWORD, is_tenant=True)
            fields = ("document", "owners", "groups", "labels", "folders")
            schemas = {"tenant": tenants, "open": m.PayloadSchemaType.BOOL}
            schemas |= dict.fromkeys(fields, m.PayloadSchemaType.KEYWORD)
            for field, schema in schemas.items():
                await self._client.create_payload_index(self._collection, field, schema)

    async def nearest(
        self, vector: Vector, *, tenant_id: str, limit: int, filter: Filter
    ) -> list[int]:
        """Return the chunk_ids of the nearest vectors, best first, as of the last `put`."""
        m = self._models
        tuned = None if self._in_process else m.SearchParams(hnsw_ef=2 * limit)
        with _translated():
            async with asyncio.timeout(SEARCH_SECONDS):
                found = await self._client.query_points(
                    self._collection,
                    query=vector.tolist(),
                    query_filter=m.Filter(must=[self._of(tenant_id), *self._allowed(filter)]),
                    limit=limit,
                    with_payload=False,
                    search_params=tuned,
                )
        return [int(point.id) for point in found.points]

    async def put(self, points: Points, *, tenant_id: str) -> None:
        """Store vectors, in place of those with the same chunk_id; durable when it returns."""
        m = self._models
        payloads = [
            {
                "tenant": tenant_id,
                "document": str(place.document_id),
                "open": not place.owners and not place.groups,
                "owners": list(place.owners),
                "groups": list(place.groups),
                "labels": list(place.labels),
                "folders": folders(place.uri),
            }
            for place in points.places
        ]
        batch = m.Batch(
            ids=list(points.chunk_ids), vectors=points.vectors.tolist(), payloads=payloads
        )
        with _translated():
            await self._client.upsert(self._collection, batch, wait=True)

    async def drop(self, document_ids: Sequence[UUID], *, tenant_id: str) -> None:
        """Forget the vectors of documents."""
        documents = [str(document_id) for document_id in document_ids]
        await self._delete(self._of(tenant_id), self._has("document", documents))

    async def clear(self, *, tenant_id: str) -> None:
        """Forget all vectors of a tenant."""
        await self._delete(self._of(tenant_id))

    async def count(self, *, tenant_id: str) -> int:
        """Return how many vectors of a tenant there are, exactly."""
        with _translated():
            counted = await self._client.count(
                self._collection,
                count_filter=self._models.Filter(must=[self._of(tenant_id)]),
                exact=True,
            )
        return counted.count

    async def _delete(self, *conditions: Condition) -> None:
        m = self._models
        selector = m.FilterSelector(filter=m.Filter(must=list(conditions)))
        with _translated():
            await self._client.delete(self._collection, selector, wait=True)

    def _allowed(self, filter: Filter) -> list[Condition]:
        """Return what a filter asks for, as the function `readable` and the labels do in SQL.

        A prefix that ends inside a name is widened to its folder: Postgres looks at the rest.
        """
        m = self._models
        conditions = [self._is("labels", label) for label in filter.labels]
        if inside := folders(filter.under):
            conditions.append(self._is("folders", inside[-1]))
        if filter.reader is not None:
            seen = [self._is("open", True), self._is("owners", filter.reader.user_id)]
            if filter.reader.groups:
                seen.append(self._has("groups", list(filter.reader.groups)))
            conditions.append(m.Filter(should=seen))
        return conditions

    def _of(self, tenant_id: str) -> Condition:
        return self._is("tenant", tenant_id)

    def _is(self, key: str, value: str | bool) -> Condition:
        m = self._models
        condition: Condition = m.FieldCondition(key=key, match=m.MatchValue(value=value))
        return condition

    def _has(self, key: str, values: list[str]) -> Condition:
        m = self._models
        condition: Condition = m.FieldCondition(key=key, match=m.MatchAny(any=values))
        return condition


def folders(uri: str) -> list[str]:
    """Return every part of a uri that ends with `/` or `#`, shortest first.

    An engine that can only compare whole words finds by them what is under a folder or a file.
    """
    return [uri[: at + 1] for at, character in enumerate(uri) if character in "/#"]


@contextmanager
def _translated() -> Iterator[None]:
    """Turn what the client raises into VectorEngineUnavailable."""
    from qdrant_client.common.client_exceptions import QdrantException
    from qdrant_client.http.exceptions import ApiException

    try:
        yield
    # In process, a missing collection is a ValueError.
    except (ApiException, QdrantException, httpx.HTTPError, OSError, ValueError) as error:
        what = " ".join(str(error).split())[:200] or type(error).__name__
        raise VectorEngineUnavailable(f"Qdrant does not answer: {what}") from error
