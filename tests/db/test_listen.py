"""Announcements between processes."""

from __future__ import annotations

import asyncio

import psycopg

from db.listen import Listener


async def test_announcements_arrive(database_url: str) -> None:
    """Announcements arrive in order, with their channel."""
    async with Listener(database_url) as listener:
        heard = hear(listener, 3, "one", "two")
        await listener.listening("one", "two")
        announce(database_url, ("one", "a"), ("two", "b"), ("three", "x"), ("one", "c"))
        assert await heard == [("one", "a"), ("two", "b"), ("one", "c")]


async def test_everybody_hears(database_url: str) -> None:
    """Two listeners of one channel both hear; a channel may be added while others are heard."""
    async with Listener(database_url) as listener:
        first, early = hear(listener, 2, "one"), hear(listener, 1, "one")
        await listener.listening("one")
        announce(database_url, ("one", "a"))
        await early
        second = hear(listener, 2, "one", "two")
        await listener.listening("one", "two")
        announce(database_url, ("one", "b"), ("two", "c"))
        assert await first == [("one", "a"), ("one", "b")]
        assert await second == [("one", "b"), ("two", "c")]


async def test_channels_added_under_fire(database_url: str) -> None:
    """Adding channels loses nothing on the channels that are heard already."""
    async with (
        Listener(database_url) as listener,
        await psycopg.AsyncConnection.connect(database_url, autocommit=True) as conn,
    ):
        heard = hear(listener, 500, "busy")
        await listener.listening("busy")
        others = []
        for number in range(500):
            if number % 25 == 0:
                others.append(hear(listener, 1, f"channel {number}"))
            await conn.execute("select pg_notify('busy', %s)", [str(number)])
        assert [payload for _, payload in await heard] == [str(n) for n in range(500)]
        for other in others:
            other.cancel()


async def test_connection_lost(database_url: str, admin_url: str) -> None:
    """After its connection was cut a listener hears again, by itself."""
    async with Listener(database_url) as listener:
        heard = hear(listener, 1, "one")
        await listener.listening("one")
        with psycopg.connect(admin_url, autocommit=True) as conn:
            conn.execute(
                """select pg_terminate_backend(pid, 10000) from pg_stat_activity
                    where usename = 'parley_app' and datname = current_database()"""
            )
        while not heard.done():
            announce(database_url, ("one", "a"))
            await asyncio.sleep(0)
        assert await heard == [("one", "a")]


async def test_end(database_url: str) -> None:
    """When the listener is closed its loops end."""
    async with Listener(database_url) as listener:
        heard = hear(listener, 1, "one")
        await listener.listening("one")
    assert await heard == []


async def test_no_server() -> None:
    """A listener without a server can be opened and closed; it keeps trying meanwhile."""
    async with Listener("postgresql://nobody@/nothing?host=/nowhere") as listener:
        heard = hear(listener, 1, "one")
    assert await heard == []


def hear(listener: Listener, count: int, *channels: str) -> asyncio.Task[list[tuple[str, str]]]:
    """Begin to collect `count` announcements."""

    async def collect() -> list[tuple[str, str]]:
        found: list[tuple[str, str]] = []
        async for announcement in listener.listen(*channels):
            found.append(announcement)
            if len(found) == count:
                break
        return found

    return asyncio.create_task(collect())


def announce(url: str, *announcements: tuple[str, str]) -> None:
    """Announce, one transaction each."""
    with psycopg.connect(url, autocommit=True) as conn:
        for channel, payload in announcements:
            conn.execute("select pg_notify(%s, %s)", [channel, payload])
