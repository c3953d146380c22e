from __future__ import annotations

import asyncio

import numpy as np
import psycopg
import pytest

from core.errors import DocumentTooLarge
from db.pool import Database
from embeddings.minilm import MiniLM
from knowledge.access import Access
from knowledge.store import (
    Chunk,
    DocumentRow,
    Known,
    known,
    remove_document,
    remove_under,
    replace_document,
    searchable,
)
from tests.knowledge.conftest import Put


async def contents(database: Database, tenant_id: str) -> tuple[int, int, int]:
    """Return how many documents, chunks and lexemes of chunks a tenant has."""
    async with database.transaction(tenant_id) as conn:
        cursor = await conn.execute(
            "select (select count(*) from documents), (select count(*) from chunks),"
            " (select count(*) from keyword_fresh, jsonb_object_keys(lexemes))"
        )
        row = await cursor.fetchone()
    assert row is not None
    return row


async def test_stores_what_it_is_given(database: Database, tenant: str) -> None:
    """A document and its chunks are stored as they are, vectors in half precision."""
    document = DocumentRow(
        "file:///a.pdf", "A", "application/pdf", b"\x01", "model", 7, {"k": [1]}, "en", "Ada"
    )
    vector = np.zeros((1, 384), np.float32)
    vector[0, 5] = 1
    async with database.transaction(tenant) as conn:
        await replace_document(
            conn,
            tenant_id=tenant,
            document=document,
            chunks=[Chunk("The text", "One > Two", 3, 0, 2)],
            vectors=vector,
        )
        cursor = await conn.execute(
            "select uri, title, media_type, content_sha256, embedding_model, bytes, metadata,"
            " language, author, d.chunks, d.tokens, k.words, text, section, page, ordinal,"
            " c.tokens, embedding from documents d join chunks c using (tenant_id, document_id)"
            " join keyword_fresh k using (tenant_id, chunk_id)"
        )
        row = await cursor.fetchone()
    assert row is not None
    assert row[:-1] == (
        *("file:///a.pdf", "A", "application/pdf", b"\x01", "model", 7, {"k": [1]}, "en", "Ada"),
        *(1, 2, 3, "The text", "One > Two", 3, 0, 2),  # "the", "a" are stop words: 3 lexemes
    )
    assert row[-1].to_list() == vector[0].tolist()


async def test_replace(database: Database, put: Put, tenant: str) -> None:
    """Replacing leaves nothing of the old version; the id of the document stays."""
    before = await put("a", "one apple", "two pears")
    after = await put("a", "three plums")
    assert before == after
    assert await contents(database, tenant) == (1, 1, 2)


async def test_nothing_half(database: Database, put: Put, embedder: MiniLM, tenant: str) -> None:
    """A replacement that fails halfway leaves the old version whole."""
    await put("a", "one apple", "two pears")
    before = await contents(database, tenant)
    twice = [Chunk("same place", "", None, 0, 2)] * 2
    with pytest.raises(psycopg.errors.UniqueViolation):
        async with database.transaction(tenant) as conn:
            await replace_document(
                conn,
                tenant_id=tenant,
                document=DocumentRow("a", "", "text/plain", b"2", "m", 1),
                chunks=twice,
                vectors=await embedder.passages(["x", "y"]),
            )
    assert await contents(database, tenant) == before


async def test_one_vector_a_chunk(database: Database, tenant: str) -> None:
    """Chunks and vectors that do not belong together are a programming error."""
    async with database.transaction(tenant) as conn:
        with pytest.raises(ValueError, match="1 chunks have 2 vectors"):
            await replace_document(
                conn,
                tenant_id=tenant,
                document=DocumentRow("a", "", "text/plain", b"", "m", 1),
                chunks=[Chunk("x", "", None, 0, 1)],
                vectors=np.zeros((2, 384), np.float32),
            )


async def test_no_chunks(database: Database, put: Put, tenant: str) -> None:
    """A document without text is remembered, so that it is not read again."""
    await put("empty")
    assert await contents(database, tenant) == (1, 0, 0)


