"""What other processes announce: LISTEN on one connection, for everybody here."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import AsyncIterator
from typing import Self

import psycopg
from psycopg import AsyncConnection, sql
from psycopg.rows import TupleRow

_RETRY_SECONDS = (0.0, 0.1, 0.5, 1.0, 2.0)  # then every two seconds
_BACKLOG = 10_000  # announcements kept for a listener that is slow; older ones are dropped
_log = logging.getLogger(__name__)


class Listener:
    """Hands on announcements until it is closed; reconnects by itself.

    What is announced while the connection is down, or in a backlog nobody reads, is lost:
    an announcement says "look now", and who relies on it also looks from time to time.
    """

    def __init__(self, url: str) -> None:
        """url: any role will do, announcements carry no rows."""
        self._url = url
        self._subscribers: dict[str, list[_Subscriber]] = {}
        self._channels_changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._listening: set[str] = set()
        self._ready: asyncio.Condition = asyncio.Condition()

    async def __aenter__(self) -> Self:
        """Begin to listen; the connection comes up in the background."""
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop; whoever still listens gets no more."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        for subscribers in self._subscribers.values():
            for subscriber in subscribers:
                subscriber.close()

    async def listen(self, *channels: str) -> AsyncIterator[tuple[str, str]]:
        """Yield (channel, payload) of every announcement on these channels, until closed."""
        subscriber = _Subscriber()
        for channel in channels:
            self._subscribers.setdefault(channel, []).append(subscriber)
        self._channels_changed.set()
        try:
            while (announcement := await subscriber.next()) is not None:
                yield announcement
        finally:
            for channel in channels:
                self._subscribers[channel].remove(subscriber)

    async def listening(self, *channels: str) -> None:
        """Return when the server has been told that we listen to these channels."""
        async with self._ready:
            await self._ready.wait_for(lambda: self._listening.issuperset(channels))

    async def _run(self) -> None:
        failures = 0
        while True:
            try:
                async with await AsyncConnection.connect(
                    self._url, autocommit=True, connect_timeout=5, keepalives_idle=30
                ) as conn:
                    failures = 0
                    await self._serve(conn)
            except psycopg.Error as error:
                if failures == 0:
                    _log.warning("lost the connection for announcements: %s", error)
                await self._note(set())
                await asyncio.sleep(_RETRY_SECONDS[min(failures, len(_RETRY_SECONDS) - 1)])
                failures += 1

    async def _serve(self, conn: AsyncConnection[TupleRow]) -> None:
        """Hand on what comes, and interrupt that whenever somebody asks for a new channel."""
        while True:
            self._channels_changed.clear()
            for channel in self._subscribers.keys() - self._listening:
                await conn.execute(sql.SQL("listen {}").format(sql.Identifier(channel)))
            await self._note(set(self._subscribers))
            receiving = asyncio.ensure_future(self._receive(conn))
            changed = asyncio.ensure_future(self._channels_changed.wait())
            try:
                await asyncio.wait([receiving, changed], return_when=asyncio.FIRST_COMPLETED)
                if receiving.done():
                    receiving.result()
            finally:
                for task in (receiving, changed):
                    task.cancel()
                await asyncio.wait([receiving, changed])

    async def _receive(self, conn: AsyncConnection[TupleRow]) -> None:
        async for notify in conn.notifies():
            for subscriber in self._subscribers.get(notify.channel, ()):
                subscriber.put((notify.channel, notify.payload))

    async def _note(self, channels: set[str]) -> None:
        async with self._ready:
            self._listening = channels
            self._ready.notify_all()


class _Subscriber:
    """A bounded queue whose oldest entries give way."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[str, str]] = deque(maxlen=_BACKLOG)
        self._wake = asyncio.Event()
        self._closed = False

    def put(self, announcement: tuple[str, str]) -> None:
        self._waiting.append(announcement)
        self._wake.set()

    def close(self) -> None:
        self._closed = True
        self._wake.set()

    async def next(self) -> tuple[str, str] | None:
        while not self._waiting:
            if self._closed:
                return None
            self._wake.clear()
            await self._wake.wait()
        return self._waiting.popleft()
