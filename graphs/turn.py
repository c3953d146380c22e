"""One attempt at one run: the graph, its journal, its checkpoints, and how it may end."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any, Literal
from uuid import UUID

from langchain_core.runnables import RunnableConfig
from psycopg import AsyncConnection
from psycopg.rows import TupleRow
from uuid_utils.compat import uuid7

from core.errors import LeaseLost, OperatorError, ParleyError, RunAbandoned
from core.telemetry import Trace, Tracer
from core.turn import TurnState
from db import checkpoints, events, placeholders, runs, turns
from db.sql import Statement
from graphs import chat
from graphs.account import Account
from graphs.journal import Journal
from graphs.lease import Lease
from graphs.record import Outcome, failed, farewell, restored, turn_log
from nodes.context import Context, Limits, Services
from nodes.stages import Stages
from tools import notices
from tools.executor import close_run
from tools.ledger import Held
from tools.tool import Caller

log = logging.getLogger(__name__)

INTERRUPTS = "__interrupt__"  # under this key LangGraph says that a graph waits
MOST_NODES = 1000  # of a turn; its own limits of steps and calls end it long before
FINISH_TRIES = 5
FINISH_PAUSE_SECONDS = 0.5  # doubled at each try; together less than a usual Postgres restart

Stop = Literal["cancelled", "lost", "abandoned"]


class TurnFactory:
    """Makes turns; holds what they share, the compiled graph above all."""

    def __init__(
        self,
        services: Services,
        limits: Limits,
        max_seconds: float,
        max_attempts: int,
        tracer: Tracer,
    ) -> None:
        self.services = services
        self.limits = limits
        self.max_seconds = max_seconds
        self.max_attempts = max_attempts
        self.tracer = tracer
        self.graph = chat.build().compile()

    def new(self, lease: Lease, state: TurnState) -> Turn:
        """Return the first attempt at a run."""
        return Turn(self, lease, state)

    def resumed(self, work: runs.Work) -> Turn:
        """Return a further attempt at a run that another process left."""
        lease = Lease(
            work.tenant_id,
            work.user_id,
            work.thread_id,
            work.run_id,
            token=work.lease_token,
            attempt=work.attempt,
            failures=work.failures,
            groups=work.groups,
            roles=work.roles,
        )
        turn = Turn(self, lease, work.input)
        if work.cancel_requested:
            turn.stop = "cancelled"
        return turn


class Turn:
    """One attempt at a run."""

    def __init__(self, factory: TurnFactory, lease: Lease, state: TurnState) -> None:
        self.lease = lease
        self.task: asyncio.Task[None] | None = None
        self.stop: Stop | None = None
        self.journal = Journal(lease.attempt)
        self._factory = factory
        self._input = state
        self._began = time.perf_counter()
        self._flushing = asyncio.Lock()
        self._settled = False  # its outcome is known: nothing may interrupt the last writes
        self._saver = checkpoints.RunSaver(factory.services.database, fresh=lease.attempt == 1)
        self._trace: Trace = factory.tracer.turn(
            run_id=str(lease.run_id),
            thread_id=str(lease.thread_id),
            user_id=lease.user_id,
            tenant_id=lease.tenant_id,
            text=state["text"],
            attempt=lease.attempt,
        )
        self._stages = Stages(TurnState(**state), self.journal.emit, self._trace)
        services = factory.services
        self._account = Account(lease, self._stages, services.budgets, services.metrics)

    def is_of(self, tenant_id: str, thread_id: UUID) -> bool:
        """Return whether this run belongs to that thread of that tenant."""
        return (self.lease.tenant_id, self.lease.thread_id) == (tenant_id, thread_id)

    def cancel(self) -> None:
        """End the run because somebody asked for it."""
        self._interrupt("cancelled")

    def lose(self) -> None:
        """Stop working: another process has the run."""
        self._interrupt("lost")

    def abandon(self) -> None:
        """Stop working and let another process have the run: this one is ending."""
        self._interrupt("abandoned")

    @property
    def age(self) -> float:
        """Seconds since this attempt began."""
        return time.perf_counter() - self._began

    @property
    def wants_flush(self) -> bool:
        """Whether something waits to be stored."""
        return not self._settled and bool(self.journal.unstored() or self._saver.pending)

    async def run(self) -> None:
        """Work until the run has ended, waits, or is not ours any more; never raises."""
        if self.lease.attempt == 1:
            self.journal.emit("run.started", {**self._ids(), "attempt": 1})
        outcome = await self._attempt()
        self._settled = True
        ended = outcome is not None and await self._end(outcome)
        if self.stop == "abandoned":
            await self._release()
        self.journal.close(ended=ended)
        error = outcome.error["code"] if outcome and outcome.error else None
        self._trace.finish(
            self._stages.state, error if ended else f"run_{self.stop or 'unfinished'}"
        )

    async def flush(self) -> None:
        """Store what waits; an outage of the database only delays it."""
        try:
            await self.store()
        except LeaseLost:
            self.lose()
        except OperatorError as error:
            log.warning("run %s could not be flushed: %s", self.lease.run_id, error.code)

    async def store(self) -> None:
        """Store the events and checkpoints that wait, in one transaction.

        Whoever is cancelled while this runs leaves it running: half of what was sent may be there
        already, and the end of the run waits for the rest. Raises LeaseLost, DatabaseUnavailable.
        """
        storing = asyncio.ensure_future(self._store())
        try:
            await asyncio.shield(storing)
        except asyncio.CancelledError:
            storing.add_done_callback(_seen)
            raise

    async def _store(self) -> None:
        async with self._flushing:
            waiting = self.journal.unstored()
            if not waiting:
                return
            async with self._factory.services.database.transaction(self.lease.tenant_id) as conn:
                await events.append(
                    conn,
                    tenant_id=self.lease.tenant_id,
                    run_id=self.lease.run_id,
                    lease_token=self.lease.token,
                    events=waiting,
                )
                await self._saver.flush(conn)
            self._saver.settle()
            self.journal.mark_stored(len(waiting))

    def _interrupt(self, stop: Stop) -> None:
        if self.stop is None and not self._settled:
            self.stop = stop
            if self.task is not None:
                self.task.cancel()

    async def _attempt(self) -> Outcome | None:
        """Run the graph to its end; None when it was stopped for somebody else's sake."""
        try:
            if self.stop == "cancelled":
                return Outcome("cancelled")
            if self.lease.failures >= self._factory.max_attempts:
                raise RunAbandoned
            async with asyncio.timeout(self._factory.max_seconds):
                return await self._graph()
        except asyncio.CancelledError:
            if self.stop is None:
                raise
            return Outcome("cancelled") if self.stop == "cancelled" else None
        except TimeoutError:
            limit = self._factory.max_seconds
            return failed("turn_timeout", f"The turn took longer than {limit:g} seconds.")
        except ParleyError as error:
            log.warning("run %s failed: %s", self.lease.run_id, error.code)
            return failed(error.code, error.message)
        except Exception:
            # The edge of the run: whatever it is must end the run, and its text must not leave.
            log.exception("run %s failed unexpectedly", self.lease.run_id)
            return failed("internal_error", "Something went wrong inside; the log has the details.")

    async def _graph(self) -> Outcome:
        """Run the graph from where it is; it ends, or waits for a decision."""
        graph = self._factory.graph.copy({"checkpointer": self._saver})
        config: RunnableConfig = {
            "configurable": {"thread_id": str(self.lease.run_id)},
            "recursion_limit": MOST_NODES,
        }
        given: Any = self._input
        if self.lease.attempt > 1:
            at = await self._saver.aget_tuple(config)
            if at is not None:
                given = None  # go on from the checkpoint
                self._stages.state.update(restored(at.checkpoint["channel_values"]))
            said = self._stages.state.get("answer", "") if at is not None else ""
            resumed = {**self._ids(), "attempt": self.lease.attempt, "answer": said}
            self.journal.emit("run.resumed", resumed)
        # Resumed without a value: what was decided stands in its row, and nowhere else.
        result = await graph.ainvoke(given, config, context=self._context(), durability="sync")
        if asked := result.get(INTERRUPTS):
            return Outcome("waiting", approval_id=UUID(asked[0].value["approval_id"]))
        return Outcome("succeeded")

    def _ids(self) -> dict[str, str]:
        return {"run_id": str(self.lease.run_id), "thread_id": str(self.lease.thread_id)}

    def _context(self) -> Context:
        return Context(
            tenant_id=self.lease.tenant_id,
            user_id=self.lease.user_id,
            thread_id=str(self.lease.thread_id),
            run_id=str(self.lease.run_id),
            services=self._factory.services,
            limits=self._factory.limits,
            stages=self._stages,
            emit=self.journal.emit,
            groups=self.lease.groups,
            roles=self.lease.roles,
            names=tuple(self._input.get("names", ())),
            held=Held(self.lease.run_id, self.lease.token),
            flush=self.store,
        )

    async def _end(self, outcome: Outcome) -> bool:
        """Store the answer, the last events and the turn log in one transaction.

        False when that was not possible: the run stays as it is, for whoever takes it over.
        """
        message_id = uuid7() if outcome.status == "succeeded" else None
        async with self._flushing:
            waiting = self.journal.seal(
                *farewell(self._stages.state, outcome, self.lease.run_id, message_id)
            )
            for attempt in range(FINISH_TRIES):
                try:
                    await self._store_end(outcome, message_id, waiting)
                    self._account.tell()
                    if outcome.approval_id is None:  # or it goes on, and may find more
                        found = self._stages.state.get("findings", [])
                        self._factory.services.metrics.found(found)
                    return True
                except LeaseLost:
                    self.stop = "lost"
                    return False
                except OperatorError as error:
                    log.warning("run %s could not be ended: %s", self.lease.run_id, error.code)
                    await asyncio.sleep(FINISH_PAUSE_SECONDS * 2**attempt)
        return False

    async def _store_end(
        self, outcome: Outcome, message_id: UUID | None, waiting: list[Any]
    ) -> None:
        lease, state = self.lease, self._stages.state
        whose: dict[str, Any] = {
            "tenant_id": lease.tenant_id,
            "run_id": lease.run_id,
            "lease_token": lease.token,
        }
        database = self._factory.services.database
        if outcome.approval_id is not None:
            async with database.transaction(lease.tenant_id) as conn:
                await self._store_pause(conn, outcome, outcome.approval_id, waiting)
            return
        finish = runs.finishing(
            **whose,
            status=outcome.status,
            state=state,
            message_id=message_id,
            error=outcome.error,
        )
        after = [events.last(**whose, events=waiting), self._saving(outcome)]
        if findings := state.get("findings"):
            after.append(self._decided(findings))
        if known := state.get("placeholders"):
            after.append(placeholders.saving(known, run_id=lease.run_id, lease_token=lease.token))
        if self._saver.stored:
            after.append(checkpoints.pruning(lease.run_id, lease.token))
        acted = bool(state.get("steps")) or lease.attempt > 1
        if not (acted or self._input.get("webhook")):
            spend = self._account.statements()
            ended, *others = await database.once(lease.tenant_id, finish, *after, *spend)
            runs.finished(ended)
            self._account.stored(others[len(after) :])
            return
        async with database.transaction(lease.tenant_id) as conn:
            runs.finished(await (await conn.execute(*finish)).fetchall())
            policy = self._factory.services.policy
            await close_run(conn, lease.run_id, policy, Caller(lease.tenant_id, lease.user_id))
            for statement in after:
                await conn.execute(*statement)
            await self._account.store(conn)
            await self._tell(conn, outcome)

    async def _store_pause(
        self,
        conn: AsyncConnection[TupleRow],
        outcome: Outcome,
        approval_id: UUID,
        waiting: list[Any],
    ) -> None:
        """Store everything before the question becomes visible as what the run waits for."""
        lease = self.lease
        await events.append(
            conn,
            tenant_id=lease.tenant_id,
            run_id=lease.run_id,
            lease_token=lease.token,
            events=waiting,
        )
        await self._saver.flush(conn)
        status = await runs.pause(conn, lease.run_id, lease.token, approval_id=approval_id)
        await conn.execute(*self._saving(outcome))
        await self._account.store(conn)
        if status == "waiting":  # nobody has decided meanwhile
            await self._tell(conn, outcome)

    async def _tell(self, conn: AsyncConnection[TupleRow], outcome: Outcome) -> None:
        """Tell the outside, if it asked for it, in the transaction that makes it true."""
        if self._input.get("webhook"):
            await notices.tell_end(
                conn,
                tenant_id=self.lease.tenant_id,
                thread_id=self.lease.thread_id,
                run_id=self.lease.run_id,
                status=outcome.status,
                error=outcome.error,
                approval_id=outcome.approval_id,
            )

    def _saving(self, outcome: Outcome) -> Statement:
        """Return what stores the turn log, once the run has ended or waits."""
        log = turn_log(
            self._stages.state,
            outcome,
            run_id=self.lease.run_id,
            thread_id=self.lease.thread_id,
            stages=self._stages.milliseconds,
            total_ms=self.age * 1000,
        )
        return turns.saving(log, tenant_id=self.lease.tenant_id, lease_token=self.lease.token)

    def _decided(self, findings: list[dict[str, Any]]) -> Statement:
        """Return what puts the decisions of the checks into the audit log."""
        lease, policies = self.lease, self._factory.services.guard.policies
        digest = policies.of(lease.tenant_id).digest
        return turns.decided(findings, policy=digest, run_id=lease.run_id, lease_token=lease.token)

    async def _release(self) -> None:
        await self.flush()
        try:
            async with self._factory.services.database.transaction(self.lease.tenant_id) as conn:
                await runs.release(conn, self.lease.run_id, self.lease.token)
        except OperatorError as error:
            log.warning("run %s could not be released: %s", self.lease.run_id, error.code)


def _seen(storing: asyncio.Future[None]) -> None:
    """Take note of how something ended that nobody waits for any more."""
    if not storing.cancelled() and (error := storing.exception()) is not None:
        log.warning("a run could not be flushed: %s", type(error).__name__)
