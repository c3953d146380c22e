"""Puts a made corpus into a scratch database fast: COPY, the index of vectors afterwards."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Sequence
from pathlib import Path

import psycopg
from pgvector import HalfVector
from pgvector.psycopg import register_vector_async

from db.migrate import SEARCH_PATH
from db.pool import Database
from db.sql import load
from evals.bench.corpus import LABEL, PER_DOCUMENT, Corpus
from knowledge import keywords
from knowledge.segments import merge

SQL = load(str(Path(__file__).with_name("search.py")))

BATCH = 2_000  # chunks
WRITERS = 2  # connections that index words


async def fill(
    admin: psycopg.AsyncConnection[tuple[object, ...]],
    database: Database,
    corpus: Corpus,
    late: Sequence[bytes],
    *,
    tenant_id: str,
    memory_mb: int,
) -> dict[str, float]:
    """Store all chunks, searchable; return the seconds of each step.

    admin: an owner's connection, which row-level security lets COPY.
    late: what chunks are reranked by, given to them in turn. Chunk ids are 1, 2, 3 and so on.
    """
    seconds: dict[str, float] = {}
    began = time.perf_counter()

    def lap(step: str) -> None:
        nonlocal began
        now = time.perf_counter()
        seconds[step], began = round(now - began, 1), now

    await register_vector_async(admin)
    await admin.execute("select set_config('search_path', %s, false)", [SEARCH_PATH])
    memory = [f"{memory_mb}MB"]
    await admin.execute("select set_config('maintenance_work_mem', %s, false)", memory)
    await admin.execute(SQL["without_index"])
    ids = await _documents(admin, corpus, tenant_id)
    for first in range(0, len(corpus.vectors), BATCH):
        await _chunks(admin, corpus, late, ids, first, tenant_id)
    lap("store")
    queue = iter(ids)

    async def index() -> None:
        for document_id in queue:
            async with database.transaction(tenant_id) as conn:
                await keywords.index(conn, tenant_id=tenant_id, document_id=document_id)

    await asyncio.gather(*(index() for _ in range(WRITERS)))
    lap("words")
    await merge(database, tenant_id=tenant_id)
    lap("merge")
    await admin.execute(SQL["with_index"])
    lap("vector_index")
    await admin.execute(SQL["analyze"])
    lap("analyze")
    return seconds


async def _documents(
    admin: psycopg.AsyncConnection[tuple[object, ...]], corpus: Corpus, tenant_id: str
) -> list[uuid.UUID]:
    labelled = corpus.labelled()
    ids = []
    async with admin.cursor() as cursor, cursor.copy(SQL["documents"]) as copy:
        copy.set_types(
            ["text", "uuid", *(["text"] * 3), "bytea", "text", "int4", "int4", "int8", "text[]"]
        )
        for number, first in enumerate(range(0, len(corpus.vectors), PER_DOCUMENT)):
            document_id = uuid.uuid4()
            many = min(PER_DOCUMENT, len(corpus.vectors) - first)
            labels = [LABEL] if labelled[first] else []
            about = (tenant_id, document_id, f"bench:{number}", "", "text/plain", b"", "made")
            await copy.write_row((*about, many, 0, 0, labels))
            ids.append(document_id)
    return ids


async def _chunks(
    admin: psycopg.AsyncConnection[tuple[object, ...]],
    corpus: Corpus,
    late: Sequence[bytes],
    ids: Sequence[uuid.UUID],
    first: int,
    tenant_id: str,
) -> None:
    last = min(first + BATCH, len(corpus.vectors))
    texts = await asyncio.to_thread(corpus.texts, first, last)
    async with admin.cursor() as cursor, cursor.copy(SQL["chunks"]) as copy:
        copy.set_types(["text", "uuid", "int8", "int4", "text", "int4", "halfvec", "bytea"])
        for number, text in zip(range(first, last), texts, strict=True):
            await copy.write_row(
                (
                    tenant_id,
                    ids[number // PER_DOCUMENT],
                    number + 1,
                    number % PER_DOCUMENT,
                    text,
                    0,
                    HalfVector(corpus.vectors[number]),
                    late[number % len(late)],
                )
            )
