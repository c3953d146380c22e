"""What carrying one turn costs: time, CPU, statements, commits, bytes.

Parley beside a bare FastAPI + LangGraph app with the stock saver, in the same run, on the same
Postgres, with the same scripted model, retrieval and checks. Compare the two columns, not the
milliseconds of two runs: the ratio is what a noisy machine leaves standing.
"""

from __future__ import annotations

import asyncio
import re
import statistics
import tempfile
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psycopg
from psycopg import sql

from db.embedded import EmbeddedPostgres, embedded_postgres
from db.migrate import migrate
from evals.bench.servers import serve
from evals.spread import percentile

USERS = 16
CONVERSATIONS = 3  # of the counted and of the timed pass at one user; medians are reported
QUESTION = "What does the document say about fact number {n}, and why does it matter to us?"
_STATEMENT = re.compile(rb"LOG:  (?:statement|execute [^:]*): (?!\s*(?:begin|commit)\b)", re.I)


@dataclass(frozen=True, slots=True)
class Timing:
    """One turn as its client saw it."""

    first_ms: float  # to the first event
    total_ms: float
    cpu_ms: float | None = None  # of the server process; only known when nobody else asks


@dataclass(frozen=True, slots=True)
class Counts:
    """What one turn asked of Postgres."""

    statements: int
    commits: int  # transactions that wrote
    bytes: int  # of write-ahead log, without full-page images


async def run(*, turns: int = 100) -> dict[str, Any]:
    """Measure both servers and return the report."""
    marks = sorted({1, 10, turns})
    report: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="parley-bench-") as name:
        # Full-page images depend on when the last checkpoint was, not on the turn.
        settings = {"full_page_writes": "off", "checkpoint_timeout": "1h", "max_wal_size": "8GB"}
        async with embedded_postgres(Path(name), settings=settings) as postgres:
            for contender in ("stock", "parley"):
                report[contender] = await measure(contender, postgres, Path(name), turns, marks)
    report["ratio"] = compare(report["parley"], report["stock"])
    report["conditions"] = {
        "turns": turns,
        "users": USERS,
        "conversations": CONVERSATIONS,
        "tokens_per_answer": 64,
    }
    return report


async def measure(
    contender: str, postgres: EmbeddedPostgres, folder: Path, turns: int, marks: list[int]
) -> dict[str, Any]:
    """Return the figures of one server: a counted pass, then a timed one at 1 and 16 users."""
    async with database(postgres, contender, folder) as place:
        await place.log_statements(on=True)
        async with serve(contender, place.url) as url, _client(url) as client:
            counted = [
                await count(contender, client, place, turns, marks) for _ in range(CONVERSATIONS)
            ]
        await place.log_statements(on=False)
        async with serve(contender, place.url) as url, _client(url) as client:
            await talk(contender, client, 5)  # warm
            alone = [await talk(contender, client, turns, cpu=True) for _ in range(CONVERSATIONS)]
            together = await crowd(contender, client, turns)
    result: dict[str, Any] = {}
    for mark in marks:
        rows = [conversation[mark] for conversation in counted]
        result[f"turn_{mark}"] = {
            "statements": statistics.median(row.statements for row in rows),
            "commits": statistics.median(row.commits for row in rows),
            "bytes_written": statistics.median(row.bytes for row in rows),
            **_timings([conversation[mark - 1] for conversation in alone]),
        }
    result["one_user"] = _timings([timing for conversation in alone for timing in conversation])
    result[f"{USERS}_users"] = together
    return result


async def count(
    contender: str, client: httpx.AsyncClient, place: Place, turns: int, marks: list[int]
) -> dict[int, Counts]:
    """Return what Postgres did for the marked turns of one conversation."""
    thread = await begin(contender, client)
    counts = {}
    for number in range(1, turns + 1):
        before = await place.counters() if number in marks else None
        await ask(contender, client, thread, number)
        if before is not None:
            after = await place.counters()
            counts[number] = Counts(*(b - a for a, b in zip(before, after, strict=True)))
    return counts


async def talk(
    contender: str, client: httpx.AsyncClient, turns: int, *, cpu: bool = False
) -> list[Timing]:
    """Hold one conversation; return the timing of each turn."""
    thread = await begin(contender, client)
    timings = []
    for number in range(1, turns + 1):
        spent = (await client.get("/cpu")).json() if cpu else 0.0
        first, total = await ask(contender, client, thread, number)
        used = ((await client.get("/cpu")).json() - spent) * 1000 if cpu else None
        timings.append(Timing(first, total, used))
    return timings


