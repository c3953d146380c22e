"""The write side of the knowledge base: a document goes in, is replaced, or goes, as a whole.

Each function belongs into a transaction of the caller's, opened for the same tenant.
What a transaction leaves behind is complete: chunks, vectors and keywords of one version.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from hashlib import sha256
from typing import Any, NamedTuple
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
from embeddings.base import Vector, Vectors
from knowledge import keywords
from knowledge.access import FIELDS, Access

SQL = load(__file__)

DIGEST_BYTES = 16  # of SHA-256: two texts meet by chance once in 10^19 chunks

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
    modified_at: datetime | None = None  # of the content, as the document itself says
    owners: tuple[str, ...] | None = None  # None: as they are, and nobody for a new document
    groups: tuple[str, ...] | None = None
    labels: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a document, small enough for one vector."""

    text: str
    section: str  # headings above it, joined with " > "; "" when there are none
    page: int | None  # 1-based
    ordinal: int  # position in the document, from 0
    tokens: int


class Known(NamedTuple):
    """What decides whether a document has changed."""

    content_sha256: bytes
    embedding_model: str
    access: Access


class ChunkVectors(NamedTuple):
    """What a chunk is found by: the same for every chunk with its digest."""

    vector: Vector
    late: bytes | None


def searchable(title: str, chunk: Chunk) -> str:
    """Return the text that a chunk is found by, in words and in meaning: its headings too.

    Ingestion embeds exactly this; the keyword index does the same in SQL.
    The title in front is worth half a point of recall@1 (docs/decisions/0004).
    """
    return "\n".join(part for part in (title, chunk.section, chunk.text) if part)


def digest(model: str, title: str, chunk: Chunk) -> bytes:
    """Return a hash of what is embedded and of the model: equal means equal vectors."""
    text = f"{model}\0{searchable(title, chunk)}"
    return sha256(text.encode("utf-8", "surrogatepass")).digest()[:DIGEST_BYTES]


async def replace_document(
    conn: Conn,
    *,
    tenant_id: str,
    document: DocumentRow,
    chunks: Sequence[Chunk],
    vectors: Vectors,
    late: Sequence[bytes | None] | None = None,
) -> UUID:
    """Store a document in place of the one with the same uri, if there is one; return its id.

    vectors: (len(chunks), 384) float32, unit length, of `searchable` texts.
    late: what each chunk is reranked by, see knowledge/late.py; None where it is not.
    A chunk that was in the document before keeps its id, vectors and postings, wherever it is now.
    Raises DocumentTooLarge when an index cannot take it: a uri of more than 2 kB, a chunk
    with a megabyte of different words.
    """
    if len(vectors) != len(chunks):
        raise ValueError(f"{len(chunks)} chunks have {len(vectors)} vectors")
    if late is not None and len(late) != len(chunks):
        raise ValueError(f"{len(chunks)} chunks have {len(late)} late vectors")
    try:
        return await _replace(conn, tenant_id, document, chunks, vectors, late)
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


async def set_access(conn: Conn, *, tenant_id: str, uri: str, access: Access) -> list[str]:
    """Change who may read a document, or all documents of a folder or of a file of many.

    Returns the uris of those that changed. Searches see it with their next statement; nothing is
    embedded again.
    """
    cursor = await conn.execute(
        SQL["set_access"], {"tenant_id": tenant_id, "uri": uri, **_lists(access)}
    )
    return [changed for (changed,) in await cursor.fetchall()]


async def known(conn: Conn, *, tenant_id: str, prefix: str | None = None) -> dict[str, Known]:
    """Return what is stored under a prefix, by uri."""
    cursor = await conn.execute(SQL["known"], {"tenant_id": tenant_id, "prefix": prefix or ""})
    return {
        uri: Known(content, model, Access(*map(tuple, names)))
        for uri, content, model, *names in await cursor.fetchall()
    }


async def encoded(
    conn: Conn, *, tenant_id: str, digests: Sequence[bytes]
) -> dict[bytes, ChunkVectors]:
    """Return the vectors of the chunks that the tenant has already, by digest."""
    cursor = await conn.execute(
        SQL["vectors"], {"tenant_id": tenant_id, "digests": list(digests)}, binary=True
    )
    return {
        found: ChunkVectors(vector.to_numpy().astype(np.float32), late)
        for found, vector, late in await cursor.fetchall()
    }


