"""Bring the knowledge base up to date with files: read, chunk, embed, store, forget."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import orjson

from core.errors import DocumentEmpty, DocumentError
from core.settings import KnowledgeSettings
from db.pool import Database
from embeddings.base import Embedder, Vectors
from knowledge.chunk import chunks as chunked
from knowledge.files import Failure, File, Scan, find, lines_of
from knowledge.load.document import Document
from knowledge.load.reader import Reader
from knowledge.store import (
    Chunk,
    DocumentRow,
    known,
    remove_document,
    replace_document,
    searchable,
)

RECIPE = 1  # raise it when loaders or chunks change, and everything is ingested anew
BATCH_CHUNKS = 64  # embedded together, so that short documents keep every core busy
REMOVALS = 200  # in one transaction

Outcome = Literal["added", "changed", "unchanged", "removed"]


class Progress(Protocol):
    """Hears what an ingestion is doing."""

    def begin(self, files: int, size_bytes: int) -> None:
        """So much is going to be read."""

    def finish(self, shown: str, outcome: Outcome, size_bytes: int, chunks: int) -> None:
        """A document is as it should be."""

    def fail(self, failure: Failure) -> None:
        """A document could not be read; the others go on."""

    def embed(self, chunks: int) -> None:
        """So many more chunks have vectors."""


class Silent:
    """Progress that nobody watches."""

    def begin(self, files: int, size_bytes: int) -> None:
        """Do nothing."""

    def finish(self, shown: str, outcome: Outcome, size_bytes: int, chunks: int) -> None:
        """Do nothing."""

    def fail(self, failure: Failure) -> None:
        """Do nothing."""

    def embed(self, chunks: int) -> None:
        """Do nothing."""


@dataclass(slots=True)
class Summary:
    """What an ingestion did. Counts are documents, except where they say otherwise."""

    added: int = 0
    changed: int = 0
    unchanged: int = 0
    removed: int = 0
    skipped: int = 0  # files that are no documents, such as pictures
    chunks: int = 0  # stored now
    tokens: int = 0  # in these chunks
    seconds: float = 0.0
    embedding_seconds: float = 0.0  # of `seconds`, while the model was working
    failures: list[Failure] = field(default_factory=list)

    @property
    def failed(self) -> int:
        """Documents that could not be read."""
        return len(self.failures)

    @property
    def read(self) -> int:
        """Documents that could be read."""
        return self.added + self.changed + self.unchanged

    @property
    def chunks_per_second(self) -> float:
        """Chunks stored in a second of the whole ingestion."""
        return self.chunks / self.seconds if self.seconds else 0.0

    @property
    def succeeded(self) -> bool:
        """True when every path exists and something in them could be read or was forgotten."""
        missing = any(failure.missing for failure in self.failures)
        return not missing and self.read + self.removed > 0


async def ingest(
    database: Database,
    embedder: Embedder,
    paths: Sequence[Path],
    *,
    tenant_id: str,
    settings: KnowledgeSettings,
    report: Progress | None = None,
) -> Summary:
    """Read files and folders into the knowledge base of a tenant; return what happened.

    Unchanged documents cost no embedding. Documents whose file, or whose line of JSON Lines, is
    gone from what is given are removed; a file that cannot be read any more keeps its last
    readable version. Each document is one transaction: after a crash, run it again.
    Raises OperatorError when the database or the embedding model fails; never for a file.
    """
    began = time.perf_counter()
    scan = await asyncio.to_thread(find, paths)
    run = _Ingestion(database, embedder, tenant_id, settings, report or Silent())
    await run.all(scan)
    run.summary.skipped = scan.skipped
    run.summary.seconds = time.perf_counter() - began
    return run.summary


@dataclass(frozen=True, slots=True)
class _Work:
    """A document on its way into the database."""

    row: DocumentRow
    chunks: list[Chunk]
    shown: str
    outcome: Outcome


Batch = list[_Work]


class _Ingestion:
    """One run: three stages that overlap, each handing batches of documents to the next."""

    def __init__(
        self,
        database: Database,
        embedder: Embedder,
        tenant_id: str,
        settings: KnowledgeSettings,
        report: Progress,
    ) -> None:
        self._database = database
        self._embedder = embedder
        self._tenant_id = tenant_id
        self._settings = settings
        self._report = report
        self._known: dict[str, tuple[bytes, str]] = {}
        self._present: set[str] = set()  # uris that must stay
        self._kept: list[str] = []  # prefixes of which we could not see what is there
        self.summary = Summary()

    async def all(self, scan: Scan) -> None:
        self._report.begin(len(scan.files), sum(file.bytes for file in scan.files))
        for failure in scan.failures:
            self._fail(failure)
        self._kept.extend(scan.unseen)
        async with self._database.transaction(self._tenant_id) as conn:
            for prefix in scan.prefixes:
                self._known |= await known(conn, tenant_id=self._tenant_id, prefix=prefix)
        # One batch between two stages: the model never waits, and memory stays bounded.
        read: asyncio.Queue[Batch | None] = asyncio.Queue(1)
        embedded: asyncio.Queue[tuple[Batch, Vectors] | None] = asyncio.Queue(1)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._read(scan.files, read))
                group.create_task(self._embed(read, embedded))
                group.create_task(self._store(embedded))
        except BaseExceptionGroup as failed:
            raise failed.exceptions[0] from failed
        await self._forget(scan)

    async def _read(self, files: list[File], out: asyncio.Queue[Batch | None]) -> None:
        """Read and chunk what has changed, in batches."""
        batch: Batch = []
        async with Reader.open(
            limit_bytes=self._settings.max_document_mb << 20,
            timeout_seconds=self._settings.document_timeout_seconds,
        ) as reader:
            for file in files:
                async with aclosing(reader.read(file.path)) as contents:
                    async for line, found in contents:
                        if isinstance(found, DocumentError):
                            self._unreadable(file, line, found)
                            continue
                        work = await self._prepare(file, found)
                        if work is not None:
                            batch.append(work)
                        if sum(len(work.chunks) for work in batch) >= BATCH_CHUNKS:
                            await out.put(batch)
                            batch = []
        if batch:
            await out.put(batch)
        await out.put(None)

    async def _prepare(self, file: File, document: Document) -> _Work | None:
        """Return the chunks of a document, or None when it is stored as it is."""
        uri = lines_of(file.uri) + document.fragment if document.fragment else file.uri
        digest = self._digest(document)
        self._present.add(uri)
        before = self._known.get(uri)
        if before == (digest, self._embedder.name):
            self.summary.unchanged += 1
            self._report.finish(file.shown, "unchanged", document.bytes, 0)
            return None
        title, pieces = await asyncio.to_thread(
            chunked,
            document,
            self._embedder,
            chunk_tokens=self._settings.chunk_tokens,
            overlap_tokens=self._settings.overlap_tokens,
        )
        row = DocumentRow(
            uri=uri,
            title=title,
            media_type=document.media_type,
            content_sha256=digest,
            embedding_model=self._embedder.name,
            bytes=document.bytes,
            metadata=document.metadata,
            language=document.language,
            author=document.author,
        )
        return _Work(row, pieces, file.shown, "changed" if before else "added")

    async def _embed(
        self,
        source: asyncio.Queue[Batch | None],
        out: asyncio.Queue[tuple[Batch, Vectors] | None],
    ) -> None:
        """Give every chunk its vector."""
        while batch := await source.get():
            texts = [searchable(work.row.title, chunk) for work in batch for chunk in work.chunks]
            began = time.perf_counter()
            slices = []
            for first in range(0, len(texts), BATCH_CHUNKS):
                some = texts[first : first + BATCH_CHUNKS]
                slices.append(await self._embedder.passages(some))
                self._report.embed(len(some))
            self.summary.embedding_seconds += time.perf_counter() - began
            await out.put((batch, np.concatenate(slices)))
        await out.put(None)

    async def _store(self, source: asyncio.Queue[tuple[Batch, Vectors] | None]) -> None:
        """Store each document in a transaction of its own."""
        while item := await source.get():
            batch, vectors = item
            for work in batch:
                own, vectors = vectors[: len(work.chunks)], vectors[len(work.chunks) :]
                try:
                    async with self._database.transaction(self._tenant_id) as conn:
                        await replace_document(
                            conn,
                            tenant_id=self._tenant_id,
                            document=work.row,
                            chunks=work.chunks,
                            vectors=own,
                        )
                except DocumentError as error:
                    self._fail(Failure(work.shown, error))
                else:
                    self._count(work)

    async def _forget(self, scan: Scan) -> None:
        """Remove what was here before and is not here any more."""
        kept = tuple(self._kept)
        gone = [
            uri
            for uri in self._known
            if uri not in self._present and not uri.startswith(kept) and _belongs(uri, scan)
        ]
        for first in range(0, len(gone), REMOVALS):
            async with self._database.transaction(self._tenant_id) as conn:
                for uri in gone[first : first + REMOVALS]:
                    await remove_document(conn, tenant_id=self._tenant_id, uri=uri)
        for uri in gone:
            self.summary.removed += 1
            self._report.finish(uri, "removed", 0, 0)

    def _digest(self, document: Document) -> bytes:
        """Return a hash of everything that decides what is stored, the size of chunks included."""
        cut = (RECIPE, self._settings.chunk_tokens, self._settings.overlap_tokens)
        content = orjson.dumps([cut, document], option=orjson.OPT_SORT_KEYS)
        return hashlib.sha256(content).digest()

    def _count(self, work: _Work) -> None:
        if work.outcome == "added":
            self.summary.added += 1
        else:
            self.summary.changed += 1
        self.summary.chunks += len(work.chunks)
        self.summary.tokens += sum(chunk.tokens for chunk in work.chunks)
        self._report.finish(work.shown, work.outcome, work.row.bytes, len(work.chunks))

    def _unreadable(self, file: File, line: int, error: DocumentError) -> None:
        shown = f"{file.shown}:{line}" if line else file.shown
        self._fail(Failure(shown, error))
        # An emptied file holds nothing, so nothing of it may be answered. One that is damaged
        # keeps what was read of it; a bad line of JSON Lines has no id by which to keep it.
        if not line and not isinstance(error, DocumentEmpty):
            self._present.add(file.uri)
            self._kept.append(lines_of(file.uri))

    def _fail(self, failure: Failure) -> None:
        self.summary.failures.append(failure)
        self._report.fail(failure)


def _belongs(uri: str, scan: Scan) -> bool:
    """True for what lies in a given folder or file; `known` also finds a.txt.old for a.txt."""
    return any(
        uri.startswith(prefix)
        if prefix.endswith("/")
        else uri == prefix or uri.startswith(lines_of(prefix))
        for prefix in scan.prefixes
    )
