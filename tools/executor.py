"""Runs a call that may run, once, whatever crashes when.

What to do about a crash depends on what a second call would do; docs/decisions/0021 has the table.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any, TypeVar
from uuid import UUID

from core.errors import ApprovalNotFound, DatabaseUnavailable
from db import audit
from db.pool import Database
from tools import approvals, ledger
from tools.ledger import Call, Conn, Held, Status
from tools.policy import Policy
from tools.registry import Outcome, Registry
from tools.tool import Caller, Tool

T = TypeVar("T")
log = logging.getLogger(__name__)

RESENDS = 3  # attempts at a keyed call within one turn
PAUSE_SECONDS = 0.5  # before the second, doubled at each
TRIES = 4  # of a transaction of the ledger; together as long as a usual restart of Postgres
GRACE_SECONDS = 10.0  # beyond a tool's timeout, until a stopped process loses its transaction
STATUS: Mapping[str, Status] = {
    "ok": "done",
    "refused": "refused",
    "failed": "failed",
    "resting": "failed",
}
UNKNOWN = "Nobody knows whether this has happened; say so, and do not try it again."


class Executor:
    """Calls tools under the ledger."""

    def __init__(self, database: Database, registry: Registry, policy: Policy) -> None:
        self._database = database
        self._registry = registry
        self._policy = policy

    async def run(self, call_id: UUID, caller: Caller, held: Held) -> Call:
        """Return the call after it has run; at once when it has, or may not.

        Raises LeaseLost when another process has the run.
        """
        call = await self._load(call_id, caller)
        tool = self._registry.get(call.tool)
        if call.status not in ("ready", "started"):
            return call
        if tool is None:
            gone = Outcome("refused", f"There is no tool {call.tool} any more.", "unknown_tool")
            return await self._settle(call, tool, gone, caller, attempts=call.attempts)
        if tool.declaration.effect == "none":
            outcome = await self._call(tool, call, caller)
            return await self._settle(call, tool, outcome, caller, attempts=call.attempts)
        if tool.within is not None:
            return await self._within(call, tool, caller, held)
        return await self._send(call, tool, caller, held)

    async def _within(self, call: Call, tool: Tool, caller: Caller, held: Held) -> Call:
        """Do an effect in our own database: it and its note are committed together."""
        return await _insist(lambda: self._once_within(call, tool, caller, held))

    async def _once_within(self, call: Call, tool: Tool, caller: Caller, held: Held) -> Call:
        async with self._database.transaction(caller.tenant_id) as conn:
            await ledger.patience(conn, tool.declaration.timeout_seconds + GRACE_SECONDS)
            locked = await ledger.get(conn, call.call_id, lock=True)
            if locked is None or locked.status != "ready":
                return locked or call
            outcome = await self._call(tool, locked, caller, conn)
            # Now, so that the heartbeats of the run's process do not wait for the tool.
            await ledger.fence(conn, held)
            return await self._note(conn, locked, outcome, caller, attempts=locked.attempts)

    async def _send(self, call: Call, tool: Tool, caller: Caller, held: Held) -> Call:
        """Do an effect somewhere else: noted before and after."""
        keyed = tool.declaration.idempotency == "keyed"
        if call.status == "started" and not keyed:
            lost = Outcome("failed", "The process ended while it waited.", "interrupted")
            return await self._settle(
                call, tool, replace(lost, may_have_run=True), caller, attempts=call.attempts
            )
        uncertain = call.status == "started"  # an earlier attempt may have arrived
        for number in range(RESENDS):
            attempts = await self._started(call, caller, held)
            if attempts is None:
                return await self._load(call.call_id, caller)
            outcome = await self._call(tool, call, caller)
            call = replace(call, status="started", attempts=attempts)
            uncertain = outcome.may_have_run or (uncertain and outcome.status != "ok")
            if not (keyed and uncertain) or number == RESENDS - 1:
                break
            await asyncio.sleep(PAUSE_SECONDS * 2**number)
        uncertain = uncertain and outcome.status not in ("ok", "refused")
        outcome = replace(outcome, may_have_run=uncertain)
        return await self._settle(call, tool, outcome, caller, attempts=call.attempts)

    async def _started(self, call: Call, caller: Caller, held: Held) -> int | None:
        return await _insist(lambda: self._once_started(call, caller, held))

    async def _once_started(self, call: Call, caller: Caller, held: Held) -> int | None:
        async with self._database.transaction(caller.tenant_id) as conn:
            await ledger.fence(conn, held)
            attempts = await ledger.start(conn, call, ("ready", "started"))
            if attempts is not None:
                details = {"tool": call.tool, "digest": call.digest, "attempt": attempts}
                await _record(conn, "action.started", call, details)
        return attempts

    async def _call(
        self, tool: Tool, call: Call, caller: Caller, conn: Conn | None = None
    ) -> Outcome:
        key = str(call.call_id)
        return await self._registry.call(tool.name, call.arguments, caller, key=key, conn=conn)

    async def _settle(
        self, call: Call, tool: Tool | None, outcome: Outcome, caller: Caller, *, attempts: int
    ) -> Call:
        async def settle() -> Call:
            async with self._database.transaction(caller.tenant_id) as conn:
                return await self._note(conn, call, outcome, caller, attempts=attempts)

        return await _insist(settle)

    async def _note(
        self, conn: Conn, call: Call, outcome: Outcome, caller: Caller, *, attempts: int
    ) -> Call:
        """Write down what came of a call; ask a person when nobody knows."""
        status: Status = "unknown" if outcome.may_have_run else STATUS[outcome.status]
        text = f"{outcome.text} {UNKNOWN}" if status == "unknown" else outcome.text
        noted = await ledger.settle(
            conn,
            call,
            status,
            replace(outcome, text=text),
            known=("ready", "started"),
            attempts=attempts,
        )
        settled = await ledger.get(conn, call.call_id)
        if settled is None:
            raise ApprovalNotFound("The call is gone; its thread was deleted.")
        if noted and call.effect != "none":
            details = {
                "tool": call.tool,
                "digest": call.digest,
                "code": outcome.code,
                "attempt": settled.attempts,
                "user": caller.user_id,
            }
            await _record(conn, f"action.{status}", call, details)
            if status == "unknown":
                await ask_about(conn, settled, self._policy, caller, outcome.text)
        return settled

    async def _load(self, call_id: UUID, caller: Caller) -> Call:
        async with self._database.transaction(caller.tenant_id) as conn:
            call = await ledger.get(conn, call_id)
        if call is None:
            raise ApprovalNotFound("The call is gone; its thread was deleted.")
        return call


async def _insist(transaction: Callable[[], Awaitable[T]]) -> T:
    """Return what a transaction of the ledger returns; again while the database is away.

    A connection that breaks must not turn what has been done into what nobody knows. Whether the
    broken transaction was committed does not matter: each looks at the row first.
    """
    for number in range(TRIES - 1):
        try:
            return await transaction()
        except DatabaseUnavailable as error:
            log.warning("the ledger could not be written: %s", error.code)
            await asyncio.sleep(PAUSE_SECONDS * 2**number)
    return await transaction()


async def ask_about(conn: Conn, call: Call, policy: Policy, caller: Caller, why: str) -> None:
    """Ask a person whether a call has happened, with what is known about it."""
    evidence: dict[str, Any] = {
        "why": why,
        "attempts": call.attempts,
        "started_at": call.started_at.isoformat() if call.started_at else None,
        "idempotency": call.idempotency,
        "idempotency_key": str(call.call_id),
    }
    await approvals.request(
        conn,
        call,
        tenant_id=caller.tenant_id,
        kind="outcome",
        requested_by=caller.user_id,
        judgement=policy.about_outcome(),
        evidence=evidence,
    )


async def close_run(conn: Conn, run_id: UUID, policy: Policy, caller: Caller) -> None:
    """Settle the calls of a run that ends: nothing of it may happen later.

    What was sent and never answered is unknown, and a person is asked about it.
    """
    for approval_id in await approvals.pending_of_run(conn, run_id):
        approval = await approvals.locked(conn, approval_id)
        if approval.status == "pending":
            await approvals.end(
                conn,
                approval,
                "cancelled",
                tenant_id=caller.tenant_id,
                actor=audit.SYSTEM,
                reason="The turn has ended.",
            )
    for call in await ledger.unfinished(conn, run_id):
        sent = call.status == "started"
        status: Status = "unknown" if sent else "cancelled"
        known: tuple[Status, ...] = ("proposed", "ready", "started")
        text = "The turn ended before it was answered." if sent else "The turn has ended."
        outcome = Outcome("failed", text, "cancelled")
        await ledger.settle(conn, call, status, outcome, known=known, attempts=call.attempts)
        if call.effect != "none":
            details = {"tool": call.tool, "digest": call.digest, "user": caller.user_id}
            await _record(conn, f"action.{status}", call, details)
            if sent:
                await ask_about(conn, call, policy, caller, text)


async def _record(conn: Conn, kind: str, call: Call, details: dict[str, Any]) -> None:
    await audit.append(conn, kind, actor=audit.SYSTEM, subject=str(call.call_id), details=details)