async def crowd(contender: str, client: httpx.AsyncClient, turns: int) -> dict[str, float]:
    """Hold 16 conversations at once; return throughput, latency and CPU per turn."""
    spent, began = (await client.get("/cpu")).json(), time.perf_counter()
    talks = await asyncio.gather(*(talk(contender, client, turns) for _ in range(USERS)))
    seconds = time.perf_counter() - began
    used = (await client.get("/cpu")).json() - spent
    timings = [timing for conversation in talks for timing in conversation]
    return {
        "turns_per_second": round(len(timings) / seconds, 1),
        "cpu_ms": round(used * 1000 / len(timings), 3),
        **_latency(timings),
    }


async def begin(contender: str, client: httpx.AsyncClient) -> str:
    """Return the path under which a new conversation takes its turns."""
    if contender == "stock":
        return f"/threads/{uuid.uuid4()}/runs/stream"
    response = await client.post("/v1/threads", json={})
    response.raise_for_status()
    return f"/v1/threads/{response.json()['thread_id']}/runs"


async def ask(
    contender: str, client: httpx.AsyncClient, path: str, number: int
) -> tuple[float, float]:
    """Take one turn; return milliseconds to the first event and to the end."""
    body = {"input": QUESTION.format(n=number)}
    if contender == "parley":
        body["stream"] = True  # type: ignore[assignment]
    began, first = time.perf_counter(), None
    last = b""
    async with client.stream("POST", path, json=body) as response:
        response.raise_for_status()
        async for chunk in response.aiter_bytes():
            first = first or time.perf_counter()
            last = (last + chunk)[-200:]
    if b"[DONE]" not in last and b"run.finished" not in last:
        raise RuntimeError(f"{contender}: turn {number} did not end well: {last!r}")
    ended = time.perf_counter()
    return ((first or ended) - began) * 1000, (ended - began) * 1000


class Place:
    """A database of its own, and what Postgres has done in it so far."""

    def __init__(self, admin: psycopg.AsyncConnection[Any], name: str, url: str, log: Path) -> None:
        self.name = name
        self.url = url
        self._admin = admin
        self._log = log

    async def log_statements(self, *, on: bool) -> None:
        """Let new connections write each statement into the server's log, or not."""
        await self._admin.execute(
            sql.SQL("alter database {} set log_statement = {}").format(
                sql.Identifier(self.name), sql.Literal("all" if on else "none")
            )
        )

    async def counters(self) -> tuple[int, int, int]:
        """Return statements, writing transactions and bytes of log, all since some beginning."""
        cursor = await self._admin.execute(
            "select pg_snapshot_xmax(pg_current_snapshot())::text::bigint,"
            " pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint"
        )
        row = await cursor.fetchone()
        assert row is not None
        text = await asyncio.to_thread(self._log.read_bytes)
        return len(_STATEMENT.findall(text)), row[0], row[1]


@asynccontextmanager
async def database(
    postgres: EmbeddedPostgres, contender: str, folder: Path
) -> AsyncIterator[Place]:
    """Make a database for one server, with Parley's schema where it is Parley's."""
    name = f"bench_{contender}"
    async with await psycopg.AsyncConnection.connect(
        _at(postgres.admin_url, "postgres"), autocommit=True
    ) as admin:
        await admin.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
        url = _at(postgres.admin_url, name)
        if contender == "parley":
            await migrate(url)
            url = _at(postgres.url, name)
        yield Place(admin, name, url, folder / "postgres.log")


def _at(url: str, name: str) -> str:
    return re.sub(r"@/[^?]+", f"@/{name}", url)


def _client(url: str) -> AbstractAsyncContextManager[httpx.AsyncClient]:
    limits = httpx.Limits(max_connections=USERS * 2, max_keepalive_connections=USERS * 2)
    return httpx.AsyncClient(base_url=url, timeout=60, limits=limits)


def _timings(timings: list[Timing]) -> dict[str, float]:
    used = [timing.cpu_ms for timing in timings if timing.cpu_ms is not None]
    return {"cpu_ms": round(statistics.median(used), 3), **_latency(timings)}


def _latency(timings: list[Timing]) -> dict[str, float]:
    first = [timing.first_ms for timing in timings]
    total = [timing.total_ms for timing in timings]
    return {
        "first_ms_p50": round(percentile(first, 0.5), 2),
        "total_ms_p50": round(percentile(total, 0.5), 2),
        "total_ms_p95": round(percentile(total, 0.95), 2),
    }


def compare(ours: dict[str, Any], stock: dict[str, Any]) -> dict[str, Any]:
    """Return each of our figures divided by the stock app's."""
    ratios: dict[str, Any] = {}
    for name, value in ours.items():
        if isinstance(value, dict):
            ratios[name] = compare(value, stock[name])
        else:
            ratios[name] = round(value / stock[name], 3) if stock[name] else None
    return ratios