async def test_simultaneous_replacements(database: Database, put: Put, tenant: str) -> None:
    """Of two that replace a document at once, one version is left, whole."""
    await asyncio.gather(*(put("a", f"apple {n}", f"pear {n}") for n in range(6)))
    documents, chunks, words = await contents(database, tenant)
    assert (documents, chunks, words) == (1, 2, 4)


async def test_remove(database: Database, put: Put, tenant: str) -> None:
    """Removing a document removes all that was made of it; unknown ones are told apart."""
    await put("a", "one apple")
    async with database.transaction(tenant) as conn:
        assert await remove_document(conn, tenant_id=tenant, uri="a")
        assert not await remove_document(conn, tenant_id=tenant, uri="a")
    assert await contents(database, tenant) == (0, 0, 0)


async def test_prefix(database: Database, put: Put, tenant: str) -> None:
    """Documents are listed and removed by what their uri begins with, literally."""
    for uri in ("file:///d_1/a", "file:///d_1/b", "file:///dx1/c"):
        await put(uri, "text")
    async with database.transaction(tenant) as conn:
        assert len(await known(conn, tenant_id=tenant)) == 3
        listed = await known(conn, tenant_id=tenant, prefix="file:///d_1/")
        nobody = Access((), (), ())
        assert listed == {
            uri: Known(uri.encode(), "all-MiniLM-L6-v2", nobody)
            for uri in ("file:///d_1/a", "file:///d_1/b")
        }
        removed = await remove_under(conn, tenant_id=tenant, prefix="file:///d_1/")
        assert sorted(removed) == sorted(listed)
        assert list(await known(conn, tenant_id=tenant)) == ["file:///dx1/c"]


async def test_tenants_apart(database: Database, put: Put) -> None:
    """Two tenants may have a document of the same uri; neither lists nor removes the other's."""
    await put("a", "apple", tenant_id="one")
    await put("a", "pear", "plum", tenant_id="two")
    async with database.transaction("one") as conn:
        assert not await known(conn, tenant_id="two")
        assert not await remove_document(conn, tenant_id="two", uri="a")
    assert (await contents(database, "one"))[:2] == (1, 1)
    assert (await contents(database, "two"))[:2] == (1, 2)


async def test_no_writing_for_others(database: Database, tenant: str) -> None:
    """A transaction of one tenant cannot store a document of another."""
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        async with database.transaction(tenant) as conn:
            await replace_document(
                conn,
                tenant_id="somebody else",
                document=DocumentRow("a", "", "text/plain", b"", "m", 1),
                chunks=[],
                vectors=np.zeros((0, 384), np.float32),
            )


async def test_no_way_around(database: Database, put: Put) -> None:
    """The partitions cannot be read past the policy of their table."""
    await put("a", "apple", tenant_id="one")
    async with database.transaction("two") as conn:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await conn.execute("select * from chunks_0")


async def test_unstorable_text(put: Put, database: Database, tenant: str) -> None:
    """What Postgres cannot store (NUL, lone surrogates) is replaced, the rest is kept."""
    await put("a", "nul \x00 and surrogate \ud800", title="t\x00", section="s\x00")
    async with database.transaction(tenant) as conn:
        cursor = await conn.execute("select text from chunks")
        assert await cursor.fetchone() == ("nul \ufffd and surrogate \ufffd",)


async def test_too_large(database: Database, embedder: MiniLM, tenant: str) -> None:
    """A chunk that no index can hold is refused as a document, not as a failing database."""
    words = " ".join(f"w{n}" for n in range(200_000))
    with pytest.raises(DocumentTooLarge):
        async with database.transaction(tenant) as conn:
            await replace_document(
                conn,
                tenant_id=tenant,
                document=DocumentRow("a", "", "text/plain", b"", "m", 1),
                chunks=[Chunk(words, "", None, 0, 1)],
                vectors=await embedder.passages(["x"]),
            )


def test_searchable() -> None:
    """A chunk is found by its title and headings too; empty ones leave no blank line."""
    assert searchable("T", Chunk("text", "S", None, 0, 1)) == "T\nS\ntext"
    assert searchable("", Chunk("text", "", None, 0, 1)) == "text"
