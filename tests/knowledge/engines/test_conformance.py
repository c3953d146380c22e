"""What every vector index does, whichever engine is behind it and however late its copy is."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from db.pool import Database
from knowledge.engines.mirrored import Mirrored
from knowledge.engines.postgres import PostgresIndex
from knowledge.engines.qdrant import IN_MEMORY, Qdrant
from knowledge.engines.sync import sync
from knowledge.filter import Filter, Reader
from tests.knowledge.engines.world import World


@pytest.fixture(params=["postgres", "qdrant", "qdrant that is late"])
async def world(request: pytest.FixtureRequest, database: Database) -> AsyncIterator[World]:
    """An empty knowledge base behind each kind of index; none falls back to another."""
    if request.param == "postgres":
        yield World(database, PostgresIndex(), None, late=False)
        return
    pytest.importorskip("qdrant_client", reason="the extra qdrant is not installed")
    async with Qdrant.open(IN_MEMORY) as engine:
        for tenant_id in ("default", "other"):
            await sync(database, engine, tenant_id=tenant_id)
        index = Mirrored(engine, otherwise=None, small_chunks=-1)
        yield World(database, index, engine, late=request.param != "qdrant")


async def test_order(world: World) -> None:
    """The nearest come first, with their cosine."""
    await world.put("a", 50, 10, 30)
    await world.put("b", 20, 40)
    await world.settle()
    assert await world.find() == ["a@10", "b@20", "a@30", "b@40", "a@50"]
    scores = list((await world.scores()).values())
    assert scores == pytest.approx([0.985, 0.940, 0.866, 0.766, 0.643], abs=1e-3)


async def test_ties(world: World) -> None:
    """Equally near chunks come in the order of their ids."""
    for uri in ("c", "a", "b"):
        await world.put(uri, 30)
    await world.put("d", 10)
    await world.settle()
    assert await world.find() == ["d@10", "c@30", "a@30", "b@30"]


async def test_limit(world: World) -> None:
    """At most so many come, and they are the best."""
    await world.put("a", *range(1, 60))
    await world.settle()
    assert await world.find(limit=3) == ["a@1", "a@2", "a@3"]
    assert len(await world.find(limit=100)) == 59


async def test_empty(world: World) -> None:
    """A knowledge base without documents, or without allowed ones, gives nothing."""
    assert await world.find() == []
    await world.put("a", 10, owners=["ann"])
    await world.settle()
    assert await world.find(filter=Filter(reader=Reader("bob"))) == []


async def test_tenants(world: World) -> None:
    """A tenant finds its own chunks only, even where others have nearer ones."""
    await world.put("a", 1, 2, 3, tenant_id="other")
    await world.put("b", 80)
    await world.settle()
    await world.settle(tenant_id="other")
    assert await world.find() == ["b@80"]
    assert await world.find(tenant_id="other") == ["a@1", "a@2", "a@3"]


READERS = [
    (None, ["owned", "shared", "both", "open"]),
    (Reader("ann"), ["owned", "both", "open"]),
    (Reader("bob", ("staff",)), ["shared", "both", "open"]),
    (Reader("bob", ("guests", "staff")), ["shared", "both", "open"]),
    (Reader("ann", ("staff",)), ["owned", "shared", "both", "open"]),
    (Reader("bob"), ["open"]),
    (Reader("staff", ("ann",)), ["open"]),
    (Reader(""), ["open"]),
]


async def test_readers(world: World) -> None:
    """People see what they or their groups may read, and what names nobody."""
    await world.put("owned", 10, owners=["ann", "eve"])
    await world.put("shared", 20, groups=["staff"])
    await world.put("both", 30, owners=["ann"], groups=["staff"])
    await world.put("open", 40)
    await world.settle()
    for reader, expected in READERS:
        found = await world.find(filter=Filter(reader=reader))
        assert [name.partition("@")[0] for name in found] == expected, reader


async def test_what_may_not_be_read_takes_nobodys_place(world: World) -> None:
    """Many near chunks of others do not push a distant one of one's own off the list."""
    await world.put("theirs", *range(1, 41), owners=["ann"])
    await world.put("mine", 85, owners=["bob"])
    await world.settle()
    assert await world.find(limit=5, filter=Filter(reader=Reader("bob"))) == ["mine@85"]


