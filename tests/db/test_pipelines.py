"""Statements that are sent without waiting for each other."""

from __future__ import annotations

import asyncio
from typing import LiteralString
from uuid import uuid4

import psycopg
import pytest

from core.errors import (
    EmptyInput,
)
from db import threads
from db.pool import Database
from db.sql import Statement


async def test_a_pipeline_sees_its_tenant(database: Database) -> None:
    """A pipeline is a transaction: it names its tenant, which is gone afterwards."""
    for tenant_id in ("o'clock", "two"):
        async with database.pipeline(tenant_id) as conn:
            first = await conn.execute("select current_setting('parley.tenant')")
            second = await conn.execute("select 2")
            assert await first.fetchone() == (tenant_id,)
            later = await conn.execute("select 3")
        assert await second.fetchone() == (2,)
        assert await later.fetchone() == (3,)
    async with database.connection() as conn:
        row = await (await conn.execute("select current_setting('parley.tenant', true)")).fetchone()
        assert row is not None
        assert not row[0]


async def test_a_pipeline_keeps_what_ends_well(database: Database, tenant: str) -> None:
    """What a pipeline wrote is there when its block has ended, and nothing of one that failed."""
    insert = """insert into threads (tenant_id, user_id, thread_id)
                values (%s, %s, gen_random_uuid())"""
    async with database.pipeline(tenant) as conn:
        await conn.execute(insert, [tenant, "u"])

    async def fail(statement: LiteralString) -> None:
        async with database.pipeline(tenant) as conn:
            await conn.execute(insert, [tenant, "u"])
            await (await conn.execute(statement)).fetchone()
            raise EmptyInput

    with pytest.raises(EmptyInput):
        await fail("select 1")
    with pytest.raises(psycopg.errors.DivisionByZero):
        await fail("select 1 / 0")
    async with database.transaction(tenant) as conn:
        assert len(await threads.list_recent(conn, user_id="u", limit=10)) == 1


async def test_a_failure_that_nobody_fetched(database: Database, tenant: str) -> None:
    """What fails at the very end of a pipeline is raised there, and the connection goes on."""

    async def fail() -> None:
        async with database.pipeline(tenant) as conn:
            await conn.execute("select 1 / 0")

    with pytest.raises(psycopg.errors.DivisionByZero):
        await fail()
    await database.ping()


async def test_a_cancelled_pipeline_is_undone(database_url: str, tenant: str) -> None:
    """Cancelling a task while it fetches frees its connection, and leaves no answer behind."""
    async with Database.open(database_url, min_size=1, max_size=1) as database:
        asleep = asyncio.Event()

        async def sleep() -> None:
            async with database.pipeline(tenant) as conn:
                cursor = await conn.execute("select pg_sleep(600)")
                asleep.set()
                await cursor.fetchone()

        task = asyncio.create_task(sleep())
        await asleep.wait()
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with database.pipeline("other") as conn:
            cursor = await conn.execute("select current_setting('parley.tenant')")
            assert await cursor.fetchone() == ("other",)


async def test_statements_sent_at_once_are_one_transaction(database: Database, tenant: str) -> None:
    """They see their tenant, are kept together, and undone together when one of them fails."""
    new = [threads.creation(tenant_id=tenant, user_id="u", thread_id=uuid4()) for _ in range(2)]
    count: Statement = ("select count(*)::int from threads", {})
    assert [rows[-1][0] for rows in await database.once(tenant, count, new[0], count)][::2] == [
        0,
        1,
    ]
    with pytest.raises(psycopg.errors.UniqueViolation):
        await database.once(tenant, new[1], new[0])
    assert await database.once(tenant, count) == [[(1,)]]
    assert await database.once("nobody", count) == [[(0,)]]


async def test_statements_sent_at_once_free_their_connection(
    database_url: str, tenant: str
) -> None:
    """Cancelled in the middle, or cut off, they leave a pool that works."""
    sleep: Statement = ("select pg_sleep(600)", {})
    async with Database.open(database_url, min_size=1, max_size=1) as database:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(database.once(tenant, sleep), 0.1)
        assert await database.once(tenant, ("select 1", {})) == [[(1,)]]
