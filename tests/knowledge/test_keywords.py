from __future__ import annotations

import numpy as np
import pytest

from db.pool import Database
from knowledge import keywords
from knowledge.store import remove_document
from tests.knowledge.conftest import Put
from tests.knowledge.test_bm25 import plain_bm25


async def test_whole_way(database: Database, put: Put, tenant: str) -> None:
    """Through Postgres too: several documents of several chunks score as the textbook says."""
    random = np.random.default_rng(4)
    vocabulary = ["apple", "pear", "plum", "fig", "quince", "medlar", "cherry"]
    corpus: list[list[str]] = []
    for document in range(5):
        texts = [list(random.choice(vocabulary, random.integers(1, 30))) for _ in range(4)]
        await put(f"document {document}", *map(" ".join, texts))
        corpus += texts
    query = ["plum", "fig", "medlar"]
    async with database.transaction(tenant) as conn:
        hits = await keywords.search(conn, " ".join(query), tenant_id=tenant, limit=100)
        cursor = await conn.execute(
            "select chunk_id from chunks join documents using (document_id) order by uri, ordinal"
        )
        numbers = {chunk_id: n for n, (chunk_id,) in enumerate(await cursor.fetchall())}
    expected = plain_bm25(dict(enumerate(corpus)), query)
    assert {numbers[hit.chunk_id]: hit.score for hit in hits} == pytest.approx(expected)


async def find(database: Database, query: str, tenant_id: str) -> list[str]:
    """Return the texts of the chunks that share words with the question, best first."""
    async with database.transaction(tenant_id) as conn:
        hits = await keywords.search(conn, query, tenant_id=tenant_id, limit=10)
        cursor = await conn.execute(
            "select chunk_id, text from chunks where chunk_id = any(%s)",
            [[hit.chunk_id for hit in hits]],
        )
        texts: dict[int, str] = dict(await cursor.fetchall())
    return [texts[hit.chunk_id] for hit in hits]


async def test_stemming(database: Database, put: Put, tenant: str) -> None:
    """Questions and documents meet in their stems, whatever the case, beyond ASCII too."""
    await put("a", "Running foxes in ZÜRICH", "cats")
    assert await find(database, "a fox runs", tenant) == ["Running foxes in ZÜRICH"]
    assert await find(database, "zürich", tenant) == ["Running foxes in ZÜRICH"]


async def test_slash(database: Database, put: Put, tenant: str) -> None:
    """Words joined by a slash are words; Postgres alone would read a file name."""
    await put("a", "an input/output error")
    assert await find(database, "output", tenant) == ["an input/output error"]
    assert await find(database, "input/output", tenant) == ["an input/output error"]


async def test_headings(database: Database, put: Put, tenant: str) -> None:
    """Title and headings count as text of each chunk."""
    await put("a", "It was large.", title="Warsaw", section="History > Middle Ages")
    await put("b", "It was small.", title="Prague")
    assert await find(database, "Warsaw", tenant) == ["It was large."]
    assert await find(database, "middle ages", tenant) == ["It was large."]


async def test_rare_words_weigh_more(database: Database, put: Put, tenant: str) -> None:
    """A chunk with the rare word of a question comes before one with its common word."""
    await put("a", "the river Thames", "the river Rhine", "the river Seine", "a walrus")
    assert (await find(database, "river walrus", tenant))[0] == "a walrus"


async def test_replaced_and_removed(database: Database, put: Put, tenant: str) -> None:
    """What was replaced or removed is not found, and does not count in any statistic."""
    await put("a", "apple pear")
    await put("b", "apple plum")
    async with database.transaction(tenant) as conn:
        alone = await keywords.search(conn, "plum", tenant_id=tenant, limit=5)
    await put("c", *["apple plum quince"] * 5)
    await put("c", "nothing of this")
    async with database.transaction(tenant) as conn:
        await remove_document(conn, tenant_id=tenant, uri="c")
    async with database.transaction(tenant) as conn:
        assert await keywords.search(conn, "plum", tenant_id=tenant, limit=5) == alone
        assert await keywords.search(conn, "quince", tenant_id=tenant, limit=5) == []


async def test_tenants(database: Database, put: Put) -> None:
    """A tenant finds its own chunks, scored as if it were alone."""
    await put("a", "apple pear", "plum", tenant_id="one")
    async with database.transaction("one") as conn:
        alone = await keywords.search(conn, "apple", tenant_id="one", limit=5)
    await put("a", "apple apple", "apple", tenant_id="two")
    async with database.transaction("one") as conn:
        assert await keywords.search(conn, "apple", tenant_id="one", limit=5) == alone
        assert await keywords.search(conn, "apple", tenant_id="two", limit=5) == []


@pytest.mark.parametrize(
    "query", ["", "  ", "the of and", "?!…", "\u202e\u0301👩‍👩‍👧", "| & ! <-> :* ( '", "\\"]
)
async def test_nothing_to_search_for(database: Database, put: Put, tenant: str, query: str) -> None:
    """A question without a word finds nothing, and operators of tsquery are only characters."""
    await put("a", "apple")
    assert await find(database, query, tenant) == []


async def test_empty_corpus(database: Database, tenant: str) -> None:
    """A tenant without documents finds nothing."""
    assert await find(database, "apple", tenant) == []


async def test_long_query(database: Database, put: Put, tenant: str) -> None:
    """A question of 32 000 characters is searched whole."""
    await put("a", "apple", "needle")
    query = ("hay stack straw grass " * 1500)[:31_990] + " needle"
    assert await find(database, query, tenant) == ["needle"]
