"""Approvals: questions to the reviewers, and the one decision that each of them gets.

A decision is bound to the call, to a digest of what was shown, and to a version of the policy. It
is taken by a compare-and-set on its row; whoever comes later is told who was first. The run that
waits is only woken: it reads the row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import TupleRow, class_row
from psycopg.types.json import Jsonb
from uuid_utils.compat import uuid7

from core.errors import ApprovalClaimed, ApprovalDecided, ApprovalExpired, ApprovalNotFound
from core.turn import Taint
from db import audit
from db.sql import load
from tools.ledger import Call
from tools.policy import Judgement

SQL = load(__file__)

Kind = Literal["action", "outcome"]
Status = Literal["pending", "approved", "rejected", "answered", "expired", "cancelled"]
CLAIM_SECONDS = 300.0
DUE_AT_ONCE = 50
# What whoever comes late is told of a decision.
DECISION = ("approval_id", "status", "decided_by", "decided_at", "reason", "answer")

Conn = AsyncConnection[TupleRow]


@dataclass(slots=True)  # frozen ones take three times as long to make, and lists are long
class Approval:
    """A question about one call. In lists `evidence` and `proposed` are {}."""

    approval_id: UUID
    call_id: UUID
    run_id: UUID
    thread_id: UUID
    kind: Kind  # action: may it happen? outcome: nobody knows whether it did
    tool: str
    effect: str
    arguments: dict[str, Any]
    proposed: dict[str, Any]  # as the model wrote them
    digest: str  # of what is to be decided
    policy: str
    rule: str
    requested_by: str
    quorum: int
    status: Status
    taint: list[Taint]
    evidence: dict[str, Any]
    created_at: datetime
    expires_at: datetime
    escalates_at: datetime | None
    escalated_at: datetime | None
    claimed_by: str | None
    claimed_until: datetime | None
    decided_by: str | None
    decided_at: datetime | None
    reason: str
    answer: str | None
    votes: int  # consent to what stands there now; 0 where one person is enough
    overdue: bool  # by the database's clock
    claimed: bool  # the claim still holds


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which approvals to list; None and False ask for nothing."""

    status: Status | None = "pending"
    kind: Kind | None = None
    tool: str | None = None
    thread_id: UUID | None = None
    claimed_by: str | None = None
    escalated: bool = False
    tainted: bool = False


@dataclass(frozen=True, slots=True)
class Vote:
    """A reviewer who agreed."""

    reviewer: str
    voted_at: datetime
    counts: bool  # to what stands there now; not, when it was edited since


@dataclass(frozen=True, slots=True)
class Count:
    """How many approvals there are in one state."""

    status: Status
    approvals: int
    escalated: int
    claimed: int
    oldest: datetime


async def request(
    conn: Conn,
    call: Call,
    *,
    tenant_id: str,
    kind: Kind,
    requested_by: str,
    judgement: Judgement,
    evidence: dict[str, Any],
) -> UUID | None:
    """Ask about a call; None when somebody is being asked about it already."""
    parameters = {
        "tenant_id": tenant_id,
        "approval_id": uuid7(),
        "call_id": call.call_id,
        "run_id": call.run_id,
        "thread_id": call.thread_id,
        "kind": kind,
        "tool": call.tool,
        "effect": call.effect,
        "arguments": Jsonb(call.arguments),
        "digest": call.digest,
        "policy": judgement.version,
        "rule": judgement.rule,
        "requested_by": requested_by,
        "quorum": judgement.quorum,
        "taint": Jsonb(call.taint),
        "evidence": Jsonb(evidence),
        "expires_seconds": judgement.expires_seconds,
        "escalate_seconds": judgement.escalate_seconds,
    }
    row = await (await conn.execute(SQL["request"], parameters)).fetchone()
    if row is None:
        return None
    approval_id: UUID = row[0]
    details = {
        "approval_id": str(approval_id),
        "kind": kind,
        "tool": call.tool,
        "digest": call.digest,
        "policy": judgement.version,
        "rule": judgement.rule,
        "quorum": judgement.quorum,
        "tainted": bool(call.taint),
    }
    await audit.append(
        conn,
        "approval.requested",
        actor=requested_by,
        subject=str(call.call_id),
        details=details,
    )
    found = await get(conn, approval_id)
    await announce(conn, "approval.requested", found, tenant_id=tenant_id)
    return approval_id


async def get(conn: Conn, approval_id: UUID) -> Approval:
    """Return an approval; raises ApprovalNotFound."""
    found = await _one(conn, "get", {"approval_id": approval_id})
    if found is None:
        raise ApprovalNotFound
    return found


