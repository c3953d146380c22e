"""What a search costs, and what its index of vectors misses.

Vectors are made up (clusters), texts are sentences of real corpora in new combinations. The
stages are timed one by one, alone and eight at once, beside pgvector as its manual shows it and
a scan of all vectors in memory, in the same run on the same questions.
"""

from __future__ import annotations

import asyncio
import itertools
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray
from pgvector import HalfVector

from db.embedded import embedded_postgres
from db.migrate import migrate
from db.pool import Database
from db.sql import load
from embeddings.base import Encoded
from embeddings.minilm import MiniLM
from evals.bench.corpus import LABEL, Corpus, make
from evals.bench.load import fill
from evals.spread import percentile
from knowledge import keywords
from knowledge.filter import EVERYTHING, Filter
from knowledge.late import Late
from knowledge.nearest import nearest
from knowledge.search import RERANKED, Search

SQL = load(__file__)

TENANT = "bench"
AT_ONCE = 8
LIMIT = 5  # passages of a search
CANDIDATES = 100  # of each retriever
TOP = 10  # of the recall
EMBED = {"embed", "everything"}  # stages that run the model
PACKED_TEXTS = 64  # encoded for the reranker; chunks share them

Ask = Callable[[int], Awaitable[object]]


async def run(
    *, chunks: int = 100_000, data: Path | None = None, questions: int = 200
) -> dict[str, Any]:
    """Make the corpus, load it, measure; return the report. Times are milliseconds."""
    corpus = await asyncio.to_thread(make, chunks, questions * 5, data)
    large = chunks > 300_000
    settings = {
        "shared_buffers": "4GB" if large else "1GB",
        "fsync": "off",
        "synchronous_commit": "off",
        "full_page_writes": "off",
        "max_wal_size": "8GB",
        "checkpoint_timeout": "1h",
    }
    with tempfile.TemporaryDirectory(prefix="parley-bench-") as name:
        async with embedded_postgres(Path(name), settings=settings) as postgres:
            await migrate(postgres.admin_url)
            with closing(await asyncio.to_thread(MiniLM.load)) as model:
                late = await asyncio.to_thread(Late.load)
                encoded = await model.encoded(corpus.texts(0, min(PACKED_TEXTS, chunks)))
                packed = [late.pack(one) for one in encoded]
                async with (
                    Database.open(postgres.url, min_size=AT_ONCE, max_size=AT_ONCE) as database,
                    await psycopg.AsyncConnection.connect(
                        postgres.admin_url, autocommit=True
                    ) as admin,
                ):
                    loaded = await fill(
                        admin,
                        database,
                        corpus,
                        packed,
                        tenant_id=TENANT,
                        memory_mb=3_000 if large else 500,
                    )
                    bench = _Bench(database, corpus, model, late, packed, questions)
                    report: dict[str, Any] = {
                        "load_seconds": loaded,
                        "alone": {
                            name: await bench.alone(ask, embeds=name in EMBED)
                            for name, ask in bench.stages()
                        },
                        f"{AT_ONCE}_at_once": {
                            name: await bench.together(ask, embeds=name in EMBED)
                            for name, ask in bench.stages()
                        },
                        "recall": await bench.recall(admin),
                    }
    report["conditions"] = {
        "chunks": chunks,
        "questions": questions,
        "vocabulary": corpus.vocabulary,
        "shared_buffers": settings["shared_buffers"],
    }
    return report


