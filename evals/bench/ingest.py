"""What ingestion costs beside the embedding model, and what a second time costs.

Beside it in the same run, on the same documents and the same Postgres: the model alone, which is
the floor, and a naive loop of one chunk at a time, each with an INSERT of its own.
Compare the columns of one run: the milliseconds of two runs differ by half on a busy machine.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from core.settings import DatabaseSettings, KnowledgeSettings
from db.connect import connect
from db.pool import Database
from db.sql import load
from embeddings.base import Embedder
from embeddings.minilm import MiniLM
from knowledge import keywords
from knowledge.chunk.cut import Size, cut
from knowledge.ingest import Summary, ingest
from knowledge.late import Late
from knowledge.load.document import Document, Part
from knowledge.store import searchable

SQL = load(__file__)

CHANGED_EVERY = 100  # one document in so many changes before the last run
ADDED = "Nobody had expected this sentence."


async def run(data: Path, *, documents: int = 1000) -> dict[str, Any]:
    """Ingest documents of a set several times over; return the figures of each way.

    data: a folder with `corpus.jsonl`, or one that holds such folders.
    """
    rows = _rows(data, documents)
    settings = KnowledgeSettings()
    with tempfile.TemporaryDirectory(prefix="parley-bench-") as name:
        folder, path = Path(name, "postgres"), Path(name, "corpus.jsonl")
        async with connect(DatabaseSettings(folder=folder)) as database:
            with closing(MiniLM.load(settings.embed_threads)) as embedder:
                await embedder.passages(["warm"] * 8)

                async def once(rows: Sequence[dict[str, Any]]) -> Summary:
                    _write(path, rows)
                    return await ingest(
                        database, embedder, [path], tenant_id="ours", settings=settings
                    )

                cpu = await _cpu(database)
                first = await once(rows)
                spent = await _cpu(database)
                peak = _peak_mb()
                unchanged = await once(rows)
                changed = await once(_changed(rows))
                texts = await _texts(rows, embedder, settings)
                before = await _cpu(database)
                alone = await _alone(texts, embedder)
                between = await _cpu(database)
                naive = await _naive(rows, embedder, database, settings)
                after = await _cpu(database)
    model = between[0] - before[0]
    return {
        "documents": len(rows),
        "chunks": first.chunks,
        "checked": first.checked,
        "first": {
            "chunks_per_second": round(first.chunks_per_second, 1),
            "seconds": round(first.seconds, 2),
            # While the model waits; and what everything else costs it in time, being on its cores.
            "model_idle_share": round(1 - first.embedding_seconds / first.seconds, 4),
            "share_outside_model": round(1 - alone / first.seconds, 4),
            **_shares(cpu, spent, model),
            "peak_mb": peak["process"],
            "peak_reader_mb": peak["children"],
        },
        "model_alone": {
            "seconds": round(alone, 2),
            "chunks_per_second": round(len(texts) / alone, 1),
        },
        "naive": {
            "seconds": round(naive, 2),
            "chunks_per_second": round(len(texts) / naive, 1),
            "share_outside_model": round(1 - alone / naive, 4),
            **_shares(between, after, model),
        },
        "unchanged": _again(unchanged),
        "one_percent_changed": _again(changed),
    }


def _rows(data: Path, documents: int) -> list[dict[str, Any]]:
    own = data / "corpus.jsonl"
    path = own if own.exists() else data / "squad_v11" / "corpus.jsonl"
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for _, line in zip(range(documents), file, strict=False)]


def _write(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def _changed(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {**row, "text": f"{row['text']} {ADDED}"} if index % CHANGED_EVERY == 0 else row
        for index, row in enumerate(rows)
    ]


async def _texts(
    rows: Sequence[dict[str, Any]], embedder: Embedder, settings: KnowledgeSettings
) -> list[str]:
    """Return what is embedded, so that the model alone gets the same."""
    texts = []
    for row in rows:
        title, chunks = await cut(_document(row), embedder, _size(settings))
        texts += [searchable(title, chunk) for chunk in chunks]
    return texts


async def _alone(texts: Sequence[str], embedder: Embedder) -> float:
    """Return the seconds that the model takes when nothing else is done."""
    began = time.perf_counter()
    for first in range(0, len(texts), 64):
        await embedder.encoded(texts[first : first + 64])
    return time.perf_counter() - began


async def _naive(
    rows: Sequence[dict[str, Any]],
    embedder: Embedder,
    database: Database,
    settings: KnowledgeSettings,
) -> float:
    """Return the seconds of a loop without batches, threads and stages."""
    late = await asyncio.to_thread(Late.load)
    began = time.perf_counter()
    for row in rows:
        title, chunks = await cut(_document(row), embedder, _size(settings))
        key: dict[str, Any] = {"tenant_id": "naive"}
        async with database.transaction("naive") as conn:
            cursor = await conn.execute(
                SQL["put"], {**key, "uri": row["id"], "title": title, "chunks": len(chunks)}
            )
            found = await cursor.fetchone()
            assert found is not None
            key["document_id"] = found[0]
        for chunk in chunks:
            (made,) = await embedder.encoded([searchable(title, chunk)])
            async with database.transaction("naive") as conn:
                cursor = await conn.execute(
                    SQL["add"],
                    {
                        **key,
                        "ordinal": chunk.ordinal,
                        "text": chunk.text,
                        "tokens": chunk.tokens,
                        "embedding": made.vector.astype(np.float32),
                        "late": late.pack(made),
                    },
                )
                found = await cursor.fetchone()
                assert found is not None
                await keywords.index(conn, **key, chunk_ids=[found[0]])
    return time.perf_counter() - began


def _document(row: dict[str, Any]) -> Document:
    return Document(row["title"], "text/plain", (Part(row["text"]),), len(row["text"]))


def _size(settings: KnowledgeSettings) -> Size:
    return Size(settings.chunk_tokens, settings.overlap_tokens, settings.chunking)


def _again(summary: Summary) -> dict[str, Any]:
    return {
        "seconds": round(summary.seconds, 3),
        "documents_stored": summary.changed + summary.added,
        "chunks_embedded": summary.embedded,
        "documents_per_second": round(summary.read / summary.seconds, 1),
    }


async def _cpu(database: Database) -> tuple[float, float, float]:
    """Return the seconds of CPU that this process, its ended children and Postgres have used."""
    async with database.transaction("ours") as conn:
        cursor = await conn.execute(SQL["processes"])
        processes = [pid for (pid,) in await cursor.fetchall()]
    postgres = 0.0
    for pid in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            times = psutil.Process(pid).cpu_times()
            postgres += times.user + times.system
    own, children = (
        usage.ru_utime + usage.ru_stime
        for usage in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )
    return own, children, postgres


def _shares(
    before: tuple[float, float, float], after: tuple[float, float, float], model: float
) -> dict[str, float]:
    """Return where the CPU went; other work on the machine does not disturb this."""
    own, children, postgres = (b - a for a, b in zip(before, after, strict=True))
    total = own + children + postgres
    return {
        "cpu_seconds": round(total, 2),
        "cpu_model": round(model / total, 4),
        "cpu_rest_of_process": round((own - model) / total, 4),
        "cpu_reader": round(children / total, 4),
        "cpu_postgres": round(postgres / total, 4),
    }


def _peak_mb() -> dict[str, float]:
    """Return the most memory that this process and its largest ended child have had."""
    unit = 1 << 20 if sys.platform == "darwin" else 1 << 10
    return {
        name: round(resource.getrusage(who).ru_maxrss / unit, 1)
        for name, who in (
            ("process", resource.RUSAGE_SELF),
            ("children", resource.RUSAGE_CHILDREN),
        )
    }
