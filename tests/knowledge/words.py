"""A keyword index in three lines: documents of few words, and what must be found in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from psycopg import AsyncConnection
from psycopg.rows import TupleRow

from db.pool import Database
from knowledge import keywords
from knowledge.filter import EVERYTHING, Few, Filter
from knowledge.keywords import Hit
from knowledge.store import Chunk, DocumentRow, remove_document, replace_document
from tests.knowledge.test_bm25 import plain_bm25

WORDS = ["apple", "fig", "pear", "plum", "quince", "medlar"]
QUERIES = ["apple", "plum fig", "quince medlar pear apple"]
_VECTOR = np.eye(1, 384, dtype=np.float32)

Found = dict[str, list[tuple[str, float]]]


async def put(
    database: Database,
    tenant: str,
    uri: str,
    texts: Sequence[str],
    *,
    labels: Sequence[str] = (),
    owners: Sequence[str] = (),
) -> None:
    """Store a document of these chunks; all vectors are the same, words matter here."""
    chunks = [Chunk(text, "", None, ordinal, 1) for ordinal, text in enumerate(texts)]
    row = DocumentRow(
        *(uri, "", "text/plain", b"", "model", 1), labels=tuple(labels), owners=tuple(owners)
    )
    async with database.transaction(tenant) as conn:
        await replace_document(
            conn,
            tenant_id=tenant,
            document=row,
            chunks=chunks,
            vectors=np.repeat(_VECTOR, len(chunks), axis=0),
        )


async def remove(database: Database, tenant: str, uri: str) -> None:
    """Remove a document."""
    async with database.transaction(tenant) as conn:
        await remove_document(conn, tenant_id=tenant, uri=uri)


async def ask(
    database: Database,
    tenant: str,
    query: str,
    *,
    limit: int = 100,
    filter: Filter = EVERYTHING,
    few: Few | None = None,
) -> list[Hit]:
    """Search for words."""
    async with database.transaction(tenant) as conn:
        return await keywords.search(
            conn, query, tenant_id=tenant, limit=limit, filter=filter, few=few
        )


async def answers(database: Database, tenant: str) -> Found:
    """Return what each of the questions finds, by text, so that tenants can be compared."""
    async with database.transaction(tenant) as conn:
        found, _ = await answers_and_texts(conn, tenant)
        return found


async def answers_and_texts(
    conn: AsyncConnection[TupleRow], tenant: str
) -> tuple[Found, list[str]]:
    """Return the same, and the texts of all chunks: of one moment, if the transaction is."""
    cursor = await conn.execute("select chunk_id, text from chunks")
    texts: dict[int, str] = dict(await cursor.fetchall())
    found = {}
    for query in QUERIES:
        hits = await keywords.search(conn, query, tenant_id=tenant, limit=1000)
        found[query] = sorted((texts[hit.chunk_id], hit.score) for hit in hits)
    return found, list(texts.values())


def textbook(documents: Mapping[str, Sequence[str]]) -> Found:
    """Return what the questions must find; the scores to ten digits."""
    corpus: dict[int, Sequence[str]] = dict(
        enumerate(text.split() for texts in documents.values() for text in texts)
    )
    return {
        query: sorted(
            (" ".join(corpus[i]), score)
            for i, score in (plain_bm25(corpus, query.split()) if corpus else {}).items()
        )
        for query in QUERIES
    }


def rounded(found: Found) -> Found:
    """Return the same, with scores to ten digits."""
    return {
        q: sorted((text, round(score, 10)) for text, score in hits) for q, hits in found.items()
    }
