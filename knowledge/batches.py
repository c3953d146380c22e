"""A folder as a batch of jobs: put in, then watched until all of it is done."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from uuid_utils.compat import uuid7

from db.pool import Database
from knowledge import ingestions, jobs
from knowledge.access import UNCHANGED, Access
from knowledge.files import Failure, Scan, file_of, find
from knowledge.ingestions import ACTIVE, Count, Item
from knowledge.store import known

LOOK_SECONDS = 0.3  # between two looks at a batch


@dataclass(frozen=True, slots=True)
class Batch:
    """What was put into the queue."""

    batch_id: UUID
    documents: int
    forgotten: int  # files that are gone, to be forgotten
    size_bytes: int
    skipped: int
    failures: list[Failure]  # paths that lead nowhere


@dataclass(frozen=True, slots=True)
class State:
    """How far a batch is, in documents except where it says otherwise."""

    queued: int = 0
    working: int = 0
    added: int = 0
    changed: int = 0
    unchanged: int = 0
    removed: int = 0
    parked: int = 0
    cancelled: int = 0
    chunks: int = 0
    size_bytes: int = 0  # of all files
    done_bytes: int = 0

    @property
    def waiting(self) -> int:
        """Documents that are not yet through."""
        return self.queued + self.working

    @property
    def done(self) -> int:
        """Documents that are as they should be."""
        return self.added + self.changed + self.unchanged + self.removed


async def put(
    database: Database,
    paths: Sequence[Path],
    *,
    tenant_id: str,
    access: Access = UNCHANGED,
    priority: int = jobs.BULK,
) -> Batch:
    """Have files and folders brought up to date in the background.

    The workers have to see the files under the same paths. What is gone is forgotten first.
    """
    scan = await asyncio.to_thread(find, paths)
    batch_id = uuid7()
    items = [Item(file.uri, file.shown, file.bytes) for file in scan.files]
    async with database.transaction(tenant_id) as conn:
        gone = [Item(uri, uri) for uri in await _gone(conn, scan, tenant_id)]
        for action, some, how_soon in (
            ("forget", gone, jobs.INTERACTIVE),
            ("read", items, priority),
        ):
            await jobs.enqueue(
                conn,
                some,
                tenant_id=tenant_id,
                batch_id=batch_id,
                action="forget" if action == "forget" else "read",
                access=access,
                priority=how_soon,
            )
    size = sum(item.size_bytes for item in items)
    return Batch(batch_id, len(items), len(gone), size, scan.skipped, scan.failures)


async def watch(
    database: Database, batch_id: UUID, *, tenant_id: str, every_seconds: float = LOOK_SECONDS
) -> AsyncIterator[State]:
    """Yield how far a batch is, until all of it is through."""
    while True:
        async with database.transaction(tenant_id) as conn:
            state = state_of(
                await ingestions.progress(conn, tenant_id=tenant_id, batch_id=batch_id)
            )
        yield state
        if not state.waiting:
            return
        await asyncio.sleep(every_seconds)


def state_of(counts: Sequence[Count]) -> State:
    """Return the sum of what is counted."""
    found: dict[str, int] = {}
    for count in counts:
        key = count.outcome or count.state
        found[key] = found.get(key, 0) + count.documents
    names = {"queued", "working", "parked", "cancelled", "added", "changed", "unchanged", "removed"}
    return State(
        **{name: value for name, value in found.items() if name in names},
        chunks=sum(count.chunks for count in counts),
        size_bytes=sum(count.size_bytes for count in counts),
        done_bytes=sum(count.size_bytes for count in counts if count.state not in ACTIVE),
    )


async def _gone(conn: ingestions.Conn, scan: Scan, tenant_id: str) -> list[str]:
    """Return the uris of files that are stored and not there any more."""
    files, unseen = {file.uri for file in scan.files}, tuple(scan.unseen)
    stored: set[str] = set()
    for prefix in scan.prefixes:
        found = map(file_of, await known(conn, tenant_id=tenant_id, prefix=prefix))
        # The statement also finds a.txt.old for a.txt.
        stored |= {uri for uri in found if prefix.endswith("/") or uri == prefix}
    return sorted(uri for uri in stored - files if not uri.startswith(unseen))
