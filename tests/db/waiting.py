"""Waiting for a fact, never for a time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from db.pool import Database


async def eventually(fact: Callable[[], bool], *, seconds: float = 30.0) -> None:
    """Return when `fact()` holds; a fact that never does fails the test."""
    deadline = time.monotonic() + seconds
    while not await asyncio.to_thread(fact):
        assert time.monotonic() < deadline, "it never came true"
        await asyncio.sleep(0.01)


def wait_until(fact: Callable[[], bool], *, seconds: float = 30.0) -> None:
    """The same for tests without a loop."""
    deadline = time.monotonic() + seconds
    while not fact():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.005)


async def settled(database: Database) -> None:
    """Return when all that is committed now is older than every transaction that is running.

    Only then does a search count as having seen it, and tests beside this one keep transactions
    open for a while in databases of the same server: they make some.
    """
    async with database.connection() as conn:
        newest = await (await conn.execute("select pg_current_xact_id()::text::bigint")).fetchone()
        assert newest is not None
        while True:
            asked = "select pg_snapshot_xmin(pg_current_snapshot())::text::bigint"
            oldest = await (await conn.execute(asked)).fetchone()
            assert oldest is not None
            if oldest[0] > newest[0]:
                return
            await asyncio.sleep(0.01)
