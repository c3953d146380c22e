"""Threads, their messages and the log of their turns."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest
from psycopg import AsyncConnection
from psycopg.rows import TupleRow
from psycopg.types.json import Jsonb

from core.errors import RunNotFound, ThreadNotFound
from core.events import Event
from db import events, messages, threads, turns
from db.pool import Database
from db.sql import Statement
from db.threads import Thread

BELONGINGS = ("threads", "runs", "messages", "run_events", "turns")
LEFTOVERS = (
    "insert into checkpoints (thread_id, checkpoint_id, checkpoint) values (%s, 'c', '{}')",
    "insert into checkpoint_blobs (thread_id, channel, version, type) values (%s, 'c', '1', 't')",
    """insert into checkpoint_writes (thread_id, checkpoint_id, task_id, idx, channel, blob)
       values (%s, 'c', 't', 0, 'c', '')""",
)


async def test_create(database: Database, tenant: str) -> None:
    """A new thread is empty, has a time-ordered id, and is found again as it was returned."""
    async with database.transaction(tenant) as conn:
        first = await threads.create(conn, tenant_id=tenant, user_id="u")
        second = await threads.create(
            conn, tenant_id=tenant, user_id="u", title="Ünï", metadata={"a": [1, None]}
        )
    assert (first.title, first.metadata, first.messages) == ("", {}, 0)
    assert (second.title, second.metadata) == ("Ünï", {"a": [1, None]})
    assert first.thread_id.version == 7
    assert first.thread_id < second.thread_id
    async with database.transaction(tenant) as conn:
        assert await threads.get(conn, second.thread_id) == second


async def test_given_id(database: Database, tenant: str) -> None:
    """A thread takes the id that is given."""
    chosen = uuid4()
    async with database.transaction(tenant) as conn:
        thread = await threads.create(conn, tenant_id=tenant, user_id="u", thread_id=chosen)
    assert thread.thread_id == chosen


async def test_unknown_thread(database: Database, tenant: str) -> None:
    """A thread that is not there cannot be read, changed or deleted."""
    async with database.transaction(tenant) as conn:
        with pytest.raises(ThreadNotFound):
            await threads.get(conn, uuid4())
        with pytest.raises(ThreadNotFound):
            await threads.update(conn, uuid4(), title="x")
        with pytest.raises(ThreadNotFound):
            await threads.delete(conn, uuid4())


async def test_update(database: Database, tenant: str) -> None:
    """Changing one thing leaves the other, and the place in the list."""
    async with database.transaction(tenant) as conn:
        before = await threads.create(
            conn, tenant_id=tenant, user_id="u", title="old", metadata={"a": 1}
        )
        renamed = await threads.update(conn, before.thread_id, title="new")
        assert renamed == replace(before, title="new")
        assert await threads.update(conn, before.thread_id, metadata={}) == replace(
            renamed, metadata={}
        )


async def test_pages(database: Database, tenant: str) -> None:
    """Pages hold every thread of the user once, last used first, also those of one instant."""
    at = datetime(2026, 1, 1, tzinfo=UTC)
    async with database.transaction(tenant) as conn:
        for _ in range(7):
            await threads.create(conn, tenant_id=tenant, user_id="u")
        await threads.create(conn, tenant_id=tenant, user_id="somebody else")
        await conn.execute("update threads set updated_at = %s", [at])
        newest = await threads.create(conn, tenant_id=tenant, user_id="u")
    pages: list[list[Thread]] = []
    before: tuple[datetime, UUID] | None = None
    async with database.transaction(tenant) as conn:
        while page := await threads.list_recent(conn, user_id="u", limit=3, before=before):
            pages.append(page)
            before = (page[-1].updated_at, page[-1].thread_id)
    assert [len(page) for page in pages] == [3, 3, 2]
    found = [thread for page in pages for thread in page]
    assert found[0] == newest
    assert len({thread.thread_id for thread in found}) == 8
    keys = [(thread.updated_at, thread.thread_id) for thread in found]
    assert keys == sorted(keys, reverse=True)


async def test_delete(database: Database, tenant: str) -> None:
    """Deleting a thread deletes all that belongs to it, the checkpointer's rows included."""
    async with database.transaction(tenant) as conn:
        keep, drop = [
            (await threads.create(conn, tenant_id=tenant, user_id="u")).thread_id for _ in range(2)
        ]
        runs = [await talk(conn, tenant, thread, *range(1, 3)) for thread in (keep, drop)]
        for run in runs:
            await conn.execute(*saving(tenant, log_of(run, keep)))
            await conn.execute("insert into run_events values (%s, %s, 1, 1, '[]')", [tenant, run])
            for statement in LEFTOVERS:
                await conn.execute(statement, [str(run)])
        await threads.delete(conn, drop)
        for table in (*BELONGINGS, "checkpoints", "checkpoint_blobs", "checkpoint_writes"):
            counted = await conn.execute(f"select count(*) from {table}".encode())
            expected = 2 if table == "messages" else 1
            assert await counted.fetchone() == (expected,), table


async def test_messages(database: Database, tenant: str) -> None:
    """Messages come back from any place on, oldest first."""
    async with database.transaction(tenant) as conn:
        thread = (await threads.create(conn, tenant_id=tenant, user_id="u")).thread_id
        run = await talk(conn, tenant, thread, *range(1, 6))
        found = await messages.list_after(conn, thread, after=1, limit=3)
        assert [message.seq for message in found] == [2, 3, 4]
        assert [message.role for message in found] == ["assistant", "user", "assistant"]
        assert {message.run_id for message in found} == {run}
        assert [citation["marker"] for citation in found[0].citations] == [1]
        assert await messages.list_after(conn, thread, after=5) == []


