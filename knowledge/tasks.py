"""What a job does: reads or forgets one document, and notes what came of it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from urllib.parse import unquote_to_bytes, urlsplit
from uuid import UUID

from core.errors import DocumentError, OperatorError, ParleyError
from core.settings import KnowledgeSettings
from db.pool import Database
from embeddings.base import Embedder
from knowledge import ingestions, uploads
from knowledge.engines.choose import tell
from knowledge.files import File, lines_of
from knowledge.ingest import ingest_file, reader
from knowledge.ingestions import Ingestion
from knowledge.load.reader import Reader
from knowledge.segments import merge
from knowledge.store import remove_document, remove_under
from knowledge.summary import Outcome, Summary

UNEXPECTED = "Something unexpected went wrong; the log of the worker knows more."
log = logging.getLogger(__name__)


class Parked(Exception):
    """This job is over: its document is parked with the reason."""


class Readers:
    """Reading processes that wait for the next file, so that not every file starts one."""

    def __init__(self, settings: KnowledgeSettings) -> None:
        self._settings = settings
        self._idle: list[tuple[Reader, AsyncExitStack]] = []

    @asynccontextmanager
    async def lend(self) -> AsyncIterator[Reader]:
        """Give a reading process of the block's own."""
        if self._idle:
            lent, stack = self._idle.pop()
        else:
            stack = AsyncExitStack()
            lent = await stack.enter_async_context(reader(self._settings))
        try:
            yield lent
        except BaseException:
            await stack.aclose()  # it may stand in the middle of a file
            raise
        self._idle.append((lent, stack))

    async def close(self) -> None:
        """End those that wait."""
        while self._idle:
            _, stack = self._idle.pop()
            await stack.aclose()


class Tasks:
    """The jobs there are. Each may run twice, or beside itself, and changes nothing by that."""

    def __init__(
        self,
        database: Database,
        embedder: Embedder,
        settings: KnowledgeSettings,
        readers: Readers,
    ) -> None:
        self._database = database
        self._embedder = embedder
        self._settings = settings
        self._readers = readers

    async def ingest(self, job_id: int, *, tenant_id: str, ingestion_id: UUID) -> bool:
        """Do what an ingestion asks for; True when the knowledge base has changed.

        Raises Parked when it is given up, and the OperatorError of what failed when it is to be
        attempted once more.
        """
        async with self._database.transaction(tenant_id) as conn:
            found = await ingestions.start(
                conn,
                ingestion_id,
                tenant_id=tenant_id,
                job_id=job_id,
                max_attempts=self._settings.max_attempts,
            )
        if found is None:
            return False
        if found.state == "parked":
            self._tell(found, found.code or "", tenant_id)
            raise Parked
        try:
            return await self._done(found, tenant_id)
        except asyncio.CancelledError:
            # The worker is stopping: the next one begins anew, and this attempt does not count.
            await asyncio.shield(self._hand_back(found, tenant_id))
            raise
        except DocumentError as error:
            await self._park(found, error.code, error.message, tenant_id)
            raise Parked from error
        except OperatorError as error:
            if found.attempts >= self._settings.max_attempts:
                await self._park(found, error.code, error.message, tenant_id)
                raise Parked from error
            async with self._database.transaction(tenant_id) as conn:
                await ingestions.requeue(
                    conn,
                    found.ingestion_id,
                    tenant_id=tenant_id,
                    code=error.code,
                    message=error.message,
                )
            raise
        except Exception as error:
            log.exception("an ingestion failed", extra={"ingestion_id": str(found.ingestion_id)})
            await self._park(found, ParleyError.code, UNEXPECTED, tenant_id)
            raise Parked from error

    async def merge(self, *, tenant_id: str) -> None:
        """Pack the keyword index of a tenant, and tell the vector engine what changed."""
        await merge(self._database, tenant_id=tenant_id)
        await tell(self._database, self._settings, tenant_id=tenant_id)

    async def _done(self, found: Ingestion, tenant_id: str) -> bool:
        if found.action == "forget":
            return await self._forget(found, tenant_id)
        summary = await self._read(found, tenant_id)
        failures = summary.failures
        if failures and not summary.read:
            raise failures[0].error
        outcome = _outcome(summary)
        async with self._database.transaction(tenant_id) as conn:
            kept = await ingestions.finish(
                conn,
                found.ingestion_id,
                tenant_id=tenant_id,
                outcome=outcome,
                chunks=summary.chunks,
                failed=summary.failed,
                code=failures[0].code if failures else None,
                message=str(failures[0]) if failures else None,
            )
            if not kept:  # somebody deleted the document while it was read
                await _remove(conn, found.uri, tenant_id)
        return outcome != "unchanged"

    async def _read(self, found: Ingestion, tenant_id: str) -> Summary:
        async with self._file(found, tenant_id) as path, self._readers.lend() as lent:
            return await ingest_file(
                self._database,
                self._embedder,
                lent,
                File(path, found.uri, found.shown, found.size_bytes),
                tenant_id=tenant_id,
                settings=self._settings,
                access=found.access,
            )

    @asynccontextmanager
    async def _file(self, found: Ingestion, tenant_id: str) -> AsyncIterator[Path]:
        if not found.uri.startswith(uploads.SCHEME):
            yield Path(os.fsdecode(unquote_to_bytes(urlsplit(found.uri).path)))
            return
        async with uploads.as_file(
            self._database,
            found.ingestion_id,
            tenant_id=tenant_id,
            name=found.shown + found.options.get("suffix", ""),
        ) as path:
            yield path

    async def _forget(self, found: Ingestion, tenant_id: str) -> bool:
        async with self._database.transaction(tenant_id) as conn:
            gone = await _remove(conn, found.uri, tenant_id)
            await ingestions.finish(
                conn, found.ingestion_id, tenant_id=tenant_id, outcome="removed"
            )
        return gone

    async def _park(self, found: Ingestion, code: str, message: str, tenant_id: str) -> None:
        async with self._database.transaction(tenant_id) as conn:
            await ingestions.park(
                conn, found.ingestion_id, tenant_id=tenant_id, code=code, message=message
            )
        self._tell(found, code, tenant_id)

    def _tell(self, found: Ingestion, code: str, tenant_id: str) -> None:
        log.warning(
            "a document is parked",
            extra={
                "tenant_id": tenant_id,
                "ingestion_id": str(found.ingestion_id),
                "code": code,
                "attempts": found.attempts,
            },
        )

    async def _hand_back(self, found: Ingestion, tenant_id: str) -> None:
        with contextlib.suppress(OperatorError):  # then the attempt counts, which does no harm
            async with self._database.transaction(tenant_id) as conn:
                await ingestions.requeue(
                    conn, found.ingestion_id, tenant_id=tenant_id, counts=False
                )


async def _remove(conn: ingestions.Conn, uri: str, tenant_id: str) -> bool:
    """Remove a document, or the documents of a file's lines."""
    whole = await remove_document(conn, tenant_id=tenant_id, uri=uri)
    lines = await remove_under(conn, tenant_id=tenant_id, prefix=lines_of(uri))
    return whole or bool(lines)


def _outcome(summary: Summary) -> Outcome:
    if summary.changed or (summary.added and summary.removed):
        return "changed"
    if summary.added:
        return "added" if not summary.unchanged else "changed"
    return "changed" if summary.removed else "unchanged"
