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
    digest,
    encoded,
    known,
    remove_document,
    remove_under,
    replace_document,
    searchable,
    set_access,
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


async def chunk_ids(database: Database, tenant: str) -> dict[str, int]:
    """Return the ids of the chunks by their text, in order."""
    async with database.transaction(tenant) as conn:
        cursor = await conn.execute("select text, chunk_id from chunks order by ordinal")
        return dict(await cursor.fetchall())


async def test_unchanged_chunks_stay(database: Database, put: Put, tenant: str) -> None:
    """A chunk that is still there keeps its id, wherever it is now; the others go or come."""
    await put("a", "one", "two", "three", "four")
    before = await chunk_ids(database, tenant)
    await put("a", "zero", "four", "one", "three", "five")
    after = await chunk_ids(database, tenant)
    assert list(after) == ["zero", "four", "one", "three", "five"]
    assert {text: after[text] for text in ("one", "three", "four")} == {
        text: before[text] for text in ("one", "three", "four")
    }
    assert not {after["zero"], after["five"]} & set(before.values())


async def test_equal_chunks_are_told_apart(database: Database, put: Put, tenant: str) -> None:
    """A text that occurs several times is stored as often."""
    await put("a", "same", "same", "other")
    await put("a", "other", "same", "same", "same")
    async with database.transaction(tenant) as conn:
        cursor = await conn.execute("select text, count(*) from chunks group by 1 order by 1")
        assert await cursor.fetchall() == [("other", 1), ("same", 3)]


async def test_another_title_makes_other_chunks(database: Database, put: Put, tenant: str) -> None:
    """The title is embedded with each chunk, so its vectors are not those of before."""
    await put("a", "one", title="old")
    before = await chunk_ids(database, tenant)
    await put("a", "one", title="new")
    assert await chunk_ids(database, tenant) != before


async def test_only_new_words_are_indexed(database: Database, put: Put, tenant: str) -> None:
    """The postings of a chunk that stays are not written again."""
    await put("a", "one apple", "two pears")
    async with database.transaction(tenant) as conn:
        cursor = await conn.execute("select chunk_id, entry_id from keyword_fresh")
        before = set(await cursor.fetchall())
    await put("a", "plums", "one apple")
    async with database.transaction(tenant) as conn:
        cursor = await conn.execute("select chunk_id, entry_id from keyword_fresh")
        assert len(before & set(await cursor.fetchall())) == 1


async def test_a_version_changes_with_everything(database: Database, put: Put, tenant: str) -> None:
    """Whatever is cached from a document is known by its version to be old."""

    async def version() -> int:
        async with database.transaction(tenant) as conn:
            row = await (await conn.execute("select version from documents")).fetchone()
            assert row is not None
            return int(row[0])

    await put("a", "one")
    versions = [await version()]
    await put("a", "one")
    versions.append(await version())
    async with database.transaction(tenant) as conn:
        await set_access(conn, tenant_id=tenant, uri="a", access=Access(owners=("ada",)))
    versions.append(await version())
    assert sorted(set(versions)) == versions
    async with database.transaction(tenant) as conn:
        same = await set_access(conn, tenant_id=tenant, uri="a", access=Access(owners=("ada",)))
    assert same == []
    assert await version() == versions[-1]


async def test_access_of_a_folder_and_of_a_file_of_many(
    database: Database, put: Put, tenant: str
) -> None:
    """A uri means itself, what lies below it, and its lines; nothing that only begins alike."""
    for uri in ("file:///d/a", "file:///d/b.jsonl#1", "file:///d/b.jsonl.old", "file:///dd/c"):
        await put(uri, "text")
    async with database.transaction(tenant) as conn:
        lines = await set_access(
            conn, tenant_id=tenant, uri="file:///d/b.jsonl", access=Access(groups=("g",))
        )
        folder = await set_access(
            conn, tenant_id=tenant, uri="file:///d/", access=Access(labels=("x",))
        )
        stored = await known(conn, tenant_id=tenant)
    assert lines == ["file:///d/b.jsonl#1"]
    assert sorted(folder) == ["file:///d/a", "file:///d/b.jsonl#1", "file:///d/b.jsonl.old"]
    assert stored["file:///d/b.jsonl#1"].access == Access((), ("g",), ("x",))
    assert stored["file:///dd/c"].access == Access((), (), ())


async def test_replacing_a_document_keeps_who_may_read_it(
    database: Database, put: Put, tenant: str
) -> None:
    """New content alone opens nothing that was closed."""
    await put("a", "one")
    async with database.transaction(tenant) as conn:
        await set_access(conn, tenant_id=tenant, uri="a", access=Access(("ada",), ("g",), ("x",)))
    await put("a", "two")
    async with database.transaction(tenant) as conn:
        stored = await known(conn, tenant_id=tenant)
    assert stored["a"].access == Access(("ada",), ("g",), ("x",))


async def test_vectors_are_found_again(
    database: Database, put: Put, embedder: MiniLM, tenant: str
) -> None:
    """By the digest of their text, in any document of the tenant, and of no other."""
    await put("a", "one apple", title="T")
    wanted = digest(embedder.name, "T", Chunk("one apple", "", None, 7, 2))
    async with database.transaction(tenant) as conn:
        found = await encoded(conn, tenant_id=tenant, digests=[wanted, b"unknown"])
    (vector,) = await embedder.passages(["T\none apple"])
    assert list(found) == [wanted]
    assert np.allclose(found[wanted].vector, vector, atol=1e-3)
    async with database.transaction("other") as conn:
        assert await encoded(conn, tenant_id="other", digests=[wanted]) == {}


async def test_late_vectors_are_stored_and_stay(
    database: Database, embedder: MiniLM, tenant: str
) -> None:
    """What a chunk is reranked by comes with it, also when the chunk was there without."""

    async def store(*late: bytes | None) -> list[bytes | None]:
        chunks = [Chunk(text, "", None, n, 1) for n, text in enumerate(("one", "two"))]
        async with database.transaction(tenant) as conn:
            await replace_document(
                conn,
                tenant_id=tenant,
                document=DocumentRow("a", "", "text/plain", b"", embedder.name, 1),
                chunks=chunks,
                vectors=np.ones((2, 384), np.float32),
                late=late,
            )
            cursor = await conn.execute("select late from chunks order by ordinal")
            return [value for (value,) in await cursor.fetchall()]

    assert await store(b"1", None) == [b"1", None]
    assert await store(b"1", b"2") == [b"1", b"2"]
    assert await store(None, None) == [b"1", b"2"]
