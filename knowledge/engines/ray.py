"""Ingestion on many cores and machines, by Ray: files are dealt out to workers that may die.

Each worker does with a file exactly what ingestion in one process does. Nothing but the database
is shared, and a document is one transaction, so a file may be tried again at any time.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, redirect_stdout
from dataclasses import fields
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any

from psycopg.conninfo import conninfo_to_dict

from core.errors import ClusterUnavailable, DocumentUnreadable, ParleyError, SettingsInvalid
from core.settings import KnowledgeSettings
from db.pool import Database
from db.sql import load
from knowledge.access import UNCHANGED, Access
from knowledge.engines.worker import LANES, Heard, Job, Worker
from knowledge.files import Failure, File, Scan, find
from knowledge.ingest import forget
from knowledge.summary import Progress, Silent, Summary

SQL = load(__file__)

ROOT = Path(__file__).resolve().parents[2]
ATTEMPTS = 3  # of a file over which workers die, of workers that die before they begin, of Ray
STORE_BYTES = 100 << 20  # of Ray's shared memory; nothing large goes through it
ENVIRONMENT = {
    # Ray reports to its makers unless told not to, and then reports that it was told so.
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_USAGE_STATS_REPORT_URL": "http://127.0.0.1:9",
    "RAY_agent_register_timeout_ms": "120000",  # a busy machine needs more than its 30 s
}
# What makes Ray listen on loopback only, and ask no address outside which one is ours.
LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
# Without this file in its home, Ray asks the address where clouds answer which one it is in.
NO_CLOUD = "ray_bootstrap_config.yaml"


async def ingest(
    database: Database,
    paths: Sequence[Path],
    *,
    tenant_id: str,
    settings: KnowledgeSettings,
    access: Access = UNCHANGED,
    report: Progress | None = None,
    workers: int | None = None,
    address: str | None = None,
) -> Summary:
    """Read files and folders into the knowledge base, as `knowledge.ingest.ingest` does.

    workers: one core each; None is all there are.
    address: of a running cluster, whose machines see the same files under the same paths and
    reach the database by its URL; None starts workers on this machine.
    A file over which workers die is tried three times, then reported with the failures.
    Raises ClusterUnavailable, SettingsInvalid, and what ends an ingestion in one process.
    """
    began = time.perf_counter()
    _check(database, address)
    report = report or Silent()
    scan = await asyncio.to_thread(find, paths)
    report.begin(len(scan.files), sum(file.bytes for file in scan.files))
    async with database.connection() as conn:
        row = await (await conn.execute(SQL["now"])).fetchone()
        assert row is not None
    job = Job(database.url, tenant_id, settings, access, row[0])
    run = _Run(scan, job, report)
    if scan.files:
        async with _cluster(workers, address) as (ray, cores):
            await run.all(ray, min(cores, len(scan.files)))
    # Last, so that a file that was moved still finds its vectors under its old name.
    for uri in await forget(database, scan, tenant_id=tenant_id):
        run.summary.removed += 1
        report.finish(uri, "removed", 0, 0)
    run.summary.skipped = scan.skipped
    run.summary.seconds = time.perf_counter() - began
    return run.summary


class _Run:
    """The files that are still to be read, and those who read them."""

    def __init__(self, scan: Scan, job: Job, report: Progress) -> None:
        # The largest first: at the end nobody waits for one who has just begun a long one.
        self._waiting = deque(sorted(scan.files, key=lambda file: -file.bytes))
        self._job = job
        self._report = report
        self._attempts: Counter[str] = Counter()
        self.summary = Summary()
        for failure in scan.failures:
            self._fail(failure)

    async def all(self, ray: ModuleType, cores: int) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(cores):
                    group.create_task(self._keep_working(ray))
        except BaseExceptionGroup as failed:
            raise _first(failed) from failed
        self.summary.embedding_seconds /= cores

    async def _keep_working(self, ray: ModuleType) -> None:
        """Have a worker, and another one when it died, as long as there are files."""
        remote = ray.remote(Worker).options(num_cpus=1, max_concurrency=LANES)
        failed = 0
        while self._waiting:
            worker = remote.remote(self._job)
            try:
                await _result(ray, worker.open.remote())
            except ray.exceptions.RayActorError as error:
                failed += 1
                if failed == ATTEMPTS:
                    raise ClusterUnavailable(
                        f"A worker of Ray does not start: {_line(error)}",
                        hint="Every machine needs the same version of Parley, with its packages.",
                    ) from error
                continue
            async with asyncio.TaskGroup() as group:
                for _ in range(LANES):
                    group.create_task(self._read(ray, worker))
            ray.kill(worker)

    async def _read(self, ray: ModuleType, worker: Any) -> None:
        """Hand files to a worker until there are none or the worker died."""
        while self._waiting:
            file = self._waiting.popleft()
            again = self._attempts[file.uri] > 0
            try:
                found, heard = await _result(ray, worker.ingest.remote(file, again=again))
            except ray.exceptions.RayActorError:
                self._lost(file)
                return
            self._count(found, heard)

    def _lost(self, file: File) -> None:
        self._attempts[file.uri] += 1
        if self._attempts[file.uri] < ATTEMPTS:
            self._waiting.append(file)
            return
        why = f"Reading it ended {ATTEMPTS} workers, so it was given up."
        self._fail(Failure(file.shown, DocumentUnreadable(why)))

    def _count(self, found: Summary, heard: Heard) -> None:
        for name in (f.name for f in fields(Summary)):
            setattr(self.summary, name, getattr(self.summary, name) + getattr(found, name))
        for event, arguments in heard.events:
            getattr(self._report, event)(*arguments)

    def _fail(self, failure: Failure) -> None:
        self.summary.failures.append(failure)
        self._report.fail(failure)


@asynccontextmanager
async def _cluster(workers: int | None, address: str | None) -> AsyncIterator[tuple[Any, int]]:
    """Give Ray, connected, and the number of workers."""
    cores = workers or (0 if address else len(os.sched_getaffinity(0)))
    settings: dict[str, Any] = {
        "address": address or "local",
        "log_to_driver": False,
        "configure_logging": False,
        "runtime_env": {"env_vars": {"PYTHONPATH": str(ROOT), "ORT_DISABLE_TELEMETRY": "1"}},
    }
    if not address:
        settings |= {"num_cpus": cores, "include_dashboard": False}
        settings |= {"object_store_memory": STORE_BYTES}
    # It prints what happens to workers where the report of the command belongs.
    with _home() as home, redirect_stdout(sys.stderr):
        with _environment(ENVIRONMENT | ({} if address else {**LOOPBACK, "HOME": home})):
            ray = _imported()
            logging.getLogger("ray").setLevel(logging.ERROR)  # it explains itself at length
            await _start(ray, settings)
        try:
            yield ray, cores or max(1, int(ray.cluster_resources().get("CPU", 1)))
        finally:
            await asyncio.to_thread(ray.shutdown)


async def _start(ray: ModuleType, settings: dict[str, Any]) -> None:
    """Start Ray, or connect to it; it gives itself half a minute, which a busy machine exceeds."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            await asyncio.to_thread(ray.init, **settings)
        except Exception as error:  # Ray raises bare Exceptions
            await asyncio.to_thread(ray.shutdown)
            if attempt == ATTEMPTS:
                raise ClusterUnavailable(f"Ray does not start: {_line(error)}") from error
        else:
            return


