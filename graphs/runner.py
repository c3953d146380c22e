"""Keeps runs alive: starts, follows, cancels and takes them over.

A run does not belong to the request that started it. It is a row with a lease: the process that
works on it renews the lease, and a process that stops renewing loses the run to another one.
Everything that happens is an event in the run's log; clients only read the log.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import AsyncIterator, Coroutine, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self
from uuid import UUID

from uuid_utils.compat import uuid7

from core.errors import OperatorError, RunEnded, RunNotFound, ThreadNotFound
from core.events import Event
from core.telemetry import Tracer
from core.turn import HistoryMessage, TurnState
from db import events, runs, threads
from db.listen import Listener
from graphs.turn import Lease, Turn, TurnFactory
from nodes.context import Limits, Services

log = logging.getLogger(__name__)

TAKE_OVER_AT_ONCE = 8  # runs taken over per sweep, so that a new process is not flooded
YOUNG_FLUSHES = 4  # a turn that ends within so many flush intervals is stored once, at its end
WAKE_SECONDS = 2.0  # a lost notification delays a tailer of another process by this much


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast leases and flushes tick, in seconds, and when to give up."""

    lease_seconds: float = 8.0
    heartbeat_seconds: float = 2.0
    flush_seconds: float = 0.25
    max_seconds: float = 300.0
    max_attempts: int = 3


@dataclass(frozen=True, slots=True)
class StartedRun:
    """What a caller needs to follow a run."""

    run_id: str
    thread_id: str
    message_id: str  # of the user's message


