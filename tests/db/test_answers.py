"""Answers that may be given again, and when they are dead."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from pgvector import HalfVector

from core.errors import CacheFailed
from db import answers
from db.answers import Asked, Found
from db.pool import Database
from tests.db.waiting import settled

TENANT = "default"
NEAR, FAR = 0.95, 0.1


def vector(cosine: float) -> HalfVector:
    """Return a unit vector with this cosine to the question's."""
    values = np.zeros(384, dtype=np.float32)
    values[0], values[1] = cosine, (1 - cosine**2) ** 0.5
    return HalfVector(values)


QUESTION = Asked(TENANT, b"policy", b"key", vector(1), "ada", ("staff",))


async def document(
    database: Database,
    uri: str,
    *,
    cosine: float = FAR,
    owners: Sequence[str] = (),
    groups: Sequence[str] = (),
    tenant: str = TENANT,
    waits: bool = True,
) -> str:
    """Store a document with one chunk that has this cosine to the question; return its id.

    waits: until a search counts as having seen it.
    """
    async with database.transaction(tenant) as conn:
        cursor = await conn.execute(
            """insert into documents (tenant_id, uri, title, media_type, content_sha256,
                                      embedding_model, chunks, bytes, owners, groups)
               values (%s, %s, '', 'text/plain', '', 'm', 1, 1, %s, %s) returning document_id""",
            (tenant, uri, list(owners), list(groups)),
        )
        row = await cursor.fetchone()
        assert row is not None
        await conn.execute(
            """insert into chunks (tenant_id, document_id, ordinal, text, tokens, embedding)
               values (%s, %s, 0, 'text', 1, %s)""",
            (tenant, row[0], vector(cosine)),
        )
    if waits:
        await settled(database)
    return str(row[0])


async def mark(database: Database) -> str:
    async with database.transaction(TENANT) as conn:
        return await answers.horizon(conn)


async def store(
    database: Database, documents: Sequence[str], asked: Asked = QUESTION, **changed: Any
) -> UUID | None:
    """Keep an answer that rests on these documents."""
    given: dict[str, Any] = {
        "question": "Why?",
        "turn": {"answer": "So."},
        "documents": documents,
        "nearest": 0.5,
        "horizon": changed.get("horizon") or await mark(database),
        "ttl_seconds": 60.0,
        "entries": 100,
    }
    async with database.transaction(asked.tenant_id) as conn:
        return await answers.store(conn, asked, **(given | changed))


async def find(database: Database, asked: Asked = QUESTION) -> list[Found]:
    async with database.transaction(asked.tenant_id) as conn:
        return await answers.find(conn, asked, similarity=0.9)


async def execute(database: Database, statement: str, *parameters: Any) -> None:
    async with database.transaction(TENANT) as conn:
        await conn.execute(statement, parameters)


async def count(database: Database) -> int:
    async with database.transaction(TENANT) as conn:
        row = await (await conn.execute("select count(*) from answers")).fetchone()
    assert row is not None
    return int(row[0])


async def test_an_answer_is_found_again(database: Database) -> None:
    """By the same question exactly, by one near it in meaning, and by no other."""
    one = await document(database, "one")
    kept = await store(database, [one])
    exact = await find(database)
    assert [(f.answer_id, f.exact, f.turn) for f in exact] == [(kept, True, {"answer": "So."})]
    near = await find(database, replace(QUESTION, key=b"other", vector=vector(NEAR)))
    assert [f.exact for f in near] == [False]
    assert near[0].cosine == pytest.approx(NEAR, abs=0.001)
    assert await find(database, replace(QUESTION, key=b"other", vector=vector(0.8))) == []


async def test_another_policy_finds_nothing(database: Database) -> None:
    """Another prompt, model or setting makes another answer."""
    await store(database, [await document(database, "one")])
    assert await find(database, replace(QUESTION, policy=b"another")) == []


async def test_another_tenant_finds_nothing(database: Database) -> None:
    """The same question of another tenant is looked up among its own."""
    await store(database, [await document(database, "one")])
    assert await find(database, replace(QUESTION, tenant_id="b")) == []


async def test_a_new_version_ends_an_answer(database: Database) -> None:
    """At once, and nothing of it stays."""
    one, two = await document(database, "one"), await document(database, "two")
    await store(database, [one, two])
    await execute(
        database,
        "update documents set version = nextval('document_versions') where document_id = %s",
        two,
    )
    assert await find(database) == []
    assert await count(database) == 0


async def test_a_deleted_document_takes_its_answers_along(database: Database) -> None:
    """In the same transaction: who deletes it sees no answer from it any more."""
    one, two = await document(database, "one"), await document(database, "two")
    await store(database, [one])
    await store(database, [two], replace(QUESTION, key=b"two"))
    async with database.transaction(TENANT) as conn:
        await conn.execute("delete from documents where document_id = %s", (one,))
        assert await answers.find(conn, QUESTION, similarity=1.1) == []
    assert await count(database) == 1


async def test_an_answer_from_what_changed_meanwhile_is_not_kept(database: Database) -> None:
    """A document may change while the model writes: the answer is from its old version."""
    one = await document(database, "one")
    before = await mark(database)
    await execute(database, "update documents set title = 'new' where document_id = %s", one)
    assert await store(database, [one], horizon=before) is None
    await execute(database, "delete from documents where document_id = %s", one)
    assert await store(database, [one]) is None
    assert await find(database) == []


