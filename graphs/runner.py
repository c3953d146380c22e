"""Keeps runs alive: starts, follows, cancels and takes them over.

A run does not belong to the request that started it. It is a row with a lease: the process that
works on it renews the lease, and a process that stops renewing loses the run to another one.
Everything that happens is an event in the run's log; clients only read the log.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import AsyncGenerator, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Self
from uuid import UUID

from uuid_utils.compat import uuid7

from core.errors import OperatorError, RunEnded, RunNotFound
from core.events import Event
from core.telemetry import Tracer
from core.turn import HistoryMessage, TurnState
from db import checkpoints, events, runs
from db.keys import RequestKey
from db.listen import Listener
from graphs.admission import Admission, Multitask, Request, StartedRun
from graphs.journal import ATTEMPT_BASE
from graphs.lease import Lease
from graphs.tails import Tails, parse_id
from graphs.turn import Turn, TurnFactory
from nodes.context import Limits, Services
from tools import approvals, notices
from tools.executor import close_run
from tools.ledger import Conn
from tools.reviews import Reviews
from tools.tool import Caller

log = logging.getLogger(__name__)

CLAIM_AT_ONCE = 16  # queued runs
YOUNG_FLUSHES = 4  # a turn that ends within so many flush intervals is stored once, at its end
TAKE_OVER_AT_ONCE = 8  # runs taken over per sweep, so that a new process is not flooded


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast leases and flushes tick, in seconds, and when to give up."""

    lease_seconds: float = 8.0
    heartbeat_seconds: float = 2.0
    flush_seconds: float = 0.25
    max_seconds: float = 300.0
    max_attempts: int = 3


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
        self._tails = Tails(services.database, self._live)
        self._admission = Admission(
            services.database, self._worker, pace.lease_seconds, stop=self._stop
        )
        self._queue = asyncio.Event()  # there may be a run to begin
        self.reviews = Reviews(services.database, services.tools, services.policy)
        self._closing = False

    async def __aenter__(self) -> Self:
        """Begin to renew, flush, sweep and listen."""
        self._listener = await Listener(self._database.url).__aenter__()
        for loop in (self._heartbeats, self._flushes, self._wakeups, self._claims):
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
        multitask: Multitask = "enqueue",
        groups: Sequence[str] = (),
        roles: frozenset[str] = frozenset(),
        names: Sequence[str] = (),
        key: RequestKey | None = None,
        webhook: bool = False,
    ) -> StartedRun:
        """Store the user's message and begin a run on it, or queue it behind another.

        groups, roles: of the user; the run keeps them, also where another process goes on with it.
        names: of the user, to be masked as personal data.
        thread_id None makes a new thread. The text is expected to be acceptable (core.text).
        key: a request that comes again gets the run that it has begun. webhook: tell its end.
        Raises ThreadNotFound, RunActive (rejected, or too many queued), KeyReused, KeyInFlight,
        DatabaseUnavailable.
        """
        state = TurnState(text=text)
        if instructions:
            state["instructions"] = instructions
        if given_history:
            state["given_history"] = list(given_history)
        if parameters:
            state["parameters"] = parameters
        if webhook:
            state["webhook"] = True
        if names:
            state["names"] = list(names)
        caller = Caller(tenant_id, user_id, tuple(groups), roles)
        request = Request(caller, thread_id, state, multitask, key)
        started = await self._admission.admit(request)
        if not (started.queued or started.repeated):
            self._enter(request, started)
        return started

    async def retry(self, caller: Caller, *, thread_id: str, run_id: str) -> StartedRun:
        """Ask once more what a run was asked that failed or was cancelled; its message moves over.

        Raises RunNotFound, RunActive, RetryRefused.
        """
        request, started = await self._admission.again(caller, thread_id, run_id)
        self._enter(request, started)
        return started

    def _enter(self, request: Request, started: StartedRun) -> None:
        """Begin the first attempt at a run of this process."""
        caller = request.caller
        lease = Lease(
            caller.tenant_id,
            caller.user_id,
            UUID(started.thread_id),
            UUID(started.run_id),
            token=1,
            attempt=1,
            groups=caller.groups,
            roles=caller.roles,
        )
        self._begin(self._turns.new(lease, request.state))

    def tail(
        self, *, tenant_id: str, thread_id: str, run_id: str, after: int = 0
    ) -> AsyncGenerator[Event, None]:
        """Yield the events of a run above `after`, stored and coming, until its terminal event.

        Raises RunNotFound. Works for runs of any process.
        """
        return self._tails.follow(tenant_id, thread_id, run_id, after=after)

    async def cancel(self, *, tenant_id: str, thread_id: str, run_id: str) -> None:
        """Ask a run to stop, wherever it runs; raises RunNotFound or RunEnded."""
        run = parse_id(run_id, RunNotFound)
        thread = parse_id(thread_id, RunNotFound)
        async with self._database.transaction(tenant_id) as conn:
            if not await runs.request_cancel(conn, thread, run):
                await self._end_idle(conn, tenant_id, thread, run)
        if (turn := self._live.get(run)) is not None:
            turn.cancel()

    async def _stop(self, tenant_id: str, thread_id: str, run_id: str) -> None:
        """Cancel a run and wait for its end."""
        await self.cancel(tenant_id=tenant_id, thread_id=thread_id, run_id=run_id)
        async for _ in self.tail(tenant_id=tenant_id, thread_id=thread_id, run_id=run_id):
            pass

    async def _end_idle(self, conn: Conn, tenant_id: str, thread: UUID, run: UUID) -> None:
        """Cancel a run that waits or is queued; raises RunNotFound or RunEnded."""
        idle = await runs.end_idle(conn, thread, run)
        if idle is None:
            await runs.get(conn, thread, run)
            raise RunEnded
        await close_run(conn, run, self.services.policy, Caller(tenant_id, idle.user_id))
        cancelled = Event(idle.attempt * ATTEMPT_BASE + 1, "run.cancelled", {"run_id": str(run)})
        last = events.last(
            tenant_id=tenant_id, run_id=run, lease_token=idle.lease_token, events=[cancelled]
        )
        await conn.execute(*last)
        if idle.webhook:
            await notices.tell_end(
                conn, tenant_id=tenant_id, thread_id=thread, run_id=run, status="cancelled"
            )
        await checkpoints.prune(conn, str(run))

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
            self._tails.wake(turn.lease.run_id)
            self._queue.set()  # the thread is free for the next one

    async def _heartbeats(self) -> None:
        while True:
            try:
                await self._renew()
                if not self._closing:
                    await self._sweep()
                    await self._expire()
                    self._queue.set()
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
            log.info("run %s taken over", run_id)
            await self._go_on(tenant_id, run_id)

    async def _expire(self) -> None:
        """Let approvals end that nobody decided in time, and escalate those that wait."""
        async with self._database.connection() as conn:
            due = await approvals.due(conn)
        for tenant_id, approval_id in due:
            await self.reviews.expire(tenant_id, approval_id)

    async def _claims(self) -> None:
        """Begin queued runs as soon as their thread is free."""
        while True:
            await self._queue.wait()
            self._queue.clear()
            if self._closing:
                return
            try:
                while await self._claim():
                    pass
            except OperatorError as error:
                log.warning("queued runs could not be claimed: %s", error.code)

    async def _claim(self) -> bool:
        """Take queued runs that may begin; False when there are no more."""
        async with self._database.connection() as conn:
            taken = await runs.claim_queued(
                conn, self._worker, self._pace.lease_seconds, most=CLAIM_AT_ONCE
            )
        for tenant_id, run_id in taken:
            await self._go_on(tenant_id, run_id)
        return len(taken) == CLAIM_AT_ONCE

    async def _go_on(self, tenant_id: str, run_id: UUID) -> None:
        """Work on a run that this process has just got."""
        before = self._live.get(run_id)
        if before is not None and before.task is not None:
            self._spawn(self._go_on_behind(before.task, tenant_id, run_id))
            return
        async with self._database.transaction(tenant_id) as conn:
            work = await runs.load(conn, tenant_id, run_id)
        if work is not None:
            self._begin(self._turns.resumed(work))
            self._tails.wake(run_id)

    async def _go_on_behind(self, before: asyncio.Task[None], tenant_id: str, run_id: UUID) -> None:
        """Go on with a run that was decided before the attempt that asked had come to its end."""
        await asyncio.wait([before])
        try:
            await self._go_on(tenant_id, run_id)
        except OperatorError as error:  # its lease runs out, and somebody takes it over
            log.warning("run %s could not go on: %s", run_id, error.code)

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
        channels = ("run_events", "run_control", "run_queued")
        async for channel, payload in self._listener.listen(*channels):
            if channel == "run_queued":
                self._queue.set()
                continue
            run_id = UUID(payload)
            if channel == "run_control":
                if (turn := self._live.get(run_id)) is not None:
                    turn.cancel()
                continue
            self._tails.wake(run_id)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task: asyncio.Task[None] = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a task of the runner ended", exc_info=error)
