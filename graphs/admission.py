"""Lets messages in: a run for each, in the order of their thread, and once for a request."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

from psycopg.rows import TupleRow
from uuid_utils.compat import uuid7

from core.errors import (
    KeyInFlight,
    RetryRefused,
    RunActive,
    RunEnded,
    RunNotFound,
    ThreadNotFound,
)
from core.turn import TurnState
from db import keys, runs, threads
from db.keys import RequestKey
from db.pool import Database
from db.sql import Statement
from graphs.tails import parse_id
from tools.tool import Caller


@dataclass(frozen=True, slots=True)
class StartedRun:
    """What a caller needs to follow a run."""

    run_id: str
    thread_id: str
    message_id: str  # of the user's message
    queued: bool = False  # it begins when the run before it in its thread has ended
    repeated: bool = False  # the same request began it before


# What to do with a message that comes while its thread is busy, in LangGraph's words.
# enqueue: it waits. reject: it is refused. interrupt: what runs is cancelled and stays as far as it
# came. rollback: what runs is cancelled and its messages are taken back.
Multitask = Literal["enqueue", "reject", "interrupt", "rollback"]
MOST_QUEUED = 20  # runs of a thread
STOP_SECONDS = 5.0  # for a run to end that was cancelled for another's sake


@dataclass(frozen=True, slots=True)
class Request:
    """A message that asks for a run."""

    caller: Caller
    thread_id: str | None  # None: a new one
    state: TurnState
    multitask: Multitask
    key: RequestKey | None


class Admission:
    """Stores messages with their runs."""

    def __init__(
        self,
        database: Database,
        worker: str,
        lease_seconds: float,
        *,
        stop: Callable[[str, str, str], Awaitable[None]],
    ) -> None:
        """stop: cancels a run and waits for its end; gets tenant, thread and run."""
        self._database = database
        self._worker = worker
        self._lease_seconds = lease_seconds
        self._stop = stop

    async def admit(self, request: Request) -> StartedRun:
        """Store the message and its run, which is leased to the worker unless it is queued.

        A request with a key that began a run before gets that one. The state gets its `user_seq`.
        Raises ThreadNotFound, RunActive, KeyReused, KeyInFlight, DatabaseUnavailable.
        """
        if (begun := await self._begun(request)) is not None:
            return begun
        try:
            return await self._enter(request)
        except (KeyInFlight, RunActive):  # the same request may have begun a run this moment
            if (begun := await self._begun(request)) is None:
                raise
            return begun

    async def again(
        self, caller: Caller, thread_id: str, run_id: str
    ) -> tuple[Request, StartedRun]:
        """Ask once more what a run was asked that failed or was cancelled, in its place.

        Raises RunNotFound, RunActive, and RetryRefused when another turn followed, or when the
        run did something that would be done again.
        """
        thread, run = parse_id(thread_id, RunNotFound), parse_id(run_id, RunNotFound)
        async with self._database.transaction(caller.tenant_id) as conn:
            state = await runs.asked(conn, thread, run)
        request = Request(caller, thread_id, state, "reject", None)
        return request, await self._store(request, thread, instead=run)

    async def _begun(self, request: Request) -> StartedRun | None:
        if request.key is None:
            return None
        async with self._database.transaction(request.caller.tenant_id) as conn:
            begun = await keys.find(conn, request.caller.user_id, request.key)
        if begun is None:
            return None
        message_id = "" if begun.message_id is None else str(begun.message_id)
        return StartedRun(str(begun.run_id), str(begun.thread_id), message_id, repeated=True)

    async def _enter(self, request: Request) -> StartedRun:
        """Begin a run or queue it, as the strategy says."""
        if request.thread_id is None:
            return await self._store(request, uuid7(), new=True)
        thread = parse_id(request.thread_id, ThreadNotFound)
        if request.multitask in ("interrupt", "rollback"):
            await self._make_way(request, thread)
        try:
            return await self._store(request, thread)
        except RunActive:
            if request.multitask == "reject":
                raise
            return await self._store(request, thread, queued=True)

    async def _store(
        self,
        request: Request,
        thread: UUID,
        *,
        new: bool = False,
        queued: bool = False,
        instead: UUID | None = None,
    ) -> StartedRun:
        run_id, message_id = uuid7(), uuid7()
        caller, state = request.caller, request.state
        whose: dict[str, Any] = {
            "tenant_id": caller.tenant_id,
            "user_id": caller.user_id,
            "thread_id": thread,
        }
        first = [threads.creation(**whose)] if new else []
        start = runs.starting(
            **whose,
            run_id=run_id,
            message_id=message_id,
            text=state["text"],
            state=state,
            worker=self._worker,
            lease_seconds=self._lease_seconds,
            queued=queued,
            groups=caller.groups,
            roles=caller.roles,
        )
        if queued or request.key is not None or instead is not None:
            if instead is not None:
                first = [runs.retracting(thread, instead)]
            rows = await self._step_by_step(
                request, thread, run_id, first, start, queued=queued, retracts=instead is not None
            )
        else:
            with runs.alone():
                *_, rows = await self._database.once(caller.tenant_id, *first, start)
        state["user_seq"] = runs.started(rows)
        return StartedRun(str(run_id), str(thread), str(message_id), queued)

    async def _step_by_step(
        self,
        request: Request,
        thread: UUID,
        run_id: UUID,
        first: Sequence[Statement],
        start: Statement,
        *,
        queued: bool,
        retracts: bool,
    ) -> list[TupleRow]:
        """Store a run where something else has to be looked at in the same transaction."""
        caller = request.caller
        async with self._database.transaction(caller.tenant_id) as conn:
            with runs.alone():
                for statement in first:
                    cursor = await conn.execute(*statement)
                    if retracts and cursor.rowcount == 0:
                        raise RetryRefused
                rows = await (await conn.execute(*start)).fetchall()
            runs.started(rows)
            # Now that the thread is ours until the commit, nobody else adds to the count.
            if queued and await runs.queued(conn, thread) > MOST_QUEUED:
                raise RunActive(f"This thread has {MOST_QUEUED} messages waiting already.")
            if request.key is not None:
                await keys.keep(
                    conn,
                    tenant_id=caller.tenant_id,
                    user_id=caller.user_id,
                    key=request.key,
                    run_id=run_id,
                )
        return rows

    async def _make_way(self, request: Request, thread: UUID) -> None:
        """Cancel what the thread is busy with, and wait for its end."""
        async with self._database.transaction(request.caller.tenant_id) as conn:
            if (await threads.get(conn, thread)).user_id != request.caller.user_id:
                raise ThreadNotFound
            busy = await runs.active(conn, thread)
            # After the look at the runs: one that this very request began is not in its own way.
            if request.key is not None:
                begun = await keys.find(conn, request.caller.user_id, request.key)
                if begun is not None:
                    raise KeyInFlight
        for run in reversed(busy):
            # It may end by itself in the meantime, or belong to a process that died.
            with contextlib.suppress(RunEnded, TimeoutError):
                async with asyncio.timeout(STOP_SECONDS):
                    await self._stop(request.caller.tenant_id, str(thread), str(run.run_id))
        if request.multitask == "rollback" and busy:
            async with self._database.transaction(request.caller.tenant_id) as conn:
                await runs.unsay(conn, thread, [run.run_id for run in busy])
