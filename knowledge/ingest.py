"""Bring the knowledge base up to date with files: all of a folder, or one at a time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from core.settings import KnowledgeSettings
from db.pool import Database
from embeddings.base import Embedder
from knowledge.access import UNCHANGED, Access
from knowledge.files import File, Scan, file_of, find, lines_of
from knowledge.load.reader import Reader
from knowledge.pipeline import Pipeline, remove
from knowledge.store import Known, known
from knowledge.summary import Outcome, Progress, Silent, Summary

__all__ = ["Outcome", "Progress", "Silent", "Summary", "forget", "ingest", "ingest_file", "reader"]


async def ingest(
    database: Database,
    embedder: Embedder,
    paths: Sequence[Path],
    *,
    tenant_id: str,
    settings: KnowledgeSettings,
    access: Access = UNCHANGED,
    report: Progress | None = None,
) -> Summary:
    """Read files and folders into the knowledge base of a tenant; return what happened.

    Only what changed is embedded, down to the chunk. Documents whose file, or whose line of JSON
    Lines, is gone from what is given are removed; a file that cannot be read any more keeps its
    last readable version. Each document is one transaction: after a crash, run it again.
    access: who may read the documents; a row of JSON Lines may name others.
    Raises OperatorError when the database or the embedding model fails; never for a file.
    """
    began = time.perf_counter()
    report = report or Silent()
    scan = await asyncio.to_thread(find, paths)
    report.begin(len(scan.files), sum(file.bytes for file in scan.files))
    before = await _known(database, scan.prefixes, tenant_id)
    gone = _gone(before, scan)
    async with reader(settings) as reading:
        run = Pipeline(
            database,
            embedder,
            reading,
            tenant_id=tenant_id,
            settings=settings,
            access=access,
            known=before,
            report=report,
        )
        for failure in scan.failures:
            run.fail(failure)
        # What is gone may have moved to a file that is new: then its vectors are needed once more.
        files = {file_of(uri) for uri in before}
        moved = bool(gone) and any(file.uri not in files for file in scan.files)
        if not moved:
            await run.remove(gone)
        await run.run(scan.files)
        if moved:
            await run.remove(gone)
    run.summary.skipped = scan.skipped
    run.summary.seconds = time.perf_counter() - began
    return run.summary


async def ingest_file(
    database: Database,
    embedder: Embedder,
    reader: Reader,
    file: File,
    *,
    tenant_id: str,
    settings: KnowledgeSettings,
    access: Access = UNCHANGED,
    report: Progress | None = None,
) -> Summary:
    """Bring the documents of one file up to date; the same as `ingest` does with each of many.

    May be repeated, interrupted at any moment and run beside others. A file that does not exist
    is one that cannot be read: `forget` is for files that are gone.
    Raises OperatorError when the database or the embedding model fails; never for the file.
    """
    began = time.perf_counter()
    run = Pipeline(
        database,
        embedder,
        reader,
        tenant_id=tenant_id,
        settings=settings,
        access=access,
        known=await _known(database, [file.uri], tenant_id),
        report=report or Silent(),
    )
    await run.run([file])
    run.summary.seconds = time.perf_counter() - began
    return run.summary


async def forget(database: Database, scan: Scan, *, tenant_id: str) -> list[str]:
    """Remove the documents of files that a scan does not find any more; return their uris.

    What lies in folders that could not be listed stays.
    """
    gone = _gone(await _known(database, scan.prefixes, tenant_id), scan)
    return await remove(database, gone, tenant_id=tenant_id)


def reader(settings: KnowledgeSettings) -> AbstractAsyncContextManager[Reader]:
    """Return a reading process with the limits that are set; enter it before use."""
    return Reader.open(
        limit_bytes=settings.max_document_mb << 20,
        timeout_seconds=settings.document_timeout_seconds,
    )


async def _known(database: Database, prefixes: Sequence[str], tenant_id: str) -> dict[str, Known]:
    """Return what is stored of folders (prefixes that end in `/`) and files."""
    found: dict[str, Known] = {}
    async with database.transaction(tenant_id) as conn:
        for prefix in prefixes:
            stored = await known(conn, tenant_id=tenant_id, prefix=prefix)
            # The statement also finds a.txt.old for a.txt.
            found |= {
                uri: row
                for uri, row in stored.items()
                if prefix.endswith("/") or uri == prefix or uri.startswith(lines_of(prefix))
            }
    return found


def _gone(before: dict[str, Known], scan: Scan) -> list[str]:
    """Return the uris of stored documents whose files are not there."""
    files, unseen = {file.uri for file in scan.files}, tuple(scan.unseen)
    return [uri for uri in before if file_of(uri) not in files and not uri.startswith(unseen)]
