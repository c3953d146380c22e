"""Follows runs: what is stored of them, then what is to come, whichever process works on them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from uuid import UUID

from core.cancel import heed_cancellation
from core.errors import RunNotFound, ThreadNotFound
from core.events import Event
from db import events, runs
from db.pool import Database
from graphs.turn import Turn

WAKE_SECONDS = 2.0  # a lost notification delays who follows a run of another process by this much


class Tails:
    """Everybody of this process who follows a run."""

    def __init__(self, database: Database, live: Mapping[UUID, Turn]) -> None:
        """live: the runs that this process works on, as they come and go."""
        self._database = database
        self._live = live
        self._waiting: dict[UUID, set[asyncio.Event]] = {}

    def wake(self, run_id: UUID) -> None:
        """Let whoever follows a run look again."""
        for wake in self._waiting.get(run_id, ()):
            wake.set()

    async def follow(
        self, tenant_id: str, thread_id: str, run_id: str, *, after: int = 0
    ) -> AsyncGenerator[Event, None]:
        """Yield the events of a run above `after`, stored and coming, until its terminal event.

        Raises RunNotFound.
        """
        run = parse_id(run_id, RunNotFound)
        thread = parse_id(thread_id, RunNotFound)
        with self._woken(run) as wake:
            ended = False
            while not ended:
                if (turn := self._live.get(run)) is not None and turn.is_of(tenant_id, thread):
                    async for event in self._of_live(turn, tenant_id, after):
                        yield event
                        after = event.seq
                        if event.is_terminal:
                            return
                wake.clear()
                async with self._database.transaction(tenant_id) as conn:
                    ended = (await runs.get(conn, thread, run)).status in runs.ENDED
                    waiting = await events.read(conn, run, after=after)
                for event in waiting:
                    yield event
                    after = event.seq
                if not ended and run not in self._live:
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(wake.wait(), WAKE_SECONDS)
                    heed_cancellation()

    async def _of_live(self, turn: Turn, tenant_id: str, after: int) -> AsyncIterator[Event]:
        """Yield the events of a run that this process works on, until it stops doing so."""
        if after < turn.journal.base:
            async with self._database.transaction(tenant_id) as conn:
                earlier = await events.read(conn, turn.lease.run_id, after=after)
            for event in earlier:
                if event.seq <= turn.journal.base:
                    yield event
                    after = event.seq
        async for event in turn.journal.follow(after):
            yield event

    @contextlib.contextmanager
    def _woken(self, run_id: UUID) -> Iterator[asyncio.Event]:
        wake = asyncio.Event()
        self._waiting.setdefault(run_id, set()).add(wake)
        try:
            yield wake
        finally:
            self._waiting[run_id].discard(wake)
            if not self._waiting[run_id]:
                del self._waiting[run_id]


def parse_id(value: str, error: type[ThreadNotFound] | type[RunNotFound]) -> UUID:
    """Return `value` as a UUID; what is none names nothing, hence `error`."""
    try:
        return UUID(value)
    except ValueError as reason:
        raise error from reason
