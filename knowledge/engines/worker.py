"""What runs on each core of a cluster: the ingestion of one file after another."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from core.settings import KnowledgeSettings
from db.pool import Database
from db.sql import load
from embeddings.minilm import MiniLM
from knowledge.access import Access
from knowledge.files import Failure, File, lines_of
from knowledge.ingest import ingest_file, reader
from knowledge.load.reader import Reader
from knowledge.summary import Outcome, Summary

SQL = load(__file__)

LANES = 2  # files at a time: one is read or stored while another one is embedded


@dataclass(frozen=True, slots=True)
class Job:
    """What the workers of one ingestion have in common."""

    database_url: str
    tenant_id: str
    settings: KnowledgeSettings
    access: Access
    began_at: datetime  # by the clock of the database


class Worker:
    """One core, one model, a few connections. It is made in the cluster and needs no Ray."""

    def __init__(self, job: Job) -> None:
        """Open nothing yet."""
        self._job = job
        self._stack = AsyncExitStack()
        self._readers: asyncio.Queue[Reader] = asyncio.Queue()

    async def open(self) -> None:
        """Load the model and connect; raises EmbeddingUnavailable, DatabaseUnavailable."""
        job = self._job
        self._embedder = await asyncio.to_thread(MiniLM.load, 1)
        self._database = await self._stack.enter_async_context(
            Database.open(job.database_url, min_size=1, max_size=LANES)
        )
        for _ in range(LANES):
            opened = await self._stack.enter_async_context(reader(job.settings))
            self._readers.put_nowait(opened)

    async def ingest(self, file: File, *, again: bool) -> tuple[Summary, Heard]:
        """Bring the documents of a file up to date; return what happened, and in which order.

        again: an earlier worker died over this file; what it had stored counts as stored now.
        """
        heard = Heard()
        reading = await self._readers.get()
        try:
            summary = await ingest_file(
                self._database,
                self._embedder,
                reading,
                file,
                tenant_id=self._job.tenant_id,
                settings=self._job.settings,
                access=self._job.access,
                report=heard,
            )
        finally:
            self._readers.put_nowait(reading)
        if again:
            await self._count_all(file, summary)
        return summary, heard

    async def _count_all(self, file: File, summary: Summary) -> None:
        """Count what was stored of a file since the ingestion began, by whichever worker."""
        async with self._database.transaction(self._job.tenant_id) as conn:
            cursor = await conn.execute(
                SQL["stored_since"],
                {
                    "tenant_id": self._job.tenant_id,
                    "uri": file.uri,
                    "lines": lines_of(file.uri),
                    "began_at": self._job.began_at,
                },
            )
            row = await cursor.fetchone()
            assert row is not None
        before = summary.added + summary.changed
        summary.added, summary.changed, summary.chunks, summary.tokens = row
        summary.unchanged -= summary.added + summary.changed - before


@dataclass(slots=True)
class Heard:
    """A `Progress` that is written down, to be told to another one elsewhere."""

    events: list[tuple[str, tuple[Any, ...]]] = field(default_factory=list)

    def begin(self, files: int, size_bytes: int) -> None:
        """Write it down."""
        self.events.append(("begin", (files, size_bytes)))

    def finish(self, shown: str, outcome: Outcome, size_bytes: int, chunks: int) -> None:
        """Write it down."""
        self.events.append(("finish", (shown, outcome, size_bytes, chunks)))

    def fail(self, failure: Failure) -> None:
        """Write it down."""
        self.events.append(("fail", (failure,)))

    def embed(self, chunks: int) -> None:
        """Write it down."""
        self.events.append(("embed", (chunks,)))
