from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from db.pool import Database
from knowledge import keywords
from knowledge.keywords import POSTING, rank
from knowledge.store import remove_document
from tests.knowledge.conftest import Put

WORDS = st.sampled_from(["apple", "pear", "plum", "fig", "quince"])


def plain_bm25(corpus: Sequence[Sequence[str]], query: Sequence[str]) -> dict[int, float]:
    """Return chunk -> score by the textbook, one chunk at a time."""
    average = sum(map(len, corpus)) / len(corpus)
    scores: dict[int, float] = {}
    for number, chunk in enumerate(corpus):
        counts = Counter(chunk)
        for word in set(query) & set(chunk):
            n = sum(word in other for other in corpus)
            idf = math.log(1 + (len(corpus) - n + 0.5) / (n + 0.5))
            norm = 1.2 * (1 - 0.75 + 0.75 * len(chunk) / average)
            score = idf * counts[word] / (counts[word] + norm)
            scores[number] = scores.get(number, 0) + score
    return scores


@given(
    corpus=st.lists(st.lists(WORDS, min_size=1, max_size=12), min_size=1, max_size=20),
    query=st.lists(WORDS, min_size=1, max_size=5),
)
def test_rank(corpus: list[list[str]], query: list[str]) -> None:
    """The scores of posting lists are those of the textbook, on any small corpus."""
    lists = [
        np.array(
            [(i, chunk.count(word), len(chunk)) for i, chunk in enumerate(corpus) if word in chunk],
            POSTING,
        )
        for word in sorted(set(query))
        if any(word in chunk for chunk in corpus)
    ]
    expected = plain_bm25(corpus, query)
    if not lists:
        assert not expected
        return
    hits = rank(lists, chunks=len(corpus), words=sum(map(len, corpus)), limit=100)
    assert dict(hits) == pytest.approx(expected)
    assert hits == sorted(hits, key=lambda hit: (-hit.score, hit.chunk_id))
    assert rank(lists, chunks=len(corpus), words=sum(map(len, corpus)), limit=3) == hits[:3]


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
    assert {numbers[hit.chunk_id]: hit.score for hit in hits} == pytest.approx(
        plain_bm25(corpus, query)
    )


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