async def test_a_version_that_nobody_was_told_of_counts(database: Database) -> None:
    """Lookups compare versions themselves; they do not rely on what deletes answers."""
    one = await document(database, "one")
    await store(database, [one])
    await execute(database, "update answers set versions = array[0]")
    assert await find(database) == []


@pytest.mark.parametrize(
    ("cosine", "alive"), [(0.2, True), (0.49, True), (0.51, False), (0.9, False)]
)
async def test_a_new_document_ends_what_it_might_have_changed(
    database: Database, cosine: float, alive: bool
) -> None:
    """A chunk as near to the question as the last source would have been one."""
    await store(database, [await document(database, "one")])
    await document(database, "new", cosine=cosine)
    assert bool(await find(database)) is alive


async def test_a_document_that_was_on_its_way_counts_as_new(database: Database) -> None:
    """A transaction that began before the search and ended after it was not seen by the search."""
    one = await document(database, "one")
    async with database.transaction(TENANT) as slow:
        cursor = await slow.execute(
            """insert into documents (tenant_id, uri, title, media_type, content_sha256,
                                      embedding_model, chunks, bytes)
               values ('default', 'slow', '', '', '', 'm', 1, 1) returning document_id"""
        )
        row = await cursor.fetchone()
        assert row is not None
        await slow.execute(
            """insert into chunks (tenant_id, document_id, ordinal, text, tokens, embedding)
               values ('default', %s, 0, '', 1, %s)""",
            (row[0], vector(0.9)),
        )
        await document(database, "later", waits=False)  # has a higher number, and is seen
        await store(database, [one])
        assert await find(database)
    assert await find(database) == []


async def test_many_new_documents_end_an_answer(database: Database) -> None:
    """More than can be compared quickly is as good as another knowledge base."""
    await store(database, [await document(database, "one")])
    many = await document(database, "many")
    await execute(
        database,
        "update documents set chunks = %s where document_id = %s",
        answers.MOST_UNKNOWN + 1,
        many,
    )
    assert await find(database) == []


async def test_restricted_documents_are_for_their_readers(database: Database) -> None:
    """An answer is found by whoever may read every document it rests on, cited or not."""
    one = await document(database, "one")
    two = await document(database, "two", groups=["staff"])
    three = await document(database, "three", owners=["ada", "bob"])
    await store(database, [one, two, three])
    bob = replace(QUESTION, reader="bob")
    assert await find(database, bob)
    assert await find(database, replace(bob, member_of=())) == []
    assert await find(database, replace(bob, reader="eve")) == []
    assert await find(database, replace(bob, reader=None, member_of=()))


async def test_who_may_read_more_gets_an_answer_from_more(database: Database) -> None:
    """What the first reader could not see may belong into the second one's answer."""
    one = await document(database, "one")
    await document(database, "secret", cosine=0.9, groups=["board"])
    await store(database, [one])
    board = replace(QUESTION, reader="eve", member_of=("board",))
    assert await find(database, board) == []
    assert await find(database, replace(board, member_of=()))


async def test_access_that_changes_ends_an_answer(database: Database) -> None:
    """Closing a document changes its version: nobody gets what it said before."""
    one = await document(database, "one")
    await store(database, [one])
    await execute(
        database,
        "update documents set owners = '{bob}', version = nextval('document_versions')"
        " where document_id = %s",
        one,
    )
    assert await find(database) == []


async def test_answers_expire(database: Database) -> None:
    """An answer lives for its time, and is swept when the next one is kept."""
    one = await document(database, "one")
    await store(database, [one], ttl_seconds=0)
    assert await find(database) == []
    await store(database, [one], replace(QUESTION, key=b"two"))
    assert await count(database) == 1


async def test_the_cache_is_bounded(database: Database) -> None:
    """What was used longest ago goes first."""
    one = await document(database, "one")
    kept = [await store(database, [one], replace(QUESTION, key=bytes([n]))) for n in range(4)]
    async with database.transaction(TENANT) as conn:
        assert kept[0] is not None
        await answers.use(conn, tenant_id=TENANT, answer_id=kept[0])
    await store(database, [one], replace(QUESTION, key=b"new"), entries=3)
    async with database.transaction(TENANT) as conn:
        rows = await (await conn.execute("select answer_id, hits from answers")).fetchall()
    assert (kept[0], 1) in rows
    assert len(rows) == 3
    assert {kept[1], kept[2]}.isdisjoint(row[0] for row in rows)


async def test_the_same_question_is_kept_once(database: Database) -> None:
    """Eight turns that finish at once leave one answer, the last."""
    one = await document(database, "one")
    await asyncio.gather(*(store(database, [one], turn={"n": n}) for n in range(8)))
    assert await count(database) == 1


async def test_deletes_and_answers_do_not_block_each_other(database: Database) -> None:
    """Documents that share answers are deleted while others keep and find some."""
    documents = [await document(database, str(n)) for n in range(12)]

    async def ask(n: int) -> None:
        await store(database, documents[n % 8 :], replace(QUESTION, key=bytes([n])))
        await find(database, replace(QUESTION, key=bytes([n])))

    async def delete(n: int) -> None:
        await execute(database, "delete from documents where uri = %s", str(n))

    await asyncio.gather(*(step(n) for n in range(12) for step in (ask, ask, delete)))
    assert await find(database) == []


async def test_what_the_cache_cannot_do_is_its_own_error(database: Database) -> None:
    """A failure of the cache alone is told from a database that is gone."""
    with pytest.raises(CacheFailed):
        await store(database, ["no id"])