async def test_labels(world: World) -> None:
    """A document is found by labels when it carries all of them."""
    await world.put("a", 10, labels=["red"])
    await world.put("b", 20, labels=["red", "round"])
    await world.put("c", 30)
    await world.settle()
    assert await world.find(filter=Filter(labels=("red",))) == ["a@10", "b@20"]
    assert await world.find(filter=Filter(labels=("round", "red"))) == ["b@20"]
    assert await world.find(filter=Filter(labels=("green",))) == []


URIS = ["file:///d/a.md", "file:///d/a.md#2", "file:///d/ab/c", "file:///e_", "note:7"]
PREFIXES = [
    ("", URIS),
    ("file:///d/", URIS[:3]),
    ("file:///d/a", URIS[:3]),
    ("file:///d/a.md#", URIS[1:2]),
    ("file:///e_", URIS[3:4]),
    ("file:///e%", []),
    ("note", URIS[4:]),
    ("file:///d/a.md#2 and more", []),
]


async def test_under(world: World) -> None:
    """A search may be narrowed to uris with a prefix, wherever it ends, taken literally."""
    for degrees, uri in enumerate(URIS, 10):
        await world.put(uri, degrees)
    await world.settle()
    for under, expected in PREFIXES:
        found = await world.find(filter=Filter(under=under))
        assert [name.partition("@")[0] for name in found] == expected, under


async def test_filters_together(world: World) -> None:
    """Reader, labels and prefix all have to allow a document."""
    await world.put("x/a", 10, owners=["ann"], labels=["red"])
    await world.put("x/b", 20, owners=["bob"], labels=["red"])
    await world.put("x/c", 30, owners=["ann"])
    await world.put("y/d", 40, owners=["ann"], labels=["red"])
    await world.settle()
    wanted = Filter(reader=Reader("ann"), labels=("red",), under="x/")
    assert await world.find(filter=wanted) == ["x/a@10"]


async def test_deletion_counts_at_once(world: World) -> None:
    """A deleted document is not found any more, before any engine hears of it."""
    await world.put("a", 10)
    await world.put("b", 20)
    await world.settle()
    await world.remove("a")
    assert await world.find() == ["b@20"]
    await world.settle()
    assert await world.find() == ["b@20"]


async def test_new_and_changed_documents_count_at_once(world: World) -> None:
    """New chunks are found, and old ones not, before any engine hears of them."""
    await world.put("a", 10, 30)
    await world.settle()
    await world.put("a", 20, 40)
    await world.put("b", 5)
    assert await world.find() == ["b@5", "a@20", "a@40"]
    await world.settle()
    assert await world.find() == ["b@5", "a@20", "a@40"]


async def test_access_counts_at_once(world: World) -> None:
    """A right that is withdrawn or given counts before any engine hears of it."""
    await world.put("a", 10, owners=["ann"], labels=["old"])
    await world.put("b", 20, owners=["ann"])
    await world.settle()
    await world.allow("a", owners=["bob"], labels=["new"])
    bob, ann = Filter(reader=Reader("bob")), Filter(reader=Reader("ann"))
    assert await world.find(filter=ann) == ["b@20"]
    assert await world.find(filter=bob) == ["a@10"]
    assert await world.find(filter=Filter(labels=("new",))) == ["a@10"]
    assert await world.find(filter=Filter(labels=("old",))) == []


async def test_a_change_that_is_rolled_back_does_not_count(world: World) -> None:
    """What a transaction takes back was never there, for any engine."""
    await world.put("a", 10)
    await world.settle()
    async with world.database.transaction("default") as conn:
        await conn.execute("delete from documents")
        await conn.rollback()
    await world.settle()
    assert await world.find() == ["a@10"]
