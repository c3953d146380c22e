"""The worker: every document once, in order of importance, and what cannot be read is set aside."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import psycopg

from core.errors import DatabaseUnavailable, EmbeddingUnavailable
from db.pool import Database
from embeddings.minilm import MiniLM
from knowledge import ingestions, jobs
from knowledge.ingestions import Item
from knowledge.load.reader import Reader
from knowledge.tasks import Readers, Tasks
from tests.knowledge.working import QUICK, at_work, documents, put, rows, settled, until

T = TypeVar("T")


class Moody:
    """An embedder that fails so many times, and works from then on."""

    def __init__(self, embedder: MiniLM, failures: int) -> None:
        self._embedder = embedder
        self.failures = failures

    def __getattr__(self, name: str) -> Any:
        if name in {"passages", "encoded"}:
            return self._fail_or(getattr(self._embedder, name))
        return getattr(self._embedder, name)

    def _fail_or(self, method: Any) -> Any:
        async def call(*arguments: Any, **named: Any) -> Any:
            if self.failures:
                self.failures -= 1
                raise EmbeddingUnavailable
            return await method(*arguments, **named)

        return call


def notes(folder: Path, count: int, *, prefix: str = "note") -> list[Path]:
    """Write small files."""
    paths = [folder / f"{prefix}{n}.md" for n in range(count)]
    for n, path in enumerate(paths):
        path.write_text(f"# {prefix} {n}\n\nBoat number {n} lies in the harbour of {prefix}.")
    return paths


async def test_a_poisoned_file_is_parked_and_the_others_are_read(
    database: Database, embedder: MiniLM, tenant: str, tmp_path: Path
) -> None:
    """Each good file becomes a document; a broken one is parked with its reason, at once."""
    notes(tmp_path, 6)
    (tmp_path / "broken.pdf").write_bytes(b"%PDF-1.7 and nothing more")
    await put(database, [tmp_path], tenant)
    async with at_work(database, embedder):
        await settled(database, tenant)
    assert [entry.title for entry in await documents(database, tenant)] == [
        f"note {n}" for n in range(6)
    ]
    [parked] = await rows(database, tenant, "parked")
    assert (parked.code, parked.attempts) == ("document_unreadable", 1)
    assert parked.shown == str(tmp_path / "broken.pdf")
    assert parked.message


async def test_what_is_parked_is_read_once_it_is_mended(
    database: Database, embedder: MiniLM, tenant: str, tmp_path: Path
) -> None:
    """A retry gives all attempts anew and leaves no failed job behind."""
    path = tmp_path / "report.md"
    path.write_bytes(b"")
    await put(database, [path], tenant)
    async with at_work(database, embedder):
        await settled(database, tenant)
        assert [one.code for one in await rows(database, tenant)] == ["document_empty"]
        path.write_text("# Report\n\nAll is well in the harbour.")
        async with database.transaction(tenant) as conn:
            assert await jobs.retry(conn, tenant_id=tenant) == 1
        await settled(database, tenant)
    [one] = await rows(database, tenant)
    assert (one.state, one.outcome, one.code, one.attempts) == ("done", "added", None, 1)
    async with database.connection() as conn:
        assert (await jobs.figures(conn)).failed == 0


async def test_the_more_important_come_first(
    database: Database, embedder: MiniLM, tenant: str, tmp_path: Path
) -> None:
    """What was put in last with a higher priority is read before what waits."""
    await put(database, notes(tmp_path, 3, prefix="bulk"), tenant)
    await put(database, notes(tmp_path, 2, prefix="upload"), tenant, priority=jobs.INTERACTIVE)
    async with at_work(database, embedder, concurrency=1):
        await settled(database, tenant)
    done = sorted(await rows(database, tenant, "done"), key=lambda one: str(one.started_at))
    assert [Path(one.shown).stem for one in done] == [
        "upload0",
        "upload1",
        "bulk0",
        "bulk1",
        "bulk2",
    ]


async def test_two_workers_share_the_work(
    database: Database, embedder: MiniLM, tenant: str, tmp_path: Path
) -> None:
    """With two workers every document is read once, in one attempt."""
    await put(database, notes(tmp_path, 20), tenant)
    async with at_work(database, embedder), at_work(database, embedder):
        await settled(database, tenant)
    assert [one.attempts for one in await rows(database, tenant, "done")] == [1] * 20
    assert len(await documents(database, tenant)) == 20


async def test_a_failed_service_is_tried_again(
    database: Database, embedder: MiniLM, tenant: str, tmp_path: Path
) -> None:
    """One failure of the embedding model costs an attempt, and the next one succeeds."""
    await put(database, notes(tmp_path, 1), tenant)
    async with at_work(database, Moody(embedder, 1)):
        await settled(database, tenant)
    [one] = await rows(database, tenant)
    assert (one.state, one.attempts, one.code) == ("done", 2, None)


async def test_a_service_that_stays_down_parks_the_document(
    database: Database, embedder: MiniLM, tenant: str, tmp_path: Path
) -> None:
    """After as many attempts as are allowed, with the code of what failed."""
    await put(database, notes(tmp_path, 1), tenant)
    async with at_work(database, Moody(embedder, 99)):
        await settled(database, tenant)
    [one] = await rows(database, tenant)
    assert (one.state, one.attempts, one.code) == (
        "parked",
        QUICK.max_attempts,
        "embedding_unavailable",
    )


async def test_a_job_that_runs_twice_changes_nothing(
    database: Database, embedder: MiniLM, tenant: str, tmp_path: Path
) -> None:
    """The second run of a job finds it done; the second request finds the document unchanged."""
    await put(database, notes(tmp_path, 1), tenant)
    readers = Readers(QUICK)
    tasks = Tasks(database, embedder, QUICK, readers)
    [one] = await rows(database, tenant)
    versions = []
    for _ in range(2):
        await tasks.ingest(one.job_id, tenant_id=tenant, ingestion_id=one.ingestion_id)
        versions.append(await version(database, tenant))
    await put(database, [tmp_path], tenant)
    again = (await rows(database, tenant, "queued"))[0]
    changed = await tasks.ingest(again.job_id, tenant_id=tenant, ingestion_id=again.ingestion_id)
    await readers.close()
    assert not changed
    assert [*versions, await version(database, tenant)] == [versions[0]] * 3


async def test_the_newest_request_wins(
    database: Database, embedder: MiniLM, tenant: str, tmp_path: Path
) -> None:
    """What waits for a document is dropped when it is asked for anew, together with its job."""
    for _ in range(3):
        await put(database, notes(tmp_path, 1), tenant)
    assert [one.state for one in await rows(database, tenant)] == ["cancelled"] * 2 + ["queued"]
    async with database.connection() as conn:
        assert (await jobs.figures(conn)).todo == 1
    async with at_work(database, embedder):
        await settled(database, tenant)
    assert [one.state for one in await rows(database, tenant)] == ["cancelled"] * 2 + ["done"]


async def test_an_older_attempt_never_overwrites_a_newer_one(
    database: Database, embedder: MiniLM, tenant: str, tmp_path: Path
) -> None:
    """A request whose worker died is passed over when a newer one has come meanwhile."""
    await put(database, notes(tmp_path, 1), tenant)
    [old] = await rows(database, tenant)
    async with database.transaction(tenant) as conn:
        await ingestions.start(
            conn, old.ingestion_id, tenant_id=tenant, job_id=old.job_id, max_attempts=3
        )
    await put(database, [tmp_path], tenant)
    tasks = Tasks(database, embedder, QUICK, Readers(QUICK))
    assert not await tasks.ingest(old.job_id, tenant_id=tenant, ingestion_id=old.ingestion_id)
    assert [one.state for one in await rows(database, tenant)] == ["cancelled", "queued"]


async def test_what_is_gone_is_forgotten(
    database: Database, embedder: MiniLM, tenant: str, tmp_path: Path
) -> None:
    """A request to forget removes a document, and the documents of a file's lines."""
    (tmp_path / "lines.jsonl").write_text('{"id": 1, "text": "One."}\n{"id": 2, "text": "Two."}')
    paths = [*notes(tmp_path, 2), tmp_path / "lines.jsonl"]
    await put(database, paths, tenant)
    async with at_work(database, embedder):
        await settled(database, tenant)
        assert len(await documents(database, tenant)) == 4
        gone = [Item(path.as_uri(), path.name) for path in paths[1:]]
        async with database.transaction(tenant) as conn:
            await jobs.enqueue(conn, gone, tenant_id=tenant, batch_id=uuid4(), action="forget")
        await settled(database, tenant)
    assert [entry.title for entry in await documents(database, tenant)] == ["note 0"]
    assert [one.outcome for one in await rows(database, tenant)][-2:] == ["removed"] * 2