def _imported() -> ModuleType:
    try:
        import ray
    except ImportError as error:
        raise SettingsInvalid(
            "Ingestion by Ray needs the package ray, which is not installed.",
            hint="Install the optional extra: pip install 'ray>=2.50'.",
        ) from error
    return ray


@contextmanager
def _home() -> Iterator[str]:
    """Give a home where Ray finds that it is in no cloud, and where it may leave things."""
    with TemporaryDirectory(prefix="parley-ray-") as home:
        Path(home, NO_CLOUD).write_text("{}\n", encoding="utf-8")
        yield home


@contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    """Set environment variables for what is imported and started meanwhile."""
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        for name in variables:
            os.environ.pop(name)
            if name in before:
                os.environ[name] = before[name]


async def _result(ray: ModuleType, reference: Any) -> Any:
    """Return what a call gave; raise what it raised, as it was raised there."""
    try:
        return await asyncio.wrap_future(reference.future())
    except ray.exceptions.RayActorError:
        raise
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, ParleyError):
            raise error.cause from error
        raise ClusterUnavailable(f"A worker of Ray failed: {_line(error.cause)}") from error


def _check(database: Database, address: str | None) -> None:
    if address and str(conninfo_to_dict(database.url).get("host", "/")).startswith("/"):
        raise SettingsInvalid(
            "Workers on other machines cannot reach a Postgres that listens on a socket only.",
            hint="Set DATABASE_URL to a Postgres server that every machine reaches.",
        )


def _first(failed: BaseExceptionGroup[BaseException]) -> BaseException:
    first = failed.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first


def _line(error: BaseException) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[-1].strip() if lines else type(error).__name__
