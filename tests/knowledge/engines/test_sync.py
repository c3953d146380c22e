"""The copy follows Postgres, whoever is interrupted; while it cannot, Postgres answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from uuid import UUID

import pytest

from core.errors import VectorEngineUnavailable
from core.settings import KnowledgeSettings
from db.pool import Database
from embeddings.base import Vector
from knowledge.engines.base import Points
from knowledge.engines.choose import tell, vector_index
from knowledge.engines.mirrored import LATE_CHUNKS, Mirrored
from knowledge.engines.postgres import PostgresIndex
from knowledge.engines.qdrant import IN_MEMORY, Qdrant, folders
from knowledge.engines.sync import sync
from knowledge.filter import Filter
from tests.knowledge.engines.world import World

pytest.importorskip("qdrant_client", reason="the extra qdrant is not installed")

CLOSED = "http://127.0.0.1:9"  # the port `discard`, where nobody listens


class Watched:
    """An engine that counts what it is asked, and can break off in the middle of a `put`."""

    def __init__(self, engine: Qdrant) -> None:
        self.name = engine.name
        self.searches = 0
        self.puts_left: int | None = None
        self._engine = engine

    async def prepare(self) -> None:
        """Ask the engine."""
        await self._engine.prepare()

    async def nearest(
        self, vector: Vector, *, tenant_id: str, limit: int, filter: Filter
    ) -> list[int]:
        """Ask the engine."""
        self.searches += 1
        return await self._engine.nearest(vector, tenant_id=tenant_id, limit=limit, filter=filter)

    async def put(self, points: Points, *, tenant_id: str) -> None:
        """Ask the engine, so long as that is allowed."""
        if self.puts_left == 0:
            raise VectorEngineUnavailable
        if self.puts_left is not None:
            self.puts_left -= 1
        await self._engine.put(points, tenant_id=tenant_id)

    async def drop(self, document_ids: Sequence[UUID], *, tenant_id: str) -> None:
        """Ask the engine."""
        await self._engine.drop(document_ids, tenant_id=tenant_id)

    async def clear(self, *, tenant_id: str) -> None:
        """Ask the engine."""
        await self._engine.clear(tenant_id=tenant_id)

    async def count(self, *, tenant_id: str) -> int:
        """Ask the engine."""
        return await self._engine.count(tenant_id=tenant_id)


@pytest.fixture
async def engine() -> AsyncIterator[Watched]:
    """An empty engine."""
    async with Qdrant.open(IN_MEMORY) as opened:
        yield Watched(opened)


def world(database: Database, engine: Watched, *, small_chunks: int = -1) -> World:
    """Return an empty knowledge base behind an engine, with Postgres behind that."""
    index = Mirrored(engine, otherwise=PostgresIndex(), small_chunks=small_chunks)
    return World(database, index, engine, late=False)


async def test_documents_that_were_there_before_are_told(
    database: Database, engine: Watched, tenant: str
) -> None:
    """The first call tells everything, the next one only what changed, then nothing."""
    there = world(database, engine)
    for number in range(3):
        await there.put(f"{number}", 10, 20)
    assert (await there.settle()).chunks == 6
    await there.put("1", 30)
    await there.remove("2")
    told = await there.settle()
    assert (told.documents, told.chunks) == (2, 1)
    assert (await there.settle()).documents == 0
    assert await engine.count(tenant_id=tenant) == 3


async def test_what_was_cut_off_goes_on(database: Database, engine: Watched, tenant: str) -> None:
    """An engine that fails in the middle is told all of it the next time, and nothing twice."""
    there = world(database, engine)
    for number in range(300):  # more than one step
        await there.put(f"{number}", number / 10)
    engine.puts_left = 1
    with pytest.raises(VectorEngineUnavailable):
        await there.settle()
    assert await there.find(limit=2) == ["0@0", "1@0.1"]
    engine.puts_left = None
    assert (await there.settle()).documents < 300
    assert await engine.count(tenant_id=tenant) == 300


async def test_two_at_once(database: Database, engine: Watched, tenant: str) -> None:
    """Two processes that tell at the same time, while documents change, end with the truth."""
    there = world(database, engine)
    for number in range(20):
        await there.put(f"{number}", 10)
    await asyncio.gather(
        there.settle(),
        there.settle(),
        *(there.put(f"{number}", 20, 30) for number in range(10)),
    )
    await there.settle(check=True)
    assert await engine.count(tenant_id=tenant) == 30


async def test_a_lost_copy_is_made_anew(database: Database, engine: Watched, tenant: str) -> None:
    """A check finds that the engine lost its data, and repairs it; otherwise it finds nothing."""
    there = world(database, engine)
    await there.put("a", 10, 20)
    assert not (await there.settle(check=True)).rebuilt
    await engine.clear(tenant_id=tenant)
    assert (await there.settle(check=True)).rebuilt
    assert await engine.count(tenant_id=tenant) == 2


async def test_a_lost_copy_hides_nothing(database: Database, engine: Watched, tenant: str) -> None:
    """Where the engine finds less than was asked for, Postgres answers."""
    there = world(database, engine)
    await there.put("a", 10, 20)
    await there.settle()
    await engine.clear(tenant_id=tenant)
    assert await there.find() == ["a@10", "a@20"]


async def test_small_tenants_do_not_ask_the_engine(
    database: Database, engine: Watched, tenant: str
) -> None:
    """A tenant with few chunks is compared in Postgres, which is exact and near."""
    there = world(database, engine, small_chunks=2)
    await there.put("a", 10, 20)
    await there.settle()
    await there.find(limit=1)
    assert engine.searches == 0
    await there.put("b", 30)
    await there.settle()
    await there.find(limit=1)
    assert engine.searches == 1


async def test_a_copy_that_is_far_behind_is_not_asked(
    database: Database, engine: Watched, tenant: str
) -> None:
    """Beyond a few thousand chunks that it has not heard of, Postgres answers."""
    there = world(database, engine)
    await there.settle()
    await there.put("a", 10)
    async with database.transaction(tenant) as conn:
        await conn.execute(
            "insert into chunks (tenant_id, document_id, ordinal, text, tokens, embedding)"
            " select tenant_id, document_id, n, '', 0, embedding"
            " from chunks, generate_series(1, %s) n",
            [LATE_CHUNKS],
        )
    await there.scores(limit=1)
    assert engine.searches == 0


async def test_an_engine_that_is_down(database: Database, tenant: str) -> None:
    """Postgres answers at once and the engine is left alone for a while; without Postgres behind
    it, the error has a name; telling it fails with the same one."""
    now = 100.0
    async with Qdrant.open(CLOSED, api_key="secret") as down:
        with pytest.raises(VectorEngineUnavailable, match="Qdrant"):
            await sync(database, down, tenant_id=tenant)
        engine = Watched(down)
        index = Mirrored(engine, otherwise=PostgresIndex(), small_chunks=-1, clock=lambda: now)
        there = World(database, index, None, late=False)
        async with database.transaction(tenant) as conn:
            await conn.execute(
                "insert into engine_copies values (%s, %s, true)", [tenant, down.name]
            )
        await there.put("a", 10)
        assert await there.find(limit=1) == ["a@10"]
        assert await there.find(limit=1) == ["a@10"]
        assert engine.searches == 1
        now += 60
        assert await there.find(limit=1) == ["a@10"]
        assert engine.searches == 2
        alone = World(database, Mirrored(down, otherwise=None, small_chunks=-1), None, late=False)
        with pytest.raises(VectorEngineUnavailable):
            await alone.find(limit=1)


async def test_an_engine_that_is_down_does_not_fail_an_ingestion(
    database: Database, tenant: str, caplog: pytest.LogCaptureFixture
) -> None:
    """At the end of an ingestion it is only logged that the engine has to be told later."""
    settings = KnowledgeSettings().model_copy(update={"qdrant_url": CLOSED})
    await tell(database, settings, tenant_id=tenant)
    assert "knowledge sync" in caplog.text


async def test_settings_choose_the_index() -> None:
    """Without an address it is Postgres, with one it is the engine."""
    async with vector_index(KnowledgeSettings()) as index:
        assert isinstance(index, PostgresIndex)
    settings = KnowledgeSettings().model_copy(update={"qdrant_url": CLOSED})
    async with vector_index(settings) as index:
        assert isinstance(index, Mirrored)


async def test_nothing_is_noted_without_an_engine(database: Database, tenant: str) -> None:
    """Who uses no engine collects no changes for one."""
    there = World(database, PostgresIndex(), None, late=False)
    await there.put("a", 10)
    await there.remove("a")
    async with database.transaction(tenant) as conn:
        cursor = await conn.execute("select count(*) from engine_changes")
        assert await cursor.fetchone() == (0,)


def test_folders() -> None:
    """A uri lies in all its folders, and a line of a file in that file."""
    assert folders("file:///d/a.jsonl#7") == [
        *("file:/", "file://", "file:///", "file:///d/", "file:///d/a.jsonl#"),
    ]
