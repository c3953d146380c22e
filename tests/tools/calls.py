"""Calls and approvals in a real database, without a model: what a turn would have written."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from psycopg import sql
from pydantic import BaseModel
from uuid_utils.compat import uuid7

from core.turn import Taint
from db import threads
from db.pool import Database
from tools import approvals, ledger
from tools.approvals import Approval
from tools.executor import Executor
from tools.ledger import Call, Held
from tools.policy import Judgement, Policy
from tools.registry import Registry
from tools.reviews import Reviews
from tools.tool import Caller, Declaration, Tool, typed

TENANT = "default"
ANN = Caller(TENANT, "ann")  # asks
REVIEWERS = tuple(
    Caller(TENANT, f"reviewer{number}", roles=frozenset({"user", "reviewer"}))
    for number in range(8)
)
RITA, ROB, *_ = REVIEWERS
ARGUMENTS = {"order": "A-1", "cents": 500}
TAINT = [Taint(kind="document", source="upload:/letter.pdf")]


class Refund(BaseModel):
    """Arguments of the tool below."""

    order: str
    cents: int


@dataclass
class Desk:
    """Everything that approvals need, and a tool that counts what it did."""

    database: Database
    policy: Policy = field(default_factory=Policy.load)
    done: list[tuple[str, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Offer the tool."""
        self.registry = Registry([self.refund()])
        self.reviews = Reviews(self.database, self.registry, self.policy)

    def refund(self) -> Tool:
        """Return a tool with an effect elsewhere, once for each key: an entry in `done`."""
        known: set[str] = set()

        async def act(asked: Refund, caller: Caller, key: str) -> str:
            if key not in known:
                known.add(key)
                self.done.append((asked.order, asked.cents))
            return f"Refunded {asked.cents}."

        declaration = Declaration("external", "keyed")
        return typed("refund_order", "Refunds.", Refund, act, declaration)

    async def ask(
        self,
        arguments: dict[str, Any] | None = None,
        *,
        tenant_id: str = TENANT,
        user_id: str = "ann",
        quorum: int = 1,
        expires_seconds: float = 600,
        escalate_seconds: float | None = None,
        taint: list[Taint] | None = None,
        thread_id: UUID | None = None,
        tool: str = "refund_order",
        evidence: dict[str, Any] | None = None,
    ) -> Approval:
        """Write down a call that waits for a decision, and ask about it."""
        run_id, call_id = uuid7(), uuid7()
        judgement = Judgement(
            "approve", "It changes something.", self.policy.version, quorum, expires_seconds,
            escalate_seconds,
        )  # fmt: skip
        async with self.database.transaction(tenant_id) as conn:
            if thread_id is None:
                made = await threads.create(conn, tenant_id=tenant_id, user_id=user_id)
                thread_id = made.thread_id
            await conn.execute(RUN, [tenant_id, run_id, thread_id, user_id])
            declaration = self.registry.get("refund_order")
            assert declaration is not None
            await ledger.propose(
                conn,
                tenant_id=tenant_id,
                call_id=call_id,
                thread_id=thread_id,
                run_id=run_id,
                position=1,
                tool=tool,
                arguments=ARGUMENTS if arguments is None else arguments,
                declaration=declaration.declaration,
                taint=taint or [],
                judgement=judgement,
            )
            call = await ledger.get(conn, call_id)
            assert call is not None
            approval_id = await approvals.request(
                conn,
                call,
                tenant_id=tenant_id,
                kind="action",
                requested_by=user_id,
                judgement=judgement,
                evidence=evidence or {"will_happen": "It runs once."},
            )
            assert approval_id is not None
            return await approvals.get(conn, approval_id)

    async def approval(self, approval_id: UUID, tenant_id: str = TENANT) -> Approval:
        """Return an approval as it is now."""
        async with self.database.transaction(tenant_id) as conn:
            return await approvals.get(conn, approval_id)

    async def call(self, call_id: UUID, tenant_id: str = TENANT) -> Call:
        """Return a call as it is now."""
        async with self.database.transaction(tenant_id) as conn:
            found = await ledger.get(conn, call_id)
        assert found is not None
        return found

    async def act(self, approval: Approval) -> Call:
        """Do what a run does when it is woken, as often as it is woken."""
        async with self.database.transaction(TENANT) as conn:
            await conn.execute(RESUME, [approval.run_id])
        executor = Executor(self.database, self.registry, self.policy)
        return await executor.run(approval.call_id, ANN, Held(approval.run_id, 1))

    async def pass_by(self, approval: Approval, column: str) -> None:
        """Move a moment of an approval into the past, by the clock of the database."""
        statement = sql.SQL(
            "update approvals set {0} = now() - interval '1 second' where approval_id = {1}"
        ).format(sql.Identifier(column), approval.approval_id)
        async with self.database.transaction(TENANT) as conn:
            await conn.execute(statement)


RUN = """
insert into runs (tenant_id, run_id, thread_id, user_id, status, input, lease_owner,
                  lease_expires_at)
values (%s, %s, %s, %s, 'waiting', '{}', 'w', now())
"""
RESUME = "update runs set status = 'running', lease_token = 1 where run_id = %s"
