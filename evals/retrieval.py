"""Is the right passage found first? Ours beside simple methods, on the same questions.

Data: a folder with sets as in `SETS`. Passages go into a scratch Postgres and are searched by the
product's own search, one configuration for all. What was tuned was tuned on the first half of
each set (core/split.py); the figures are of the second.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pgvector import HalfVector
from rich.progress import Progress

from core.settings import DatabaseSettings
from core.split import in_first_half
from db.connect import connect
from db.pool import Database
from embeddings.minilm import MiniLM
from evals.cases import read
from evals.spread import share
from knowledge import keywords
from knowledge.late import Late
from knowledge.nearest import nearest
from knowledge.search import Search, fuse
from knowledge.store import Chunk, DocumentRow, replace_document, searchable

DEEP = 10  # ranks looked at
CANDIDATES = 100
AT_ONCE = 4
BATCH = 256


@dataclass(frozen=True, slots=True)
class Asked:
    """A question and the passages that answer it."""

    text: str
    right: frozenset[str]  # ids of passages
    group: str  # what must not be in both halves: the article, the entity


@dataclass(frozen=True, slots=True)
class Set:
    """A corpus: id -> (title, text), and the questions about it."""

    passages: Mapping[str, tuple[str, str]]
    questions: Sequence[Asked]


def wikipedia(folder: Path) -> Set:
    """Return SQuAD or Natural Questions: paragraphs of articles."""
    corpus = read(folder, "corpus")
    article = {row["id"]: row["title"] for row in corpus}
    return Set(
        {row["id"]: (row["title"], row["text"]) for row in corpus},
        [
            Asked(row["question"], frozenset({row["doc"]}), article[row["doc"]])
            for row in read(folder, "queries")
        ],
    )


def faq(folder: Path) -> Set:
    """Return DSTC9: which snippet of a FAQ supports a reply. The entity is part of the title."""
    rows = read(folder, "snippets")
    entity = {row["id"]: f"{row['domain']} {row['entity'] or ''}" for row in rows}
    return Set(
        {
            row["id"]: (row["title"], "\n".join(filter(None, [row["entity"], row["body"]])))
            for row in rows
        },
        [
            Asked(row["response"], frozenset(row["docs"]), entity[row["docs"][0]])
            for row in read(folder, "responses")
            if row["docs"][0] in entity
        ],
    )


SETS: dict[str, tuple[str, Callable[[Path], Set]]] = {
    "squad": ("squad_v11", wikipedia),
    "qed_nq": ("qed_nq", wikipedia),
    "dstc9_faq": ("dstc9_faq", faq),
}


async def run(data: Path, *, sample: int | None = None) -> dict[str, Any]:
    """Return the report of every set that is in the folder.

    sample: only so many questions of each half.
    """
    embedder = await asyncio.to_thread(MiniLM.load)
    report: dict[str, Any] = {}
    with closing(embedder):
        for name, (folder, parse) in SETS.items():
            if (data / folder).is_dir():
                with tempfile.TemporaryDirectory(prefix="parley-eval-") as scratch:
                    settings = DatabaseSettings(url=None, folder=Path(scratch) / "postgres")
                    async with connect(settings) as database:
                        report[name] = await measured(
                            database, embedder, parse(data / folder), sample=sample
                        )
    return report


async def measured(
    database: Database, embedder: MiniLM, found: Set, *, sample: int | None
) -> dict[str, Any]:
    """Return the figures of one set: ours under their own names, the others below theirs."""
    names = await fill(database, embedder, found)
    questions = [one for one in found.questions if not in_first_half(one.group)][:sample]
    ranks = await ranked(database, embedder, questions, names)
    report: dict[str, Any] = figures(ranks["parley"])
    for method, places in ranks.items():
        if method != "parley":
            report[method] = figures(places)
    report["passages"] = len(found.passages)
    return report


async def fill(database: Database, embedder: MiniLM, found: Set) -> dict[int, str]:
    """Store every passage whole, as one chunk; return chunk_id -> id of the passage."""
    late = Late.load()
    items = list(found.passages.items())
    with Progress(transient=True) as progress:
        bar = progress.add_task("embedding", total=len(items))
        for first in range(0, len(items), BATCH):
            some = items[first : first + BATCH]
            chunks = [
                Chunk(text, "", None, 0, embedder.count_tokens(text)) for _, (_, text) in some
            ]
            texts = [
                searchable(title, chunk)
                for (_, (title, _)), chunk in zip(some, chunks, strict=True)
            ]
            encoded = await embedder.encoded(texts)
            async with database.transaction("default") as conn:
                for (key, (title, text)), chunk, one in zip(some, chunks, encoded, strict=True):
                    await replace_document(
                        conn,
                        tenant_id="default",
                        document=DocumentRow(
                            uri=key,
                            title=title,
                            media_type="text/plain",
                            content_sha256=b"",
                            embedding_model=embedder.name,
                            bytes=len(text),
                        ),
                        chunks=[chunk],
                        vectors=one.vector[None, :],
                        late=[late.pack(one)],
                    )
            progress.advance(bar, len(some))
    async with database.transaction("default") as conn:
        cursor = await conn.execute(
            "select chunk_id, uri from chunks join documents using (tenant_id, document_id)"
        )
        return dict(await cursor.fetchall())


async def ranked(
    database: Database, embedder: MiniLM, questions: Sequence[Asked], names: Mapping[int, str]
) -> dict[str, list[int | None]]:
    """Return, by method, the place from 0 of the first right passage, for each question."""
    search = Search(embedder, candidates=CANDIDATES)
    free = asyncio.Semaphore(AT_ONCE)

    async def one(question: Asked) -> dict[str, int | None]:
        async with free:
            vector = HalfVector(await embedder.query(question.text))
            async with database.transaction("default") as conn:
                ours = await search.within(conn, question.text, tenant_id="default", limit=DEEP)
                near = await nearest(conn, vector, tenant_id="default", limit=CANDIDATES)
                hits = await keywords.search(
                    conn, question.text, tenant_id="default", limit=CANDIDATES
                )
        matches = dict(hits)
        orders: dict[str, Sequence[int]] = {
            "parley": [passage["chunk_id"] for passage in ours],
            "bm25": [hit.chunk_id for hit in hits],
            "vectors": list(near),
            "rrf": reciprocal([list(near), list(matches)]),
            "fusion": [chunk_id for chunk_id, _ in fuse(near, matches, weight=0.5)],
        }
        return {
            method: place([names[n] for n in order[:DEEP]], question.right)
            for method, order in orders.items()
        }

    with Progress(transient=True) as progress:
        bar = progress.add_task("asking", total=len(questions))
        rows = []
        for done in asyncio.as_completed([one(question) for question in questions]):
            rows.append(await done)
            progress.advance(bar)
    return {method: [row[method] for row in rows] for method in rows[0]}


def reciprocal(orders: Sequence[Sequence[int]]) -> list[int]:
    """Return reciprocal rank fusion: the sum of 1 / (60 + rank), ranks from 1."""
    scores: dict[int, float] = {}
    for order in orders:
        for rank, chunk_id in enumerate(order, 1):
            scores[chunk_id] = scores.get(chunk_id, 0) + 1 / (60 + rank)
    return sorted(scores, key=lambda chunk_id: (-scores[chunk_id], chunk_id))


def place(order: Sequence[str], right: frozenset[str]) -> int | None:
    """Return the place, from 0, of the first right passage; None when it is not among them."""
    return next((rank for rank, name in enumerate(order) if name in right), None)


def figures(places: Sequence[int | None]) -> dict[str, Any]:
    """Return recall at 1, 5 and 10, and the mean reciprocal rank within the first 10."""
    report: dict[str, Any] = {
        f"r_at_{depth}": share([rank is not None and rank < depth for rank in places])
        for depth in (1, 5, 10)
    }
    reciprocals = [0.0 if rank is None else 1 / (rank + 1) for rank in places]
    report["mrr_at_10"] = round(float(np.mean(reciprocals)), 4)
    return report