async def about(conn: Conn, call_id: UUID) -> Approval | None:
    """Return the open question about a call, or the newest one that was decided."""
    return await _one(conn, "pending_of", {"call_id": call_id})


async def locked(conn: Conn, approval_id: UUID) -> Approval:
    """Return an approval that nobody else decides before the transaction ends.

    Raises ApprovalNotFound. The run is locked first, by everybody: who pauses a run looks
    whether it has been decided, who decides looks whether the run is paused, and one waits for
    the other.
    """
    await conn.execute(SQL["lock_run"], {"approval_id": approval_id})
    await conn.execute(SQL["lock"], {"approval_id": approval_id})
    return await get(conn, approval_id)


def still_open(approval: Approval) -> None:
    """Raise ApprovalDecided with the decision there is, or ApprovalExpired."""
    if approval.status == "expired" or (approval.status == "pending" and approval.overdue):
        raise ApprovalExpired
    if approval.status != "pending":
        at = f"{approval.decided_at:%H:%M:%S}" if approval.decided_at else ""
        ended = f"{approval.decided_by} has {approval.status} this at {at}."
        if approval.status == "cancelled":
            ended = "The turn that asked for this has ended."
        error = ApprovalDecided(ended)
        error.approval = {name: getattr(approval, name) for name in DECISION}
        raise error


async def page(
    conn: Conn, wanted: Wanted, *, limit: int, after: tuple[datetime, UUID] | None = None
) -> list[Approval]:
    """Return approvals without their evidence and what was proposed, oldest first.

    after: (created_at, approval_id) of the last one of the page before.
    """
    at, last = after or (None, None)
    parameters = {
        "status": wanted.status,
        "kind": wanted.kind,
        "tool": wanted.tool,
        "thread_id": wanted.thread_id,
        "claimed_by": wanted.claimed_by,
        "escalated": wanted.escalated,
        "tainted": wanted.tainted,
        "after_at": at,
        "after_id": last,
        "limit": limit,
    }
    async with conn.cursor(row_factory=class_row(Approval)) as cursor:
        await cursor.execute(SQL["page"], parameters)
        return await cursor.fetchall()


async def counts(conn: Conn) -> list[Count]:
    """Return how many approvals are pending, and how those of the last day ended."""
    cursor = await conn.execute(SQL["counts"])
    return [Count(*row) for row in await cursor.fetchall()]


async def claim(
    conn: Conn, approval_id: UUID, reviewer: str, *, seconds: float = CLAIM_SECONDS
) -> Approval:
    """Reserve an approval for a reviewer for a while; again, it prolongs.

    Raises ApprovalNotFound, ApprovalClaimed, ApprovalDecided, ApprovalExpired.
    """
    parameters = {"approval_id": approval_id, "reviewer": reviewer, "seconds": seconds}
    taken = await (await conn.execute(SQL["claim"], parameters)).fetchone()
    approval = await get(conn, approval_id)
    if taken is None:
        still_open(approval)
        raise ApprovalClaimed(f"{approval.claimed_by} is looking at this.")
    await record(conn, "approval.claimed", approval, actor=reviewer)
    return approval


async def release(conn: Conn, approval_id: UUID, reviewer: str) -> Approval:
    """Give a claim back; raises ApprovalNotFound, ApprovalClaimed when it is another's."""
    parameters = {"approval_id": approval_id, "reviewer": reviewer}
    released = await (await conn.execute(SQL["release"], parameters)).fetchone()
    approval = await get(conn, approval_id)
    if released is not None:
        await record(conn, "approval.released", approval, actor=reviewer)
    elif approval.claimed and approval.claimed_by != reviewer:
        raise ApprovalClaimed(f"{approval.claimed_by} is looking at this.")
    return approval


async def end(
    conn: Conn,
    approval: Approval,
    status: Status,
    *,
    tenant_id: str,
    actor: str,
    reason: str = "",
    answer: str | None = None,
) -> None:
    """End a pending approval that is locked, write it down, tell it, and wake its run."""
    parameters = {
        "approval_id": approval.approval_id,
        "status": status,
        "decided_by": None if actor == audit.SYSTEM else actor,
        "reason": reason,
        "answer": answer,
    }
    if await (await conn.execute(SQL["decide"], parameters)).fetchone() is None:
        raise ApprovalDecided
    ended = await get(conn, approval.approval_id)
    await record(conn, f"approval.{status}", ended, actor=actor, reason=reason)
    await announce(conn, "approval.decided", ended, tenant_id=tenant_id)
    await conn.execute(SQL["wake"], {"run_id": approval.run_id, "call_id": approval.call_id})


