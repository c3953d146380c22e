"""The write side of the knowledge base: a document goes in, is replaced, or goes, as a whole.

Each function belongs into a transaction of the caller's, opened for the same tenant.
What a transaction leaves behind is complete: chunks, vectors and keywords of one version.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import numpy as np
from pgvector import HalfVector
from psycopg import AsyncConnection
from psycopg.errors import ProgramLimitExceeded
from psycopg.rows import TupleRow
from psycopg.types.json import Jsonb

from core.errors import DocumentTooLarge
from core.text import scrub
from db.sql import load
from embeddings.base import Vectors
from knowledge import keywords

SQL = load(__file__)

Conn = AsyncConnection[TupleRow]


@dataclass(frozen=True, slots=True)
class DocumentRow:
    """What is stored about a document itself."""

    uri: str  # where it came from; unique within the tenant
    title: str
    media_type: str
    content_sha256: bytes  # of the file; equal means that nothing needs to be done again
    embedding_model: str  # Embedder.name of the vectors
    bytes: int
    metadata: dict[str, Any] = field(default_factory=dict)
    language: str | None = None
    author: str | None = None


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a document, small enough for one vector."""

    text: str
    section: str  # headings above it, joined with " > "; "" when there are none
    page: int | None  # 1-based
    ordinal: int  # position in the document, from 0
    tokens: int


def searchable(title: str, chunk: Chunk) -> str:
    """Return the text that a chunk is found by, in words and in meaning: its headings too.

    Ingestion embeds exactly this; the keyword index does the same in SQL.
    The title in front is worth half a point of recall@1 (docs/decisions/0004).
    """
    return "\n".join(part for part in (title, chunk.section, chunk.text) if part)


async def replace_document(
    conn: Conn,
    *,
    tenant_id: str,
    document: DocumentRow,
    chunks: Sequence[Chunk],
    vectors: Vectors,
) -> UUID:
    """Store a document in place of the one with the same uri, if there is one; return its id.

    vectors: (len(chunks), 384) float32, unit length, of `searchable` texts.
    Raises DocumentTooLarge when an index cannot take it: a uri of more than 2 kB, a chunk
    with a megabyte of different words.
    """
    if len(vectors) != len(chunks):
        raise ValueError(f"{len(chunks)} chunks have {len(vectors)} vectors")
    try:
        return await _replace(conn, tenant_id, document, chunks, vectors)
    except ProgramLimitExceeded as error:
        raise DocumentTooLarge(f"The document cannot be indexed: {error}.") from error


async def remove_document(conn: Conn, *, tenant_id: str, uri: str) -> bool:
    """Delete the document of `uri`, and with it all that was made of it; False when unknown."""
    cursor = await conn.execute(SQL["remove"], {"tenant_id": tenant_id, "uri": uri})
    return cursor.rowcount > 0


async def remove_under(conn: Conn, *, tenant_id: str, prefix: str) -> list[str]:
    """Delete the documents whose uri begins with `prefix`; return their uris."""
    cursor = await conn.execute(SQL["remove_under"], {"tenant_id": tenant_id, "prefix": prefix})
    return [uri for (uri,) in await cursor.fetchall()]


async def known(
    conn: Conn, *, tenant_id: str, prefix: str | None = None
) -> dict[str, tuple[bytes, str]]:
    """Return what is stored under a prefix: uri -> (content_sha256, embedding_model)."""
    cursor = await conn.execute(SQL["known"], {"tenant_id": tenant_id, "prefix": prefix or ""})
    return {uri: (digest, model) for uri, digest, model in await cursor.fetchall()}


async def _replace(
    conn: Conn,
    tenant_id: str,
    document: DocumentRow,
    chunks: Sequence[Chunk],
    vectors: Vectors,
) -> UUID:
    cursor = await conn.execute(
        SQL["put"],
        {
            "tenant_id": tenant_id,
            "uri": document.uri,
            "title": scrub(document.title),
            "media_type": document.media_type,
            "content_sha256": document.content_sha256,
            "embedding_model": document.embedding_model,
            "metadata": Jsonb(document.metadata),
            "language": document.language,
            "author": document.author,
            "chunks": len(chunks),
            "tokens": sum(chunk.tokens for chunk in chunks),
            "bytes": document.bytes,
        },
    )
    row = await cursor.fetchone()
    assert row is not None
    key = {"tenant_id": tenant_id, "document_id": row[0]}
    await conn.execute(SQL["drop_chunks"], key)
    await keywords.drop(conn, **key)
    # Not COPY: Postgres refuses COPY FROM under row-level security. One statement with arrays
    # is as good here, where embedding is a hundred times slower than storing.
    await conn.execute(
        SQL["add_chunks"],
        {
            **key,
            "ordinals": [chunk.ordinal for chunk in chunks],
            "texts": [scrub(chunk.text) for chunk in chunks],
            "sections": [scrub(chunk.section) for chunk in chunks],
            "pages": [chunk.page for chunk in chunks],
            "tokens": [chunk.tokens for chunk in chunks],
            "embeddings": [HalfVector(vector) for vector in vectors.astype(np.float16)],
        },
    )
    await keywords.index(conn, **key)
    document_id: UUID = row[0]
    return document_id