class _Bench:
    """A loaded database and the questions that are left."""

    def __init__(
        self,
        database: Database,
        corpus: Corpus,
        model: MiniLM,
        late: Late,
        packed: Sequence[bytes],
        questions: int,
    ) -> None:
        self._database = database
        self._corpus = corpus
        self._model = model
        self._late = late
        self._packed = packed
        self._questions = questions
        # The model remembers questions, so that a stage that embeds needs new ones.
        self._unseen: Iterator[int] = iter(range(len(corpus.questions)))
        self._prepared: dict[str, Encoded] = {}

    def stages(self) -> list[tuple[str, Ask]]:
        """Return what is timed, by name; each takes the number of a question."""
        made: Any = _Made(self._model, self._prepared)
        found: Any = _Made(None, self._prepared)
        hybrid = Search(found, candidates=CANDIDATES, late=_NoLook.load())
        whole = Search(made, candidates=CANDIDATES, late=self._late)
        corpus, database = self._corpus, self._database
        rare = Filter(labels=(LABEL,))

        async def embed(number: int) -> None:
            await self._model.encoded_query(corpus.questions[number])

        def vector(filter: Filter) -> Ask:
            return lambda number: self.near(number, CANDIDATES, filter)

        def keyword(filter: Filter) -> Ask:
            async def ask(number: int) -> None:
                async with database.transaction(TENANT) as conn:
                    await keywords.search(
                        conn,
                        corpus.questions[number],
                        tenant_id=TENANT,
                        limit=CANDIDATES,
                        filter=filter,
                    )

            return ask

        def search(which: Search, filter: Filter) -> Ask:
            return lambda number: which(
                database, corpus.questions[number], tenant_id=TENANT, limit=LIMIT, filter=filter
            )

        async def rerank(number: int) -> None:
            some = [self._packed[(number + i) % len(self._packed)] for i in range(RERANKED)]
            await self._late.scores(self._prepared[corpus.questions[number]], some)

        return [
            ("embed", embed),
            ("vector", vector(EVERYTHING)),
            ("vector_filtered", vector(rare)),
            ("keyword", keyword(EVERYTHING)),
            ("keyword_filtered", keyword(rare)),
            ("hybrid", search(hybrid, EVERYTHING)),
            ("hybrid_filtered", search(hybrid, rare)),
            ("rerank", rerank),
            ("everything", search(whole, EVERYTHING)),
        ]

    async def near(self, number: int, limit: int, filter: Filter) -> Mapping[int, float]:
        """Search by meaning alone."""
        vector = HalfVector(self._corpus.asked[number])
        chunks = len(self._corpus.vectors)  # a search knows that from the words
        async with self._database.transaction(TENANT) as conn:
            return await nearest(
                conn, vector, tenant_id=TENANT, limit=limit, filter=filter, chunks=chunks
            )

    async def alone(self, ask: Ask, *, embeds: bool) -> dict[str, float]:
        """Return the times of one question after the other."""
        return (await self._timed(ask, 1, embeds=embeds))[0]

    async def together(self, ask: Ask, *, embeds: bool) -> dict[str, float]:
        """Return the times of several at once, and how many are answered in a second."""
        times, rate = await self._timed(ask, AT_ONCE, embeds=embeds)
        return {**times, "per_second": rate}

    async def _timed(
        self, ask: Ask, at_once: int, *, embeds: bool
    ) -> tuple[dict[str, float], float]:
        fresh = list(
            itertools.islice(self._unseen, self._questions) if embeds else range(self._questions)
        )
        for number in fresh:
            await self._prepare(number)
        warm, counted = fresh[: len(fresh) // 5], fresh[len(fresh) // 5 :]
        for number in warm:
            await ask(number)
        left, taken = iter(counted), list[float]()

        async def work() -> None:
            for number in left:
                began = time.perf_counter()
                await ask(number)
                taken.append((time.perf_counter() - began) * 1000)

        began = time.perf_counter()
        await asyncio.gather(*(work() for _ in range(at_once)))
        seconds = time.perf_counter() - began
        figures = {
            "p50_ms": round(percentile(taken, 0.5), 2),
            "p95_ms": round(percentile(taken, 0.95), 2),
        }
        return figures, round(len(counted) / seconds, 1)

    async def _prepare(self, number: int) -> None:
        """Know a question's tokens without the model's having seen the question."""
        text = self._corpus.questions[number]
        if text not in self._prepared:
            (encoded,) = await self._model.encoded([text])
            vector = self._corpus.asked[number]
            self._prepared[text] = replace(encoded, vector=vector)

    async def recall(self, admin: psycopg.AsyncConnection[Any]) -> dict[str, Any]:
        """Return which share of the true best ten is found, with the times of the yardsticks."""
        rows = self._corpus.vectors.astype(np.float32)
        few = np.flatnonzero(self._corpus.labelled())
        picked = rows[few]
        scan, filtered_scan = list[float](), list[float]()
        found: dict[str, list[float]] = {
            name: [] for name in ("ours", "ours_filtered", "pgvector", "pgvector_filtered")
        }
        times: dict[str, list[float]] = {"pgvector": [], "pgvector_filtered": []}
        for number in range(self._questions):
            asked = self._corpus.asked[number]
            true = _best(rows, asked, scan)
            true_filtered = few[_best(picked, asked, filtered_scan)]
            ours = await self.near(number, CANDIDATES, EVERYTHING)
            found["ours"].append(_share(list(ours)[:TOP], true))
            ours = await self.near(number, CANDIDATES, Filter(labels=(LABEL,)))
            found["ours_filtered"].append(_share(list(ours)[:TOP], true_filtered))
            for name, answer in (("pgvector", true), ("pgvector_filtered", true_filtered)):
                began = time.perf_counter()
                cursor = await admin.execute(
                    SQL[name],
                    {"vector": HalfVector(asked), "limit": TOP, "labels": [LABEL]},
                )
                ids = [chunk_id for (chunk_id,) in await cursor.fetchall()]
                times[name].append((time.perf_counter() - began) * 1000)
                found[name].append(_share(ids, answer))
        return {
            **{f"{name}_at_{TOP}": round(float(np.mean(v)), 4) for name, v in found.items()},
            **{f"{name}_worst": round(min(v), 2) for name, v in found.items()},
            **{f"{name}_p50_ms": round(percentile(v, 0.5), 2) for name, v in times.items()},
            "numpy_scan_p50_ms": round(percentile(scan, 0.5), 2),
            "numpy_filtered_scan_p50_ms": round(percentile(filtered_scan, 0.5), 2),
        }


class _Made:
    """An embedder whose questions lie among the made-up vectors; works for as long as the model."""

    def __init__(self, model: MiniLM | None, prepared: Mapping[str, Encoded]) -> None:
        self._model = model
        self._prepared = prepared

    async def encoded_query(self, text: str) -> Encoded:
        """Return the question, after embedding it where there is a model."""
        if self._model is not None:
            await self._model.encoded_query(text)
        return self._prepared[text]


class _NoLook(Late):
    """Reranks nothing."""

    async def scores(self, question: Encoded, packed: Sequence[bytes | None]) -> list[float | None]:
        """Know nothing."""
        return [None] * len(packed)


def _best(
    rows: NDArray[np.float32], asked: NDArray[np.float32], times: list[float]
) -> NDArray[np.intp]:
    began = time.perf_counter()
    scores = rows @ asked
    best = np.argpartition(-scores, min(TOP, len(scores) - 1))[:TOP]
    times.append((time.perf_counter() - began) * 1000)
    return best


def _share(ids: Sequence[int], true: NDArray[np.intp]) -> float:
    """Return which share of the true rows was found; chunk ids count from 1."""
    return len({i - 1 for i in ids} & set(true.tolist())) / len(true)