async def test_a_drained_worker_hands_back_what_it_cannot_finish(
    database: Database, embedder: MiniLM, tenant: str, tmp_path: Path
) -> None:
    """The attempt does not count, and the next worker does the document."""
    (tmp_path / "large.txt").write_text("\n\n".join(f"Boat {n} sails north." for n in range(9000)))
    await put(database, [tmp_path], tenant)

    async def begun() -> bool:
        return bool(await rows(database, tenant, "working"))

    async with at_work(database, embedder, drain_seconds=0):
        await until(begun)
    [one] = await rows(database, tenant)
    assert (one.state, one.attempts) == ("queued", 0)
    (tmp_path / "large.txt").write_text("Boat 1 sails north.")
    async with at_work(database, embedder):
        await settled(database, tenant)
    assert [one.state for one in await rows(database, tenant)] == ["done"]


async def test_a_worker_outlives_its_connections(
    database: Database, admin_url: str, embedder: MiniLM, tenant: str, tmp_path: Path
) -> None:
    """After the server has ended every connection, the worker goes on by itself."""
    await put(database, notes(tmp_path, 1, prefix="before"), tenant)
    async with at_work(database, embedder):
        await settled(database, tenant)
        with psycopg.connect(admin_url, autocommit=True) as admin:
            admin.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity "
                "where datname = current_database() and pid <> pg_backend_pid()"
            )
        after = notes(tmp_path, 1, prefix="after")
        await insisting(lambda: put(database, after, tenant))
        await insisting(lambda: settled(database, tenant))
    found = await insisting(lambda: rows(database, tenant))
    assert [one.state for one in found] == ["done", "done"]