async def vote(conn: Conn, approval: Approval, reviewer: str, *, tenant_id: str) -> int:
    """Count a reviewer's consent; return how many agree to what stands there now."""
    parameters = {
        "tenant_id": tenant_id,
        "approval_id": approval.approval_id,
        "reviewer": reviewer,
        "digest": approval.digest,
    }
    await conn.execute(SQL["vote"], parameters)
    await record(conn, "approval.voted", approval, actor=reviewer)
    row = await (await conn.execute(SQL["votes"], parameters)).fetchone()
    assert row is not None
    return int(row[0])


async def voted(conn: Conn, approval_id: UUID) -> list[Vote]:
    """Return who agreed, the first one first."""
    cursor = await conn.execute(SQL["voted"], {"approval_id": approval_id})
    return [Vote(*row) for row in await cursor.fetchall()]


async def change(
    conn: Conn,
    approval: Approval,
    arguments: dict[str, Any],
    digest: str,
    *,
    actor: str,
    judgement: Judgement,
) -> Approval:
    """Put other arguments in place; consent to the old ones counts no more.

    judgement: of the policy about them. Where it wants more people, so many have to agree.
    """
    parameters = {
        "approval_id": approval.approval_id,
        "arguments": Jsonb(arguments),
        "digest": digest,
        "quorum": judgement.quorum,
        "rule": judgement.rule,
    }
    await conn.execute(SQL["change"], parameters)
    changed = await get(conn, approval.approval_id)
    await record(conn, "approval.edited", changed, actor=actor)
    return changed


async def escalate(conn: Conn, approval: Approval, *, tenant_id: str) -> None:
    """Note that nobody has decided for a while, and tell it."""
    parameters = {"approval_id": approval.approval_id}
    if await (await conn.execute(SQL["escalate"], parameters)).fetchone() is not None:
        await record(conn, "approval.escalated", approval, actor=audit.SYSTEM)
        await announce(conn, "approval.escalated", approval, tenant_id=tenant_id)


async def pending_of_run(conn: Conn, run_id: UUID) -> list[UUID]:
    """Return the questions about a run's actions that are open."""
    cursor = await conn.execute(SQL["of_run"], {"run_id": run_id})
    return [approval_id for (approval_id,) in await cursor.fetchall()]


async def due(conn: Conn) -> Sequence[tuple[str, UUID]]:
    """Return (tenant_id, approval_id) of what is to expire or to escalate, across tenants."""
    cursor = await conn.execute(SQL["due"], {"most": DUE_AT_ONCE})
    return [(tenant_id, approval_id) for tenant_id, approval_id in await cursor.fetchall()]


async def record(
    conn: Conn, kind: str, approval: Approval, *, actor: str, reason: str = ""
) -> None:
    """Write a step of an approval into the audit log; never arguments, which may be private."""
    details = {
        "approval_id": str(approval.approval_id),
        "kind": approval.kind,
        "tool": approval.tool,
        "digest": approval.digest,
        "policy": approval.policy,
        **({"reason": reason} if reason else {}),
    }
    await audit.append(conn, kind, actor=actor, subject=str(approval.call_id), details=details)


async def announce(conn: Conn, kind: str, approval: Approval, *, tenant_id: str) -> None:
    """Put a notice for the outside beside what it is about; it names no arguments."""
    body = {
        "approval_id": str(approval.approval_id),
        "thread_id": str(approval.thread_id),
        "run_id": str(approval.run_id),
        "call_id": str(approval.call_id),
        "kind": approval.kind,
        "tool": approval.tool,
        "effect": approval.effect,
        "status": approval.status,
        "tainted": bool(approval.taint),
        "rule": approval.rule,
        "requested_by": approval.requested_by,
        "decided_by": approval.decided_by,
        "created_at": approval.created_at.isoformat(),
        "expires_at": approval.expires_at.isoformat(),
    }
    parameters = {"tenant_id": tenant_id, "kind": kind, "body": Jsonb(body)}
    await conn.execute(SQL["notice"], parameters)


async def _one(conn: Conn, statement: str, parameters: dict[str, Any]) -> Approval | None:
    async with conn.cursor(row_factory=class_row(Approval)) as cursor:
        await cursor.execute(SQL[statement], parameters)
        return await cursor.fetchone()
