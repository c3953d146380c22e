"""python -m knowledge work: real processes that are killed, stopped, and follow one another."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from db.pool import Database
from tests.knowledge.working import documents, put, rows, settled, until

ROOT = Path(__file__).parents[2]
Start = Callable[..., subprocess.Popen[str]]
LONG = "\n\n".join(f"Boat {n} sails north with {n % 7} sailors." for n in range(20_000))


@pytest.fixture
def environment(database_url: str) -> dict[str, str]:
    """What the processes find: a worker counts as dead after a second."""
    return {
        **os.environ,
        "DATABASE_URL": database_url,
        "PYTHONPATH": str(ROOT),
        "KNOWLEDGE_WORKER_TIMEOUT_SECONDS": "1",
        "KNOWLEDGE_MAX_ATTEMPTS": "2",
        "API_DRAIN_SECONDS": "0",
    }


@pytest.fixture
def start(environment: dict[str, str], tmp_path: Path) -> Iterator[Start]:
    """Start a worker process and wait until it works; what is left ends with the test."""
    with ExitStack() as stack:

        def run(*arguments: str, **changes: str) -> subprocess.Popen[str]:
            log = stack.enter_context((tmp_path / "worker.log").open("a"))
            process = subprocess.Popen(
                [sys.executable, "-m", "knowledge", "work", *arguments],
                cwd=tmp_path,
                env=environment | changes,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
            stack.enter_context(process)
            stack.callback(process.kill)
            assert process.stdout is not None
            assert process.stdout.readline().startswith("working on")
            return process

        yield run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder for documents."""
    made = tmp_path / "docs"
    made.mkdir()
    return made


async def test_a_killed_worker_is_followed_by_another(
    database: Database, tenant: str, folder: Path, start: Start
) -> None:
    """kill -9 in the middle of a batch: the next worker does the rest, every document once."""
    for n in range(24):
        (folder / f"{n}.md").write_text(f"# Boat {n}\n\n" + f"It sails to harbour {n}. " * 40)
    await put(database, [folder], tenant)
    first = start("--concurrency", "2")

    async def in_the_middle() -> bool:
        done = len(await rows(database, tenant, "done"))
        return done >= 3 and bool(await rows(database, tenant, "working"))

    await until(in_the_middle)
    first.kill()
    first.wait()
    left = await rows(database, tenant, "working", "queued")
    assert left
    second = start("--concurrency", "2")
    await settled(database, tenant)
    second.send_signal(signal.SIGTERM)
    assert second.wait() == 0
    assert [one.state for one in await rows(database, tenant)] == ["done"] * 24
    stored = await documents(database, tenant)
    assert sorted(entry.title for entry in stored) == sorted(f"Boat {n}" for n in range(24))
    async with database.transaction(tenant) as conn:
        cursor = await conn.execute("select count(*) from chunks")
        assert await cursor.fetchone() == (sum(entry.chunks for entry in stored),)


async def test_a_document_that_kills_its_workers_is_parked(
    database: Database, tenant: str, folder: Path, start: Start
) -> None:
    """After as many dead workers as there are attempts it is parked, and the others are read."""
    (folder / "a poison.txt").write_text(LONG)
    for n in range(4):
        (folder / f"b{n}.md").write_text(f"# Boat {n}\n\nIt sails to harbour {n}.")
    await put(database, [folder], tenant)

    for attempt in (1, 2):

        async def at_it(attempt: int = attempt) -> bool:
            return any(
                one.shown.endswith("poison.txt") and one.attempts == attempt
                for one in await rows(database, tenant, "working")
            )

        worker = start()
        await until(at_it)
        worker.kill()
        worker.wait()
    start()
    await settled(database, tenant)
    found = {Path(one.shown).name: (one.state, one.code) for one in await rows(database, tenant)}
    assert found.pop("a poison.txt") == ("parked", "worker_died")
    assert set(found.values()) == {("done", None)}
    assert len(found) == 4


async def test_sigterm_hands_back_what_is_at_work(
    database: Database, tenant: str, folder: Path, start: Start
) -> None:
    """A worker that is asked to stop ends well, and its document waits as if never begun."""
    (folder / "long.txt").write_text(LONG)
    await put(database, [folder], tenant)
    worker = start()

    async def begun() -> bool:
        return bool(await rows(database, tenant, "working"))

    await until(begun)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait() == 0
    assert [(one.state, one.attempts) for one in await rows(database, tenant)] == [("queued", 0)]


async def test_sigterm_lets_a_short_job_finish(
    database: Database, tenant: str, folder: Path, start: Start
) -> None:
    """With time to drain, what was begun is done, and what was not begun waits."""
    (folder / "long.txt").write_text(LONG[:15_000])
    (folder / "next.txt").write_text("The next boat sails south.")
    await put(database, [folder], tenant)
    worker = start("--concurrency", "1", API_DRAIN_SECONDS="60")

    async def begun() -> bool:
        return bool(await rows(database, tenant, "working"))

    await until(begun)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait() == 0
    assert [one.state for one in await rows(database, tenant)] == ["done", "queued"]


def test_the_commands_queue_watch_list_and_retry(
    environment: dict[str, str], folder: Path, start: Start
) -> None:
    """A folder is queued, watched to its end, counted; what is parked is listed and retried."""

    def knowledge(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "knowledge", *arguments],
            cwd=folder.parent,
            env=environment,
            check=False,
            capture_output=True,
            text=True,
        )

    (folder / "ferry.md").write_text("# Ferry\n\nThe ferry to Texel leaves every half hour.")
    (folder / "empty.md").write_text("")
    queued = knowledge("ingest", "docs", "--queue")
    assert "queued 2 documents" in queued.stdout
    assert "no worker is running" in queued.stdout
    assert "ferry.md" in knowledge("jobs").stdout
    start()
    watched = knowledge("ingest", "docs", "--queue", "--watch", "--label", "boats")
    assert "empty.md: document_empty" in watched.stdout
    assert "removed 0, parked 1: " in watched.stdout
    assert "2 of 2 documents, 1 parked" in watched.stderr
    parked = json.loads(knowledge("jobs", "parked", "--json").stdout)
    assert [one["code"] for one in parked] == ["document_empty"]
    assert "document_empty" in knowledge("jobs", "parked").stdout
    stats = json.loads(knowledge("stats", "--json").stdout)
    assert (stats["documents"], stats["ingestions"]["parked"], stats["queue"]["failed"]) == (
        1,
        1,
        1,
    )
    (folder / "empty.md").write_text("# Tides\n\nHigh water is at noon.")
    assert "1 document waits again" in knowledge("jobs", "retry").stdout
    (folder / "ferry.md").unlink()
    again = json.loads(knowledge("ingest", "docs", "--queue", "--watch", "--json").stdout)
    assert (again["documents"], again["forgotten"]) == (1, 1)
    assert (again["state"]["removed"], again["state"]["parked"]) == (1, 0)
    assert "Tides" in knowledge("list").stdout
    assert "documents parked" in knowledge("stats").stdout
    assert "changed 1 document" in knowledge("access", "docs", "--owner", "ada").stdout
    explained = json.loads(knowledge("search", "high water", "--explain", "--json").stdout)
    assert set(explained["ranks"]) >= {"vector", "keyword", "fused"}
    assert explained["ranks"]["vector"] == {str(explained["passages"][0]["chunk_id"]): 1}
    assert {"embed", "vector", "keyword"} <= set(explained["milliseconds"])
    assert "vector" in knowledge("search", "high water", "--explain").stdout
