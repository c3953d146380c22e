"""What a reviewer may do with an approval, and what becomes of the call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

from core.errors import (
    ApprovalChanged,
    ApprovalClaimed,
    ApprovalDecided,
    ApprovalNotFound,
    InvalidInput,
    NotPermitted,
    RunEnded,
)
from core.text import scrub
from db import audit
from db.pool import Database
from tools import approvals, ledger
from tools.approvals import Approval
from tools.ledger import Conn
from tools.policy import Policy, Situation
from tools.registry import Outcome, Registry
from tools.tool import Caller

REVIEWER = "reviewer"
MOST_REASON = 2000  # characters
Choice = Literal["approve", "edit", "reject", "answer"]


@dataclass(frozen=True, slots=True)
class Decision:
    """What a reviewer says."""

    choice: Choice
    digest: str | None = None  # of what was looked at; None: whatever stands there
    arguments: dict[str, Any] | None = None  # of an edit
    reason: str = ""
    answer: str | None = None  # what the model is told instead of a result


class Reviews:
    """Decides approvals; one object for every way in which decisions arrive."""

    def __init__(self, database: Database, registry: Registry, policy: Policy) -> None:
        self._database = database
        self._registry = registry
        self._policy = policy

    async def decide(self, approval_id: UUID, decision: Decision, reviewer: Caller) -> Approval:
        """Take a decision and return the approval as it stands then.

        Raises NotPermitted, ApprovalNotFound, ApprovalDecided (with the decision that was first),
        ApprovalExpired, ApprovalChanged, ApprovalClaimed, RunEnded, InvalidInput.
        """
        check(decision)
        permit(reviewer)
        async with self._database.transaction(reviewer.tenant_id) as conn:
            approval = await approvals.locked(conn, approval_id)
            if approval.requested_by == reviewer.user_id:
                raise NotPermitted("Whoever asked for this cannot decide it.")
            approvals.still_open(approval)
            if approval.claimed and approval.claimed_by != reviewer.user_id:
                raise ApprovalClaimed(f"{approval.claimed_by} is looking at this.")
            if decision.digest is not None and decision.digest != approval.digest:
                raise ApprovalChanged
            if approval.kind == "outcome":
                await self._outcome(conn, approval, decision, reviewer)
            else:
                await self._action(conn, approval, decision, reviewer)
            return await approvals.get(conn, approval_id)

    async def expire(self, tenant_id: str, approval_id: UUID) -> None:
        """Let a question end that nobody answered in time, or note that it waits for long."""
        async with self._database.transaction(tenant_id) as conn:
            try:
                approval = await approvals.locked(conn, approval_id)
            except ApprovalNotFound:
                return  # its thread was deleted since somebody saw that it is due
            if approval.status != "pending":
                return
            if not approval.overdue:
                await approvals.escalate(conn, approval, tenant_id=tenant_id)
                return
            if approval.kind == "action":
                text = "Nobody decided in time, so it was not done. Say so."
                await ledger.decide(
                    conn,
                    approval.call_id,
                    "expired",
                    known=ledger.PROPOSED,
                    result=text,
                    code="approval_expired",
                )
            await approvals.end(conn, approval, "expired", tenant_id=tenant_id, actor=audit.SYSTEM)

    async def _action(
        self, conn: Conn, approval: Approval, decision: Decision, reviewer: Caller
    ) -> None:
        who, reason = reviewer.user_id, scrub(decision.reason)
        if decision.choice in ("approve", "edit"):
            if decision.choice == "edit":
                approval = await self._edited(conn, approval, decision, reviewer)
            votes = await approvals.vote(conn, approval, who, tenant_id=reviewer.tenant_id)
            if votes < approval.quorum:
                return
            status: approvals.Status = "approved"
            done = await ledger.decide(
                conn,
                approval.call_id,
                "ready",
                known=ledger.PROPOSED,
                arguments=approval.arguments,
                new_digest=approval.digest,
            )
        elif decision.choice == "reject":
            status = "rejected"
            text = f"A person has refused this{f': {reason}' if reason else ''}. It was not done."
            done = await ledger.decide(
                conn,
                approval.call_id,
                "rejected",
                known=ledger.PROPOSED,
                result=text,
                code="rejected",
            )
        else:
            status = "answered"
            done = await ledger.decide(
                conn,
                approval.call_id,
                "answered",
                known=ledger.PROPOSED,
                result=scrub(decision.answer or ""),
                code="answered",
            )
        if not done:
            raise ApprovalDecided("The call does not wait for a decision any more.")
        await self._end(conn, approval, status, decision, reviewer)

    async def _outcome(
        self, conn: Conn, approval: Approval, decision: Decision, reviewer: Caller
    ) -> None:
        """Decide about a call of which nobody knows whether it happened.

        approve: it has not, make it again. answer: this is what happened. reject: leave it.
        """
        if decision.choice == "edit":
            raise InvalidInput("What may have happened cannot be edited.", param="decision")
        if decision.choice == "approve":
            row = await (
                await conn.execute(approvals.SQL["lock_run"], {"approval_id": approval.approval_id})
            ).fetchone()
            if row is None or row[0] not in ("waiting", "running", "queued"):
                raise RunEnded("The turn has ended; say what happened instead.")
            votes = await approvals.vote(
                conn, approval, reviewer.user_id, tenant_id=reviewer.tenant_id
            )
            if votes < approval.quorum:
                return
            await ledger.decide(conn, approval.call_id, "ready", known=ledger.UNKNOWN)
            await self._end(conn, approval, "approved", decision, reviewer)
        elif decision.choice == "answer":
            await ledger.decide(
                conn,
                approval.call_id,
                "answered",
                known=ledger.UNKNOWN,
                result=scrub(decision.answer or ""),
                code="answered",
            )
            await self._end(conn, approval, "answered", decision, reviewer)
        else:
            await self._end(conn, approval, "rejected", decision, reviewer)

    async def _edited(
        self, conn: Conn, approval: Approval, decision: Decision, reviewer: Caller
    ) -> Approval:
        """Return the approval with other arguments, checked as the model's were."""
        user = Caller(reviewer.tenant_id, approval.requested_by, roles=reviewer.roles)
        checked = self._registry.checked(approval.tool, decision.arguments or {}, user)
        if isinstance(checked, Outcome):
            raise InvalidInput(checked.text, param="arguments")
        tool = self._registry.get(approval.tool)
        situation = Situation(reviewer.tenant_id, tainted=bool(approval.taint))
        judgement = self._policy.judge(
            approval.tool, tool.declaration if tool else None, checked, situation
        )
        if judgement.decision == "deny":
            raise InvalidInput(f"These arguments are denied: {judgement.rule}", param="arguments")
        return await approvals.change(
            conn,
            approval,
            dict(checked),
            ledger.digest(approval.tool, checked),
            actor=reviewer.user_id,
            judgement=judgement,
        )

    async def _end(
        self,
        conn: Conn,
        approval: Approval,
        status: approvals.Status,
        decision: Decision,
        reviewer: Caller,
    ) -> None:
        await approvals.end(
            conn,
            approval,
            status,
            tenant_id=reviewer.tenant_id,
            actor=reviewer.user_id,
            reason=scrub(decision.reason),
            answer=None if decision.answer is None else scrub(decision.answer),
        )


def permit(reviewer: Caller) -> None:
    """Raise NotPermitted for whoever is no reviewer."""
    if REVIEWER not in reviewer.roles:
        raise NotPermitted("Only reviewers see and decide approvals.")


def check(decision: Decision) -> None:
    """Raise InvalidInput for a decision that does not say what its choice needs."""
    if decision.choice == "edit" and decision.arguments is None:
        raise InvalidInput("An edit says what the arguments are.", param="arguments")
    if decision.choice != "edit" and decision.arguments is not None:
        raise InvalidInput("Only an edit has arguments.", param="arguments")
    if decision.choice == "answer" and not (decision.answer or "").strip():
        raise InvalidInput("An answer says what the model is told.", param="answer")
    if decision.choice != "answer" and decision.answer is not None:
        raise InvalidInput("Only an answer has an answer.", param="answer")
    if len(decision.reason) > MOST_REASON or len(decision.answer or "") > MOST_REASON:
        raise InvalidInput(f"At most {MOST_REASON} characters.", param="reason")