async def insisting(ask: Callable[[], Awaitable[T]]) -> T:
    """Return what is asked for, once it does not get one of the connections that are ending."""
    while True:
        with suppress(DatabaseUnavailable):
            return await ask()


async def test_a_job_whose_end_was_not_written_down_is_done_again(
    database: Database, embedder: MiniLM, tenant: str, tmp_path: Path
) -> None:
    """A job that is marked as running in a living worker that does not run it comes back."""
    await put(database, notes(tmp_path, 1, prefix="first"), tenant)
    async with at_work(database, embedder, concurrency=1):
        await settled(database, tenant)
        await put(database, notes(tmp_path, 1, prefix="lost"), tenant)
        await settled(database, tenant)
        lost = (await rows(database, tenant))[-1]
        async with database.connection() as conn:
            await conn.execute(LOSE, {"tenant_id": tenant, "ingestion_id": lost.ingestion_id})

        async def none_left() -> bool:
            async with database.connection() as conn:
                figures = await jobs.figures(conn)
            return figures.doing == 0 and figures.todo == 0

        await until(none_left)


async def test_the_queue_is_counted(
    database: Database, admin_url: str, embedder: MiniLM, tenant: str, tmp_path: Path
) -> None:
    """Jobs by state, and the age of the oldest document that waits."""
    await put(database, notes(tmp_path, 3), tenant)
    with psycopg.connect(admin_url, autocommit=True) as admin:
        admin.execute("update jobs.procrastinate_events set at = at - interval '1 hour'")
    async with database.connection() as conn:
        waiting = await jobs.figures(conn)
    assert (waiting.todo, waiting.doing, waiting.failed) == (3, 0, 0)
    assert 3600 <= waiting.lag_seconds < 3700
    async with at_work(database, embedder):
        await settled(database, tenant)

        async def quiet() -> bool:
            async with database.connection() as conn:
                return (await jobs.figures(conn)).doing == 0

        await until(quiet)
    async with database.connection() as conn:
        assert (await jobs.figures(conn)).lag_seconds == 0


async def test_the_queue_shows_nothing_of_a_tenant(
    database: Database, tenant: str, tmp_path: Path
) -> None:
    """A job, which every tenant could read, holds neither the name of a file nor its uri."""
    await put(database, notes(tmp_path, 1, prefix="secret"), tenant)
    async with database.connection() as conn:
        found = await (await conn.execute("select * from procrastinate_jobs")).fetchall()
    assert len(found) == 1
    assert "secret" not in str(found)


async def test_readers_wait_for_the_next_file(tmp_path: Path) -> None:
    """One reading process serves many files, and none is left at the end."""
    readers, lent = Readers(QUICK), list[Reader]()
    for path in notes(tmp_path, 2):
        async with readers.lend() as reader:
            lent.append(reader)
            assert [line async for line, _ in reader.read(path)] == [0]
    await readers.close()
    await asyncio.sleep(0)
    assert lent[0] is lent[1]


async def version(database: Database, tenant: str) -> Any:
    """Return the version of the only document."""
    async with database.transaction(tenant) as conn:
        return await (await conn.execute("select version from documents")).fetchone()


LOSE = """
insert into procrastinate_jobs (queue_name, task_name, args, status, worker_id)
select 'knowledge', 'ingest',
       jsonb_build_object('tenant_id', %(tenant_id)s::text,
                          'ingestion_id', %(ingestion_id)s::text),
       'doing', max(id) from procrastinate_workers
"""
