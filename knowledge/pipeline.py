"""Files into the knowledge base: three stages that overlap, so the model never waits."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence
from contextlib import aclosing

import numpy as np

from core.cancel import heed_cancellation
from core.errors import DocumentEmpty, DocumentError
from core.settings import KnowledgeSettings
from db.pool import Database
from embeddings.base import Embedder, Vectors
from knowledge.access import Access
from knowledge.checks import Expected, Ledger
from knowledge.files import Failure, File, file_of
from knowledge.late import Late
from knowledge.load.document import Document
from knowledge.load.reader import Reader
from knowledge.prepare import Work, opened, prepared
from knowledge.store import (
    ChunkVectors,
    Known,
    encoded,
    remove_document,
    replace_document,
    set_access,
)
from knowledge.summary import Progress, Summary

BATCH_CHUNKS = 64  # embedded together, so that short documents keep every core busy
REMOVALS = 200  # in one transaction

Batch = list[Work]
Vectored = tuple[Batch, dict[bytes, ChunkVectors]]


class Pipeline:
    """Brings documents up to date with files. Each document is one transaction."""

    def __init__(
        self,
        database: Database,
        embedder: Embedder,
        reader: Reader,
        *,
        tenant_id: str,
        settings: KnowledgeSettings,
        access: Access,
        known: dict[str, Known],
        report: Progress,
    ) -> None:
        """known: what is stored of the files, by uri; see `store.known`."""
        self._database = database
        self._embedder = embedder
        self._reader = reader
        self._tenant_id = tenant_id
        self._settings = settings
        self._access = access
        self._known = known
        self._report = report
        self._late = Late.load()
        self._lines = _by_file(known)
        self._ledger = Ledger(database, tenant_id=tenant_id)
        self.summary = Summary()

    async def run(self, files: Iterable[File]) -> None:
        """Read files; what a file does not hold any more is removed.

        Raises OperatorError when the database or the model fails; never for a file.
        """
        # One batch between two stages: the model never waits, and memory stays bounded.
        read: asyncio.Queue[Vectored | None] = asyncio.Queue(1)
        embedded: asyncio.Queue[Vectored | None] = asyncio.Queue(1)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._read(files, read))
                group.create_task(self._embed(read, embedded))
                group.create_task(self._store(embedded))
        except BaseExceptionGroup as failed:
            raise failed.exceptions[0] from failed
        await self._ledger.compare()
        self.summary.differences = self._ledger.differences

    async def _read(self, files: Iterable[File], out: asyncio.Queue[Vectored | None]) -> None:
        """Read and cut what has changed, in batches."""
        batch: Batch = []
        for file in files:
            heed_cancellation()
            present: set[str] = set()
            kept = False
            answers = 0
            async with aclosing(self._reader.read(file.path)) as contents:
                async for line, found in contents:
                    answers += 1
                    try:
                        if isinstance(found, DocumentError):
                            raise found
                        work = await self._prepare(file, found, present)
                    except DocumentError as error:
                        self._unreadable(file, line, error)
                        # An emptied file holds nothing, so nothing of it may be answered. One
                        # that is damaged keeps what was read of it; a bad line of JSON Lines
                        # has no id by which to keep it.
                        kept |= not line and not isinstance(error, DocumentEmpty)
                        continue
                    if work is not None:
                        batch.append(work)
                    if sum(len(work.chunks) for work in batch) >= BATCH_CHUNKS:
                        await self._hand_on(batch, out)
                        batch = []
            if not answers:
                self._unreadable(file, 0, DocumentEmpty())
            if not kept:
                await self.remove(self._lines.get(file.uri, set()) - present)
        if batch:
            await self._hand_on(batch, out)
        await out.put(None)

    async def _hand_on(self, batch: Batch, out: asyncio.Queue[Vectored | None]) -> None:
        """Put a batch out, with the vectors that are stored already."""
        vectors = await self._encoded(batch)
        heed_cancellation()  # nobody would take it
        await out.put((batch, vectors))

    async def _prepare(self, file: File, document: Document, present: set[str]) -> Work | None:
        """Return the chunks of a document, or None when it is stored as it is."""
        source = opened(file, document, access=self._access, settings=self._settings)
        present.add(source.uri)
        before = self._known.get(source.uri)
        stored = (before.content_sha256, before.embedding_model) if before else None
        if before is None or stored != (source.content_sha256, self._embedder.name):
            return await prepared(
                source,
                self._embedder,
                settings=self._settings,
                shown=file.shown,
                before=before,
            )
        await self._ledger.note(source.uri, Expected(source.content_sha256))
        if source.access.changes(before.access):
            async with self._database.transaction(self._tenant_id) as conn:
                await set_access(
                    conn, tenant_id=self._tenant_id, uri=source.uri, access=source.access
                )
            self.summary.changed += 1
            self._report.finish(file.shown, "changed", document.bytes, 0)
        else:
            self.summary.unchanged += 1
            self._report.finish(file.shown, "unchanged", document.bytes, 0)
        return None

    async def _encoded(self, batch: Batch) -> dict[bytes, ChunkVectors]:
        """Return the vectors that are stored already, in these documents or in others."""
        digests = {found for work in batch for found in work.digests}
        async with self._database.transaction(self._tenant_id) as conn:
            return await encoded(conn, tenant_id=self._tenant_id, digests=list(digests))

    async def _embed(
        self, source: asyncio.Queue[Vectored | None], out: asyncio.Queue[Vectored | None]
    ) -> None:
        """Give every chunk its vectors."""
        while item := await source.get():
            batch, vectors = item
            texts: dict[bytes, str] = {}
            for work in batch:
                texts |= work.texts()
            new = [found for found in texts if found not in vectors]
            began = time.perf_counter()
            for first in range(0, len(new), BATCH_CHUNKS):
                some = new[first : first + BATCH_CHUNKS]
                made = await _encode(self._embedder, self._late, [texts[found] for found in some])
                vectors |= zip(some, made, strict=True)
                self._report.embed(len(some))
                heed_cancellation()
            self.summary.embedding_seconds += time.perf_counter() - began
            self.summary.embedded += len(new)
            await out.put((batch, vectors))
        await out.put(None)

    async def _store(self, source: asyncio.Queue[Vectored | None]) -> None:
        """Store each document in a transaction of its own."""
        while item := await source.get():
            batch, vectors = item
            for work in batch:
                found = [vectors[digest] for digest in work.digests]
                try:
                    async with self._database.transaction(self._tenant_id) as conn:
                        await replace_document(
                            conn,
                            tenant_id=self._tenant_id,
                            document=work.row,
                            chunks=work.chunks,
                            vectors=_stacked(found, self._embedder.dimensions),
                            late=[one.late for one in found],
                        )
                except DocumentError as error:
                    self.fail(Failure(work.shown, error))
                else:
                    await self._count(work)
                heed_cancellation()

    async def remove(self, uris: Iterable[str]) -> None:
        """Remove documents that are not there any more."""
        for uri in await remove(self._database, uris, tenant_id=self._tenant_id):
            self.summary.removed += 1
            self._report.finish(uri, "removed", 0, 0)

    async def _count(self, work: Work) -> None:
        if work.outcome == "added":
            self.summary.added += 1
        else:
            self.summary.changed += 1
        tokens = sum(chunk.tokens for chunk in work.chunks)
        expected = Expected(work.row.content_sha256, len(work.chunks), tokens)
        await self._ledger.note(work.row.uri, expected)
        self.summary.chunks += len(work.chunks)
        self.summary.tokens += tokens
        self._report.finish(work.shown, work.outcome, work.row.bytes, len(work.chunks))

    def _unreadable(self, file: File, line: int, error: DocumentError) -> None:
        self.fail(Failure(f"{file.shown}:{line}" if line else file.shown, error))

    def fail(self, failure: Failure) -> None:
        """Count a document that could not be read."""
        self.summary.failures.append(failure)
        self._report.fail(failure)


async def remove(database: Database, uris: Iterable[str], *, tenant_id: str) -> list[str]:
    """Remove documents, so many in a transaction; return their uris."""
    gone = sorted(uris)
    for first in range(0, len(gone), REMOVALS):
        async with database.transaction(tenant_id) as conn:
            for uri in gone[first : first + REMOVALS]:
                await remove_document(conn, tenant_id=tenant_id, uri=uri)
    return gone


async def _encode(embedder: Embedder, late: Late, texts: Sequence[str]) -> list[ChunkVectors]:
    """Return what chunks are found and reranked by."""
    made = await embedder.encoded(texts)
    packed = await asyncio.to_thread(lambda: [late.pack(one) for one in made])
    return [ChunkVectors(one.vector, own) for one, own in zip(made, packed, strict=True)]


def _stacked(found: Sequence[ChunkVectors], dimensions: int) -> Vectors:
    empty = np.zeros((0, dimensions), np.float32)
    return np.stack([one.vector for one in found]) if found else empty


def _by_file(known: Iterable[str]) -> dict[str, set[str]]:
    """Return the uris of each file: its own, or those of its lines."""
    files: dict[str, set[str]] = {}
    for uri in known:
        files.setdefault(file_of(uri), set()).add(uri)
    return files
