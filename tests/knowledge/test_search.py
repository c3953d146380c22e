from __future__ import annotations

import re
from typing import Any, LiteralString

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pgvector import HalfVector

from core.errors import VectorEngineUnavailable
from core.turn import Passage
from db.pool import Database
from embeddings.minilm import MiniLM
from knowledge.engines.postgres import PostgresIndex
from knowledge.filter import EVERYTHING, Few, Filter, Reader
from knowledge.nearest import SQL, Conn, nearest
from knowledge.search import SQL as FOUND_SQL
from knowledge.search import Search, fuse
from knowledge.store import remove_document
from tests.knowledge.conftest import Put

ONES = HalfVector([1.0] * 384)
SCORES = st.dictionaries(st.integers(0, 30), st.floats(-5, 50, allow_nan=False), max_size=20)


@pytest.fixture
def search(embedder: MiniLM) -> Search:
    """A search over the real model."""
    return Search(embedder)


async def find(
    database: Database, search: Search, query: str, tenant_id: str, limit: int = 5
) -> list[Passage]:
    """Search the way a turn does."""
    return await search(database, query, tenant_id=tenant_id, limit=limit)


async def test_by_meaning(database: Database, search: Search, put: Put, tenant: str) -> None:
    """A passage is found that shares no word with the question."""
    await put("bike", "Mending punctures in wheels")
    await put("king", "The coronation of the monarch")
    passages = await find(database, search, "How do I fix a flat bicycle tyre?", tenant)
    assert passages[0]["uri"] == "bike"
    assert "keyword" not in passages[0]["scores"]


async def test_by_words(database: Database, search: Search, put: Put, tenant: str) -> None:
    """A part number decides between passages that mean the same."""
    for number in ("QX-7731", "QX-7732", "QX-7733"):
        await put(number, f"Spare part {number} is a seal for the pump.")
    for number in ("QX-7731", "QX-7732", "QX-7733"):
        passages = await find(database, search, f"What is {number}?", tenant)
        assert passages[0]["uri"] == number


async def test_what_a_passage_says(
    database: Database, search: Search, put: Put, tenant: str
) -> None:
    """A passage carries its document, its place in it, and what each retriever thought."""
    document_id = await put(
        "file:///w", "x", "Trams run to Praga.", title="Warsaw", section="A > B"
    )
    best = (await find(database, search, "Do trams run in Warsaw?", tenant))[0]
    vector, keyword = best["scores"].pop("vector"), best["scores"].pop("keyword")
    assert best.pop("chunk_id") > 0  # type: ignore[misc]
    assert best.pop("modified_at") is not None
    assert best["scores"].pop("fused") == 1.0
    assert best == {
        "document_id": str(document_id),
        "uri": "file:///w",
        "title": "Warsaw",
        "section": "A > B",
        "page": None,
        "ordinal": 1,
        "text": "Trams run to Praga.",
        "tokens": 6,
        "score": 1.0,
        "scores": {},
    }
    assert 0.4 < vector < 1
    assert keyword > 0


async def test_limit(database: Database, search: Search, put: Put, tenant: str) -> None:
    """At most `limit` passages come, best first, each once; what does not match fills up."""
    await put("a", *(f"apple number {n}" for n in range(20)), *(f"a king {n}" for n in range(20)))
    passages = await find(database, search, "apples", tenant, limit=7)
    assert len({p["chunk_id"] for p in passages}) == 7
    assert all("apple" in p["text"] for p in passages)
    assert [p["score"] for p in passages] == sorted((p["score"] for p in passages), reverse=True)
    assert len(await find(database, search, "apples", tenant, limit=40)) == 40


async def test_tenants(database: Database, search: Search, put: Put) -> None:
    """Two tenants see their own passages only, whichever is asked for in whose transaction."""
    await put("mine", "The secret of the one is blue", tenant_id="one")
    await put("yours", "The secret of the two is red", tenant_id="two")
    for tenant_id, uri in (("one", "mine"), ("two", "yours")):
        assert [p["uri"] for p in await find(database, search, "secret", tenant_id)] == [uri]
    async with database.transaction("one") as conn:
        assert await search.within(conn, "secret", tenant_id="two", limit=5) == []
    assert await find(database, search, "secret", "three") == []


