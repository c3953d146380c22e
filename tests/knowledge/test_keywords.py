from __future__ import annotations

import itertools
import random
from uuid import uuid4

import numpy as np
import psycopg
import pytest

from db.embedded import EmbeddedPostgres
from db.migrate import migrate, migrations
from db.pool import Database
from knowledge import keywords
from knowledge.filter import Few, Filter, Reader
from knowledge.segments import merge
from knowledge.store import remove_document
from tests.knowledge.conftest import Put
from tests.knowledge.test_bm25 import plain_bm25
from tests.knowledge.words import WORDS, answers, ask
from tests.knowledge.words import put as put_words


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


async def test_filter(database: Database, tenant: str) -> None:
    """With a filter the best are those of the whole ranking that it lets through, in order.

    Whether it lets through much, little or nothing, fresh or packed.
    """
    chance = random.Random(7)
    label = {100: "one", 20: "some", 3: "many"}
    for n in range(100):
        await put_words(
            database,
            tenant,
            f"file:///{n % 2}/{n}",
            [" ".join(chance.choices(WORDS, k=6)) for _ in range(2)],
            labels=[name for every, name in label.items() if n % every == 0],
            owners=["ada"] if n % 3 else [],
        )
    filters = [
        Filter(labels=("many",)),
        Filter(labels=("some",)),
        Filter(labels=("one",)),
        Filter(labels=("none",)),
        Filter(labels=("many", "some")),
        Filter(under="file:///1/"),
        Filter(reader=Reader("ada")),
        Filter(reader=Reader("bob")),
        Filter(reader=Reader("bob"), labels=("some",), under="file:///0/"),
    ]
    for least in (1000, 150, 1):
        await merge(database, tenant_id=tenant, least=least)
        for filter, query in itertools.product(filters, ["apple", "plum fig quince"]):
            ranked = await ask(database, tenant, query, limit=1000)
            allowed = await let_through(database, tenant, filter)
            expected = [hit for hit in ranked if hit.chunk_id in allowed]
            for limit, few in itertools.product((1, 5, 300), (-1, 1000)):
                bound = Few(few, 1000)
                found = await ask(database, tenant, query, limit=limit, filter=filter, few=bound)
                assert found == expected[:limit], (filter, limit)


async def let_through(database: Database, tenant: str, filter: Filter) -> set[int]:
    """Return the chunks that a filter lets through, one question at a time."""
    async with database.transaction(tenant) as conn:
        cursor = await conn.execute(
            "select chunk_id, owners, labels, uri from chunks join documents using (document_id)"
        )
        rows = await cursor.fetchall()
    return {
        chunk_id
        for chunk_id, owners, labels, uri in rows
        if (filter.reader is None or not owners or filter.reader.user_id in owners)
        and set(filter.labels) <= set(labels)
        and uri.startswith(filter.under)
    }


async def test_upgrade(server: EmbeddedPostgres) -> None:
    """What an older version stored is found after the upgrade, without ingesting it again."""
    name = f"older_{uuid4().hex}"
    with psycopg.connect(server.admin_url, autocommit=True) as conn:
        conn.execute(f"create database {name}".encode())
    try:
        admin_url = server.address("postgres", name)
        with psycopg.connect(admin_url, autocommit=True) as conn:
            conn.execute("create schema parley")
            conn.execute("create schema checkpoints")
            conn.execute("set search_path = parley, checkpoints, public")
            conn.execute(
                "create table migrations (name text primary key, sha256 text not null,"
                " applied_at timestamptz not null default now())"
            )
            for migration in migrations():
                if migration.name < "0004":
                    conn.execute(migration.text.encode())
                    conn.execute(
                        "insert into migrations (name, sha256) values (%s, %s)",
                        [migration.name, migration.sha256],
                    )
            for number, tenant in enumerate(("one", "two")):
                conn.execute(
                    "insert into documents (tenant_id, document_id, uri, title, media_type,"
                    " content_sha256, embedding_model, chunks, bytes)"
                    " values (%s, gen_random_uuid(), 'a', 'Fruit', 'text/plain', '', 'm', 2, 1)",
                    [tenant],
                )
                conn.execute(
                    "insert into chunks (tenant_id, document_id, ordinal, text, tokens, embedding)"
                    " select tenant_id, document_id, o, t, 1, array_fill(0.1, array[384])"
                    " from documents, (values (0, 'an apple'), (1, %s)) c (o, t)"
                    " where tenant_id = %s",
                    [f"pear {number}/{number}", tenant],
                )
        await migrate(admin_url)
        async with Database.open(server.address("parley_app", name)) as database:
            assert len(await ask(database, "one", "fruit")) == 2
            assert len(await ask(database, "two", "pears")) == 1
            assert len(await ask(database, "one", "0")) == 1
            before = await ask(database, "two", "fruit apple")
            assert (await merge(database, tenant_id="two", least=1)).chunks == 2
            assert await ask(database, "two", "fruit apple") == before
    finally:
        with psycopg.connect(server.admin_url, autocommit=True) as conn:
            conn.execute(f"drop database {name} with (force)".encode())


async def test_reindexed(database: Database, tenant: str) -> None:
    """A chunk whose words are dropped and written again counts once, wherever its words lay."""
    await put_words(database, tenant, "a", ["apple", "plum"])
    before = await answers(database, tenant)
    for least in (100, 1, 100, 1):
        await merge(database, tenant_id=tenant, least=least)
        async with database.transaction(tenant) as conn:
            cursor = await conn.execute("select document_id, chunk_id from chunks order by ordinal")
            (document_id, chunk_id), _ = await cursor.fetchall()
            key = {"tenant_id": tenant, "document_id": document_id, "chunk_ids": [chunk_id]}
            await keywords.drop(conn, **key)
            assert await keywords.search(conn, "apple", tenant_id=tenant, limit=5) == []
            await keywords.index(conn, **key)
        assert await answers(database, tenant) == before