async def test_window(database: Database, tenant: str) -> None:
    """A window holds what was said before a question, and answers that it had to wait for."""
    async with database.transaction(tenant) as conn:
        thread = (await threads.create(conn, tenant_id=tenant, user_id="u")).thread_id
        await talk(conn, tenant, thread, 1, 3)
        await talk(conn, tenant, thread, 2, 4)  # asked before the first had its answer
        await talk(conn, tenant, thread, 5, 6)
    for before, limit, expected in (
        (1, 9, []),
        (2, 9, [1, 3]),
        (5, 9, [1, 2, 3, 4]),
        (5, 2, [3, 4]),
    ):
        window = await messages.window(database, tenant, thread, limit=limit, before_seq=before)
        assert [message.seq for message in window] == expected


async def test_turns(database: Database, tenant: str) -> None:
    """The log of a turn comes back as it was stored; a later attempt replaces it."""
    async with database.transaction(tenant) as conn:
        thread = (await threads.create(conn, tenant_id=tenant, user_id="u")).thread_id
        run = await talk(conn, tenant, thread, *range(1, 2))
        for outcome in ("failed", "answered"):
            log = replace(log_of(run, thread), outcome=outcome)
            await conn.execute(*saving(tenant, log))
            stored = await turns.get(conn, run)
            assert stored.created_at is not None
            assert replace(stored, created_at=None) == log
        with pytest.raises(RunNotFound):
            await turns.get(conn, uuid4())


async def test_a_turn_without_a_model(database: Database, tenant: str) -> None:
    """What a turn did not have is null, not an empty object."""
    async with database.transaction(tenant) as conn:
        thread = (await threads.create(conn, tenant_id=tenant, user_id="u")).thread_id
        run = await talk(conn, tenant, thread, *range(1, 2))
        log = replace(log_of(run, thread), model=None, usage=None, prompt_name=None, intent=None)
        await conn.execute(*saving(tenant, log))
        assert replace(await turns.get(conn, run), created_at=None) == log
        found = await conn.execute("select model is null and usage is null from turns")
        assert await found.fetchone() == (True,)


async def test_logs_of_before(database: Database, tenant: str) -> None:
    """What was stored as JSON, before it was packed, is read as it always was."""
    async with database.transaction(tenant) as conn:
        thread = (await threads.create(conn, tenant_id=tenant, user_id="u")).thread_id
        run = await talk(conn, tenant, thread, *range(1, 3))
        sent = [{"role": "system", "content": "s"}, {"first_seq": 1, "last_seq": 2}]
        await conn.execute(
            """insert into turns (tenant_id, run_id, thread_id, prompt, raw_answer, total_ms,
                                  outcome)
               values (%s, %s, %s, %s, 'said', 1, 'answered')""",
            [tenant, run, thread, Jsonb(sent)],
        )
        await conn.execute(
            "insert into run_events (tenant_id, run_id, first_seq, last_seq, events)"
            """ values (%s, %s, 1, 2, '[[1, "token", {"text": "a"}], [2, "token", {}]]')""",
            [tenant, run],
        )
        log = await turns.get(conn, run)
        assert (log.raw_answer, log.passages) == ("said", [])
        assert [message["content"] for message in log.prompt] == ["s", "1", "2"]
        assert await events.read(conn, run, after=1) == [Event(2, "token", {})]


def saving(tenant: str, log: turns.TurnLog) -> Statement:
    """Return what stores a log under the lease that a run begins with."""
    return turns.saving(log, tenant_id=tenant, lease_token=1)


async def talk(conn: AsyncConnection[TupleRow], tenant: str, thread_id: UUID, *places: int) -> UUID:
    """Store a finished run with messages at these places, user first; return its id."""
    run_id = uuid4()
    await conn.execute(
        """insert into runs (tenant_id, run_id, thread_id, user_id, status, input, lease_owner,
                             lease_expires_at)
           values (%s, %s, %s, 'u', 'succeeded', '{}', 'w', now())""",
        [tenant, run_id, thread_id],
    )
    await conn.execute(
        """insert into messages (tenant_id, thread_id, seq, message_id, run_id, role, content,
                                 citations)
           select %s, %s, place, gen_random_uuid(), %s,
                  case n %% 2 when 1 then 'user' else 'assistant' end, place::text, %s
             from unnest(%s::int[]) with ordinality as p (place, n)""",
        [tenant, thread_id, run_id, Jsonb([{"marker": 1}]), list(places)],
    )
    return run_id


def log_of(run_id: UUID, thread_id: UUID) -> turns.TurnLog:
    """Return a log with something in every field."""
    return turns.TurnLog(
        run_id=run_id,
        thread_id=thread_id,
        intent="knowledge_question",
        query="Who?",
        prompt_name="answer",
        prompt_version=1,
        prompt_sha256="0" * 64,
        prompt=[{"role": "user", "content": "Who?"}],
        passages=[{"chunk_id": 1, "scores": {"vector": 0.5}}],
        raw_answer="He [1].",
        model={"name": "m", "version": "1", "server": "s"},
        usage={"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
        stages={"screen": 1.5},
        first_token_ms=12.5,
        total_ms=99.5,
        outcome="answered",
        model_calls=[{"task": "answer", "cost_usd": 0.001}],
        budget={"tokenizer": "estimate", "exact": False},
    )