@pytest.mark.parametrize("query", ["zebra stripes", "animals with black and white coats"])
async def test_changes_show_at_once(
    database: Database, search: Search, put: Put, tenant: str, query: str
) -> None:
    """What was replaced or removed is found neither by words nor by meaning, from then on."""
    await put("a", "zebra stripes", "the price of copper")
    await put("b", "a melody for two flutes")
    assert (await find(database, search, query, tenant))[0]["text"] == "zebra stripes"
    await put("a", "the price of tin")
    texts = {p["text"] for p in await find(database, search, query, tenant)}
    assert texts == {"the price of tin", "a melody for two flutes"}
    async with database.transaction(tenant) as conn:
        await remove_document(conn, tenant_id=tenant, uri="a")
    texts = {p["text"] for p in await find(database, search, query, tenant)}
    assert texts == {"a melody for two flutes"}


async def test_readers(database: Database, search: Search, put: Put, tenant: str) -> None:
    """A passage that a person may not read takes nobody's place; groups and owners may read it."""
    await put("open", "The office opens at nine")
    for number in range(30):
        await put(f"secret/{number}", f"The office opens secretly at {number}")
    async with database.transaction(tenant) as conn:
        await conn.execute(
            "update documents set owners = '{ann}', groups = '{board}' where uri like 'secret/%%'"
        )
        for reader, expected in (
            (Reader("bob"), 1),
            (Reader("ann"), 10),
            (Reader("bob", ("staff", "board")), 10),
            (None, 10),
        ):
            found = await search.within(
                conn,
                "When does the office open?",
                tenant_id=tenant,
                limit=10,
                filter=Filter(reader),
            )
            assert len(found) == expected
        found = await search.within(
            conn, "office", tenant_id=tenant, limit=20, filter=Filter(under="secret/2")
        )
        assert {one["uri"] for one in found} == {"secret/2", *(f"secret/2{n}" for n in range(10))}


@pytest.mark.parametrize(
    "filter", [EVERYTHING, Filter(Reader("bob")), Filter(Reader("ann")), Filter(under="secret/")]
)
async def test_in_a_transaction_of_its_own(
    database: Database, search: Search, put: Put, tenant: str, filter: Filter
) -> None:
    """A search that sends its statements together finds what one in a transaction finds."""
    await put("open", "The office opens at nine")
    for number in range(12):
        await put(f"secret/{number}", f"The office opens secretly at {number}")
    async with database.transaction(tenant) as conn:
        await conn.execute("update documents set owners = '{ann}' where uri like %s", ["secret/1%"])
    query = "When does the office open?"
    found = await search(database, query, tenant_id=tenant, limit=20, filter=filter)
    async with database.transaction(tenant) as conn:
        assert found == await search.within(conn, query, tenant_id=tenant, limit=20, filter=filter)
    assert len(found) == {"bob": 10}.get(filter.reader.user_id if filter.reader else "", 13) - (
        filter.under == "secret/"
    )


async def test_an_index_that_fails(
    database_url: str, embedder: MiniLM, put: Put, tenant: str
) -> None:
    """Its error passes through as it is, and the connection serves the next search."""

    class Broken(PostgresIndex):
        async def nearest(self, conn: Conn, *_: Any, **__: Any) -> dict[int, float]:
            await conn.execute("select 1 / 0")
            raise VectorEngineUnavailable

    await put("a", "apple", "pear")
    async with Database.open(database_url, min_size=1, max_size=1) as database:
        broken = Search(embedder, index=Broken())
        with pytest.raises(VectorEngineUnavailable):
            await broken(database, "apple", tenant_id=tenant, limit=5)
        passages = await find(database, Search(embedder), "apple", tenant)
        assert passages[0]["text"] == "apple"


async def test_empty(database: Database, search: Search, tenant: str) -> None:
    """An empty knowledge base answers with no passages."""
    assert await find(database, search, "anything", tenant) == []


@pytest.mark.parametrize(
    "query",
    [
        "the of and",
        "",
        "?!",
        "👩‍👩‍👧‍👦\u202e\u0301\ufeff",
        "ﬁ ＡＢＣ ǅ",
        "' \" \\ %s %(x)s ; --",
        "| & !",
    ],
)
async def test_strange_queries(
    database: Database, search: Search, put: Put, tenant: str, query: str
) -> None:
    """A question without a single searchable word still gets the nearest in meaning."""
    await put("a", "apple", "pear")
    passages = await find(database, search, query, tenant)
    assert len(passages) == 2
    assert all(0 <= p["score"] <= 1 for p in passages)