class Runner:
    """Works on runs until it is closed; `async with` keeps its heartbeat, sweeper and listener."""

    def __init__(self, services: Services, limits: Limits, pace: Pace, tracer: Tracer) -> None:
        self.services = services
        self._database = services.database
        self._pace = pace
        self._turns = TurnFactory(services, limits, pace.max_seconds, pace.max_attempts, tracer)
        self._worker = f"{socket.gethostname()}:{os.getpid()}:{uuid7()}"
        self._live: dict[UUID, Turn] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._waiting: dict[UUID, set[asyncio.Event]] = {}
        self._closing = False

    async def __aenter__(self) -> Self:
        """Begin to renew, flush, sweep and listen."""
        self._listener = await Listener(self._database.url).__aenter__()
        for loop in (self._heartbeats, self._flushes, self._wakeups):
            self._spawn(loop())
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop; runs still alive are released for other processes."""
        self._closing = True
        for turn in self._live.values():
            turn.abandon()
        for task in list(self._tasks):
            if task not in {turn.task for turn in self._live.values()}:
                task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._listener.__aexit__(None, None, None)

    async def start(
        self,
        *,
        tenant_id: str,
        user_id: str,
        thread_id: str | None,
        text: str,
        instructions: str = "",
        given_history: Sequence[HistoryMessage] = (),
        parameters: dict[str, Any] | None = None,
    ) -> StartedRun:
        """Store the user's message and begin a run on it.

        thread_id None makes a new thread. The text is expected to be acceptable (core.text).
        Raises ThreadNotFound, RunActive, DatabaseUnavailable.
        """
        state = TurnState(text=text)
        if instructions:
            state["instructions"] = instructions
        if given_history:
            state["given_history"] = list(given_history)
        if parameters:
            state["parameters"] = parameters
        run_id, message_id = uuid7(), uuid7()
        thread = uuid7() if thread_id is None else parse_id(thread_id, ThreadNotFound)
        new = threads.creation(tenant_id=tenant_id, user_id=user_id, thread_id=thread)
        state["user_seq"] = await runs.start(
            self._database,
            tenant_id=tenant_id,
            user_id=user_id,
            thread_id=thread,
            run_id=run_id,
            message_id=message_id,
            text=text,
            state=state,
            worker=self._worker,
            lease_seconds=self._pace.lease_seconds,
            first=[new] if thread_id is None else (),
        )
        lease = Lease(tenant_id, user_id, thread, run_id, token=1, attempt=1)
        self._begin(self._turns.new(lease, state))
        return StartedRun(str(run_id), str(thread), str(message_id))

    async def tail(
        self, *, tenant_id: str, thread_id: str, run_id: str, after: int = 0
    ) -> AsyncIterator[Event]:
        """Yield the events of a run above `after`, stored and coming, until its terminal event.

        Raises RunNotFound. Works for runs of any process.
        """
        run = parse_id(run_id, RunNotFound)
        thread = parse_id(thread_id, RunNotFound)
        if (turn := self._live.get(run)) is not None and turn.is_of(tenant_id, thread):
            if after < turn.journal.base:
                async with self._database.transaction(tenant_id) as conn:
                    earlier = await events.read(conn, run, after=after)
                for event in earlier:
                    if event.seq <= turn.journal.base:
                        yield event
                        after = event.seq
            async for event in turn.journal.follow(after):
                yield event
                after = event.seq
                if event.is_terminal:
                    return
        with self._woken(run) as wake:
            ended = False
            while not ended:
                wake.clear()
                async with self._database.transaction(tenant_id) as conn:
                    ended = (await runs.get(conn, thread, run)).status != "running"
                    waiting = await events.read(conn, run, after=after)
                for event in waiting:
                    yield event
                    after = event.seq
                if not ended:
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(wake.wait(), WAKE_SECONDS)

    async def cancel(self, *, tenant_id: str, thread_id: str, run_id: str) -> None:
        """Ask a run to stop, wherever it runs; raises RunNotFound or RunEnded."""
        run = parse_id(run_id, RunNotFound)
        thread = parse_id(thread_id, RunNotFound)
        async with self._database.transaction(tenant_id) as conn:
            if not await runs.request_cancel(conn, thread, run):
                await runs.get(conn, thread, run)
                raise RunEnded
        if (turn := self._live.get(run)) is not None:
            turn.cancel()

    async def drain(self, seconds: float) -> None:
        """Let the live runs end by themselves, for at most `seconds`."""
        self._closing = True
        tasks = [turn.task for turn in self._live.values() if turn.task is not None]
        if tasks:
            await asyncio.wait(tasks, timeout=seconds)

    @property
    def live(self) -> int:
        """How many runs this process works on."""
        return len(self._live)

    def _begin(self, turn: Turn) -> None:
        self._live[turn.lease.run_id] = turn
        turn.task = self._spawn(self._work(turn))

    async def _work(self, turn: Turn) -> None:
        try:
            await turn.run()
        finally:
            del self._live[turn.lease.run_id]

    async def _heartbeats(self) -> None:
        while True:
            try:
                await self._renew()
                if not self._closing:
                    await self._sweep()
            except OperatorError as error:
                log.warning("leases could not be renewed: %s", error.code)
            await asyncio.sleep(self._pace.heartbeat_seconds)

    async def _renew(self) -> None:
        if not self._live:
            return
        asked = set(self._live)
        async with self._database.connection() as conn:
            held = await runs.renew_leases(conn, self._worker, asked, self._pace.lease_seconds)
        tokens = {lease.run_id: lease for lease in held}
        for run_id in asked & set(self._live):
            turn, lease = self._live[run_id], tokens.get(run_id)
            if lease is None or lease.lease_token != turn.lease.token:
                turn.lose()
            elif lease.cancel_requested:
                turn.cancel()

    async def _sweep(self) -> None:
        async with self._database.connection() as conn:
            taken = await runs.take_over(
                conn, self._worker, self._pace.lease_seconds, most=TAKE_OVER_AT_ONCE
            )
        for tenant_id, run_id in taken:
            async with self._database.transaction(tenant_id) as conn:
                work = await runs.load(conn, tenant_id, run_id)
            if work is not None and run_id not in self._live:
                log.info("run %s taken over, attempt %d", run_id, work.attempt)
                self._begin(self._turns.resumed(work))

    async def _flushes(self) -> None:
        while True:
            await asyncio.sleep(self._pace.flush_seconds)
            pending = [
                turn.flush()
                for turn in self._live.values()
                if turn.wants_flush and turn.age > YOUNG_FLUSHES * self._pace.flush_seconds
            ]
            for result in await asyncio.gather(*pending, return_exceptions=True):
                if isinstance(result, Exception):
                    log.error("a run could not be flushed", exc_info=result)

    async def _wakeups(self) -> None:
        async for channel, payload in self._listener.listen("run_events", "run_control"):
            run_id = UUID(payload)
            if channel == "run_control":
                if (turn := self._live.get(run_id)) is not None:
                    turn.cancel()
                continue
            for wake in self._waiting.get(run_id, ()):
                wake.set()

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

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task: asyncio.Task[None] = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a task of the runner ended", exc_info=error)


def parse_id(value: str, error: type[ThreadNotFound] | type[RunNotFound]) -> UUID:
    """Return `value` as a UUID; what is none names nothing, hence `error`."""
    try:
        return UUID(value)
    except ValueError as reason:
        raise error from reason