async def _replace(
    conn: Conn,
    tenant_id: str,
    document: DocumentRow,
    chunks: Sequence[Chunk],
    vectors: Vectors,
    late: Sequence[bytes | None] | None,
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
            "modified_at": document.modified_at,
            **_lists(Access(document.owners, document.groups, document.labels)),
        },
    )
    row = await cursor.fetchone()
    assert row is not None
    document_id: UUID = row[0]
    key: dict[str, Any] = {"tenant_id": tenant_id, "document_id": document_id}
    rows = [
        _Row(
            replace(chunk, text=scrub(chunk.text), section=scrub(chunk.section)),
            digest(document.embedding_model, document.title, chunk),
            HalfVector(vector),
            late[index] if late is not None else None,
        )
        for index, (chunk, vector) in enumerate(
            zip(chunks, vectors.astype(np.float16), strict=True)
        )
    ]
    cursor = await conn.execute(SQL["stored_chunks"], key)
    before = [_Before(*row) for row in await cursor.fetchall()]
    gone, moved, new = _compare(before, rows)
    if gone:  # their words go with them
        await conn.execute(SQL["drop_chunks"], {**key, "chunk_ids": gone})
    if moved:
        await _move(conn, tenant_id, moved)
    if new:
        # Not COPY: Postgres refuses COPY FROM under row-level security. One statement with
        # arrays is as good here, where embedding is a hundred times slower than storing.
        cursor = await conn.execute(
            SQL["add_chunks"],
            {
                **key,
                **_columns(new),
                "embeddings": [row.vector for row in new],
                "digests": [row.digest for row in new],
            },
        )
        added = [chunk_id for (chunk_id,) in await cursor.fetchall()]
        await keywords.index(conn, **key, chunk_ids=added)
    return document_id


class _Row(NamedTuple):
    """A chunk as it is stored."""

    chunk: Chunk
    digest: bytes
    vector: HalfVector
    late: bytes | None


class _Before(NamedTuple):
    """A chunk that is stored."""

    chunk_id: int
    digest: bytes | None
    ordinal: int
    section: str
    page: int | None
    text: str
    tokens: int
    late_is_null: bool

    def is_as(self, row: _Row) -> bool:
        """True when nothing has to be written."""
        chunk = Chunk(self.text, self.section, self.page, self.ordinal, self.tokens)
        return chunk == row.chunk and (row.late is None or not self.late_is_null)


def _compare(
    before: Sequence[_Before], rows: Sequence[_Row]
) -> tuple[list[int], list[tuple[int, _Row]], list[_Row]]:
    """Return the ids that are gone, what stays but moves, and what is new."""
    left: dict[bytes, deque[_Before]] = defaultdict(deque)
    gone = []
    for old in before:
        if old.digest is None:
            gone.append(old.chunk_id)
        else:
            left[old.digest].append(old)
    moved: list[tuple[int, _Row]] = []
    new: list[_Row] = []
    for row in rows:
        # Of several equal chunks the first comes first: most stay where they are.
        same = left[row.digest].popleft() if left.get(row.digest) else None
        if same is None:
            new.append(row)
        elif not same.is_as(row):
            moved.append((same.chunk_id, row))
    gone += [old.chunk_id for rest in left.values() for old in rest]
    return gone, moved, new


async def _move(conn: Conn, tenant_id: str, moved: Sequence[tuple[int, _Row]]) -> None:
    ids = [chunk_id for chunk_id, _ in moved]
    await conn.execute(SQL["set_aside"], {"tenant_id": tenant_id, "chunk_ids": ids})
    await conn.execute(
        SQL["move_chunks"],
        {"tenant_id": tenant_id, "chunk_ids": ids, **_columns([row for _, row in moved])},
    )


def _columns(rows: Sequence[_Row]) -> dict[str, list[Any]]:
    """Return what a chunk has anew wherever it moves, an array a column."""
    return {
        "ordinals": [row.chunk.ordinal for row in rows],
        "texts": [row.chunk.text for row in rows],
        "sections": [row.chunk.section for row in rows],
        "pages": [row.chunk.page for row in rows],
        "tokens": [row.chunk.tokens for row in rows],
        "lates": [row.late for row in rows],
    }


def _lists(access: Access) -> dict[str, list[str] | None]:
    return {
        key: None if names is None else list(names)
        for key, names in zip(FIELDS, access.lists(), strict=True)
    }