async def test_very_long_query(database: Database, search: Search, put: Put, tenant: str) -> None:
    """A question of 32 000 characters is searched; its last word counts among the keywords."""
    await put("a", "straw", "needle", "copper")
    query = ("the hay and the grass " * 1500)[:31_990] + " needle"
    passages = await find(database, search, query, tenant)
    assert next(p for p in passages if p["text"] == "needle")["scores"]["keyword"] > 0


async def test_index_agrees_with_scan(database: Database, tenant: str) -> None:
    """A large tenant is searched by the index, which finds what comparing all would find."""
    random = np.random.default_rng(7)
    vectors = random.normal(size=(600, 384)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    async with database.transaction(tenant) as conn:
        await conn.execute(
            "insert into documents (tenant_id, uri, title, media_type, content_sha256,"
            " embedding_model, bytes, chunks) values (%s, 'a', '', '', '', '', 0, 600)",
            [tenant],
        )
        await conn.cursor().executemany(
            "insert into chunks (tenant_id, document_id, ordinal, text, tokens, embedding)"
            " select tenant_id, document_id, %s, '', 0, %s from documents",
            [(n, HalfVector(vector)) for n, vector in enumerate(vectors)],
        )
        query = HalfVector(vectors[0] + vectors[1])
        exact = await nearest(conn, query, tenant_id=tenant, limit=50)
        await conn.execute("set local enable_sort = off")  # without statistics it would sort 600
        indexed = await nearest(conn, query, tenant_id=tenant, limit=50, few=Few(100, 1))
    assert list(exact)[:2] == list(indexed)[:2]
    assert len(exact.keys() & indexed.keys()) >= 48
    assert list(indexed.values()) == sorted(indexed.values(), reverse=True)


async def test_partition_pruning(database: Database, tenant: str) -> None:
    """A search touches the one partition of its tenant."""
    parameters = {"tenant_id": tenant, "vector": ONES, "limit": 5, "chunk_ids": [1]}
    parameters |= EVERYTHING.parameters()
    async with database.transaction(tenant) as conn:
        for statement in (
            SQL["all_by_index"],
            SQL["some_by_index"],
            SQL["exact"],
            FOUND_SQL["passages"],
        ):
            plan = await explain(conn, statement, parameters)
            assert len(set(re.findall(r"chunks_\d+", plan))) == 1, plan


async def test_index_is_used(database: Database, tenant: str) -> None:
    """The statement for large tenants can use the HNSW index, that for small ones cannot."""
    parameters = {"tenant_id": tenant, "vector": ONES, "limit": 5} | EVERYTHING.parameters()
    async with database.transaction(tenant) as conn:
        await conn.execute("set local enable_sort = off")
        assert "embedding_idx" in await explain(conn, SQL["all_by_index"], parameters)
        assert "embedding_idx" in await explain(conn, SQL["some_by_index"], parameters)
        assert "embedding_idx" not in await explain(conn, SQL["exact"], parameters)


async def explain(conn: Conn, statement: LiteralString, parameters: dict[str, Any]) -> str:
    """Return how Postgres would run a statement."""
    cursor = await conn.execute("explain " + statement, parameters)
    return "\n".join([line for (line,) in await cursor.fetchall()])


@given(near=SCORES, matches=SCORES, weight=st.floats(0, 1))
def test_fusion(near: dict[int, float], matches: dict[int, float], weight: float) -> None:
    """Fusion keeps every candidate once, scores within [0, 1], best first, ties by id."""
    fused = fuse(near, matches, weight=weight)
    assert {chunk_id for chunk_id, _ in fused} == near.keys() | matches.keys()
    assert all(-1e-9 <= score <= 1 + 1e-9 for _, score in fused)
    assert fused == sorted(fused, key=lambda item: (-item[1], item[0]))


def test_fusion_by_hand() -> None:
    """Each retriever's best counts its whole weight, its last and what it lacks count nothing."""
    fused = fuse({1: 0.9, 2: 0.5, 3: 0.1}, {2: 12.0, 4: 2.0}, weight=0.25)
    assert fused == [(2, 0.875), (1, 0.25), (3, 0.0), (4, 0.0)]
    assert fuse({7: 0.3}, {}, weight=0.5) == [(7, 0.5)]
