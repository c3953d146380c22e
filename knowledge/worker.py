"""Takes jobs out of the queue and does them; killed at any moment, another worker goes on.

A worker shows a sign of life now and then. The jobs of one that has stopped doing so are taken
up again, one of them at a time over all workers: when a document kills whoever reads it, it
takes nothing else with it a second time, and is parked after a few attempts.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import UUID

import psycopg
from psycopg import AsyncConnection
from psycopg.rows import TupleRow
from psycopg_pool import PoolClosed, PoolTimeout

from core.cancel import beside, heed_cancellation
from core.errors import OperatorError
from core.settings import KnowledgeSettings
from db.migrate import SEARCH_PATH
from db.pool import SQL as POOL_SQL
from db.pool import Database, connection_arguments
from embeddings.base import Embedder
from knowledge.jobs import MERGE, MERGING, QUEUE, SQL, TASK
from knowledge.tasks import Parked, Readers, Tasks

if TYPE_CHECKING:
    import procrastinate
    from procrastinate.jobs import Job
    from procrastinate.retry import BaseRetryStrategy
    from procrastinate.worker import Worker as Engine

SIGNS_OF_LIFE = 5  # within the time after which a worker counts as dead
LONGEST_WAIT_SECONDS = 60
MERGE_AFTER_SECONDS = 5  # of quiet or of work: many documents, one merge
MERGE_ATTEMPTS = 5
RESTART_SECONDS = 2.0
ONE_AT_A_TIME = "suspects"  # the lock of jobs whose worker died
log = logging.getLogger(__name__)


class Worker:
    """Works on the queue until it is asked to stop."""

    def __init__(
        self,
        database: Database,
        embedder: Embedder,
        *,
        settings: KnowledgeSettings,
        concurrency: int,
        drain_seconds: float,
    ) -> None:
        """Use `working`, which runs it.

        drain_seconds: jobs may finish when it stops; those that need longer are handed back.
        """
        self._database = database
        self._settings = settings
        self._concurrency = concurrency
        self._drain_seconds = drain_seconds
        self._readers = Readers(settings)
        self._tasks = Tasks(database, embedder, settings, self._readers)
        self._running: set[int] = set()
        self._lost: set[int] = set()
        self._merged: dict[str, float] = {}
        self._stopping = asyncio.Event()
        self._engine: Engine | None = None

    def stop(self) -> None:
        """Take no more jobs, and end when those at hand are done or handed back."""
        self._stopping.set()
        if self._engine is not None:
            self._engine.stop()  # type: ignore[no-untyped-call]

    async def run(self) -> None:
        """Work until `stop`; an outage of the database only interrupts it."""
        await asyncio.to_thread(_import)
        from procrastinate.exceptions import ConnectorException

        outages = (ConnectorException, psycopg.Error, PoolTimeout, PoolClosed, OperatorError)
        try:
            while not self._stopping.is_set():
                try:
                    await self._work()
                except outages as error:
                    log.warning("the worker lost the database", extra={"why": type(error).__name__})
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), RESTART_SECONDS)
        finally:
            await self._readers.close()

    async def _work(self) -> None:
        """Work on the queue until it stops, or until the database fails."""
        from procrastinate import App
        from procrastinate.jobs import DeleteJobCondition
        from procrastinate.worker import Worker as Engine

        app = App(connector=_connector(self._database.url))
        self._register(app)
        async with app.open_async():
            self._engine = Engine(
                app,
                queues=[QUEUE],
                concurrency=self._concurrency,
                shutdown_graceful_timeout=self._drain_seconds,
                # What became of a document stands in our own table; what is parked stays here
                # too, so that it can be counted.
                delete_jobs=DeleteJobCondition.SUCCESSFUL,
                install_signal_handlers=False,
                update_heartbeat_interval=self._settings.worker_timeout_seconds / SIGNS_OF_LIFE,
                stalled_worker_timeout=self._settings.worker_timeout_seconds,
            )
            if self._stopping.is_set():
                return
            try:
                async with beside(self._sweep_on(app, self._engine)):
                    await self._engine.run()  # type: ignore[no-untyped-call]
            finally:
                self._engine = None

    def _register(self, app: procrastinate.App) -> None:
        """Tell the library what to call for each kind of job."""
        from procrastinate import JobContext

        retry = _backoff()

        @app.task(name=TASK, queue=QUEUE, pass_context=True, retry=retry)
        async def ingest(context: JobContext, tenant_id: str, ingestion_id: str) -> None:
            job_id = context.job.id
            assert job_id is not None
            with self._noted(job_id):
                changed = await self._tasks.ingest(
                    job_id, tenant_id=tenant_id, ingestion_id=UUID(ingestion_id)
                )
            if changed:
                await self._merge_soon(app, tenant_id)

        @app.task(name=MERGE, queue=QUEUE, pass_context=True, retry=retry)
        async def merge(context: JobContext, tenant_id: str) -> None:
            job_id = context.job.id
            assert job_id is not None
            with self._noted(job_id):
                await self._tasks.merge(tenant_id=tenant_id)

    @contextlib.contextmanager
    def _noted(self, job_id: int) -> Iterator[None]:
        self._running.add(job_id)
        try:
            yield
        finally:
            self._running.discard(job_id)

    async def _merge_soon(self, app: procrastinate.App, tenant_id: str) -> None:
        """Have the keyword index of a tenant packed in a while, once for many documents."""
        from procrastinate.exceptions import AlreadyEnqueued, ConnectorException

        now = time.monotonic()
        if now - self._merged.get(tenant_id, -MERGE_AFTER_SECONDS) < MERGE_AFTER_SECONDS:
            return  # the one that was put in then runs after this document
        self._merged[tenant_id] = now
        lock = f"{MERGE} {tenant_id}"
        task = app.configure_task(
            MERGE,
            queue=QUEUE,
            lock=lock,
            queueing_lock=lock,
            priority=MERGING,
            schedule_in={"seconds": MERGE_AFTER_SECONDS},
        )
        # An index that is not packed is slower, not wrong: the next document asks again.
        with contextlib.suppress(AlreadyEnqueued, ConnectorException):
            await task.defer_async(tenant_id=tenant_id)

    async def _sweep_on(self, app: procrastinate.App, engine: Engine) -> None:
        """Look after the jobs that nobody is at, again and again."""
        from procrastinate.exceptions import ConnectorException

        while True:
            await asyncio.sleep(self._settings.worker_timeout_seconds / SIGNS_OF_LIFE)
            try:
                await self._sweep(app, engine)
            except (ConnectorException, psycopg.Error, OperatorError) as error:
                log.warning("a sweep failed", extra={"why": type(error).__name__})
            if not self._running:
                await self._readers.close()
            heed_cancellation()

    async def _sweep(self, app: procrastinate.App, engine: Engine) -> None:
        manager = app.job_manager
        async with self._database.connection() as conn:
            row = await (await conn.execute(SQL["try_sweep"])).fetchone()
            if row is not None and row[0]:
                try:
                    timeout = self._settings.worker_timeout_seconds
                    for job in await manager.get_stalled_jobs(seconds_since_heartbeat=timeout):
                        log.warning("a worker died at a job", extra={"job_id": job.id})
                        await manager.retry_job(job, datetime.now(UTC), lock=_suspect(job))
                    await manager.prune_stalled_workers(timeout)
                finally:
                    await conn.execute(SQL["end_sweep"])
        # Jobs of ours whose end could not be written down, because the database was away.
        if engine.worker_id is None:
            return
        held = await manager.list_jobs_async(status="doing", worker_id=engine.worker_id)
        idle = {job.id: job for job in held if job.id is not None and job.id not in self._running}
        for job_id in self._lost & idle.keys():
            await manager.retry_job(idle[job_id], datetime.now(UTC))
        self._lost = idle.keys() - self._lost


@asynccontextmanager
async def working(worker: Worker) -> AsyncIterator[Worker]:
    """Run a worker beside the block, which begins at once; it stops with the block."""
    task = asyncio.create_task(worker.run())
    try:
        yield worker
    finally:
        worker.stop()
        await asyncio.wait([task])
        if not task.cancelled():
            task.result()


def _import() -> None:
    """Import the library, from a thread: it takes a quarter of a second."""
    import procrastinate.worker  # noqa: F401


def _suspect(job: Job) -> str | None:
    return ONE_AT_A_TIME if job.task_name == TASK else None


def _connector(url: str) -> procrastinate.PsycopgConnector:
    """Return connections of the worker's own: a sign of life must not wait behind questions."""
    from procrastinate import PsycopgConnector

    async def configure(conn: AsyncConnection[TupleRow]) -> None:
        await conn.execute(POOL_SQL["search_path"], {"path": SEARCH_PATH})
        await conn.commit()

    arguments = connection_arguments(url)
    del arguments["autocommit"]  # the library sets it itself where it needs it
    return PsycopgConnector(
        conninfo=url,
        kwargs=arguments,
        min_size=1,
        max_size=3,
        configure=configure,
        name="jobs",
    )


def _backoff() -> BaseRetryStrategy:
    """Return when a job is tried again: later each time when a service failed, else never."""
    from procrastinate.retry import BaseRetryStrategy, RetryDecision

    class Backoff(BaseRetryStrategy):
        def get_retry_decision(self, *, exception: BaseException, job: Job) -> RetryDecision | None:
            if isinstance(exception, asyncio.CancelledError):  # handed back
                return RetryDecision(retry_in={"seconds": 0})
            if isinstance(exception, Parked) or not isinstance(exception, OperatorError):
                return None
            if job.task_name == MERGE and job.attempts >= MERGE_ATTEMPTS:
                return None
            wait = min(2**job.attempts, LONGEST_WAIT_SECONDS)
            return RetryDecision(retry_in={"seconds": wait})

    return Backoff()
