"""Approvals over HTTP: what waits for a person, and what that person decides."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Body, Depends, Path, Query

from api import approval_models as models
from api.bodies import JsonRoute
from api.caller import Caller, CallerDep
from api.dialects.cursor import read_cursor, write_cursor
from api.ids import ThreadId, canonical, owned
from api.state import ServicesDep
from core.errors import ApprovalNotFound
from core.text import storable
from db import audit
from tools import approvals, ledger
from tools.approvals import Approval, Conn, Wanted
from tools.reviews import permit

_EXAMPLE = "01937b6e-5d10-7c02-9a0e-5f2f6f0f9d55"
MOST_NAME = 200

Status = Literal["pending", "approved", "rejected", "answered", "expired", "cancelled", "all"]
Limit = Annotated[int, Query(ge=1, le=1000, description="At most this many.")]
Cursor = Annotated[str | None, Query(description="`next` of the page before.")]
Said = Annotated[Any, Body(examples=models.DECISIONS)]


async def _reviewer(caller: CallerDep) -> Caller:
    permit(caller)
    return caller


async def _approval_id(approval_id: Annotated[str, Path(examples=[_EXAMPLE])]) -> UUID:
    return canonical(approval_id, ApprovalNotFound)


Reviewer = Annotated[Caller, Depends(_reviewer)]
ApprovalId = Annotated[UUID, Depends(_approval_id)]

router = APIRouter(prefix="/v1", tags=["approvals"], route_class=JsonRoute, responses=models.ERRORS)


@router.get("/approvals")
async def list_approvals(
    services: ServicesDep,
    reviewer: Reviewer,
    status: Annotated[Status, Query(description="In which state.")] = "pending",
    kind: Annotated[
        Literal["action", "outcome"] | None,
        Query(description="action: may it happen? outcome: nobody knows whether it did."),
    ] = None,
    tool: Annotated[str | None, Query(max_length=MOST_NAME, description="Of this tool.")] = None,
    thread_id: Annotated[UUID | None, Query(description="Of this conversation.")] = None,
    mine: Annotated[bool, Query(description="Those that you have claimed.")] = False,
    escalated: Annotated[bool, Query(description="Those that wait for long.")] = False,
    tainted: Annotated[
        bool, Query(description="Those where the model has read text by strangers.")
    ] = False,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> models.ApprovalPage:
    """Return what waits for a decision, or has been decided, what waits longest first.

    Only for reviewers. The counts are of all approvals, whatever the filters.
    """
    wanted = Wanted(
        status=None if status == "all" else status,
        kind=kind,
        tool=None if tool is None else storable(tool, what="tool"),
        thread_id=thread_id,
        claimed_by=reviewer.user_id if mine else None,
        escalated=escalated,
        tainted=tainted,
    )
    async with services.database.transaction(reviewer.tenant_id) as conn:
        page, following = await _page(conn, wanted, limit, cursor)
        counts = _counted(await approvals.counts(conn))
    return models.ApprovalPage(approvals=page, counts=counts, next=following)


@router.get("/approvals/{approval_id}")
async def read_approval(
    approval_id: ApprovalId, services: ServicesDep, reviewer: Reviewer
) -> models.ApprovalDetail:
    """Return all that is known: what was asked for, what led to it, what came of it.

    Only for reviewers. `evidence` holds the conversation, the passages and results that the model
    has seen, in which of them each argument stands, and what approving leads to.
    """
    async with services.database.transaction(reviewer.tenant_id) as conn:
        approval = await approvals.get(conn, approval_id)
        call = await ledger.get(conn, approval.call_id)
        voted = await approvals.voted(conn, approval_id)
        log = await audit.entries(conn, subject=str(approval.call_id))
    if call is None:
        raise ApprovalNotFound
    return models.ApprovalDetail(
        **_shown(approval).model_dump(),
        proposed=approval.proposed,
        evidence=approval.evidence,
        voted=[models.Vote.model_validate(vote) for vote in voted],
        call=models.Call.model_validate(call),
        log=[
            models.LogEntry(
                seq=entry.seq,
                at=entry.at,
                kind=entry.kind,
                actor=entry.actor,
                details=entry.details,
                hash=entry.hash.hex(),
            )
            for entry in log
        ],
    )


@router.post("/approvals/{approval_id}/claim", responses=models.TAKEN)
async def claim_approval(
    approval_id: ApprovalId, services: ServicesDep, reviewer: Reviewer
) -> models.Approval:
    """Reserve an approval for five minutes, so that nobody else decides it; again, it prolongs."""
    async with services.database.transaction(reviewer.tenant_id) as conn:
        return _shown(await approvals.claim(conn, approval_id, reviewer.user_id))


@router.post("/approvals/{approval_id}/release", responses=models.TAKEN)
async def release_approval(
    approval_id: ApprovalId, services: ServicesDep, reviewer: Reviewer
) -> models.Approval:
    """Give a claim back; without one of yours nothing changes."""
    async with services.database.transaction(reviewer.tenant_id) as conn:
        return _shown(await approvals.release(conn, approval_id, reviewer.user_id))


@router.post("/approvals/{approval_id}/decision", responses=models.TAKEN)
async def decide_approval(
    approval_id: ApprovalId, body: Said, services: ServicesDep, reviewer: Reviewer
) -> models.Approval:
    """Decide, once. Returns the approval as it stands then: pending while others have to agree.

    `approve`: it runs once with these arguments. `edit`: with yours instead. `reject`: it does not
    run, and the model is told your reason. `answer`: it does not run, and the model is told your
    answer instead of a result. Give the `digest` of what you looked at.
    Answers to LangGraph's interrupts are taken as well.

    Whoever asked for the action cannot decide it. Who comes late gets 409 with the decision that
    was first in `error.approval`, or 410.
    """
    decision = models.decision_of(body)
    return _shown(await services.reviews.decide(approval_id, decision, reviewer))


@router.get("/threads/{thread_id}/approvals")
async def list_thread_approvals(
    thread_id: ThreadId,
    services: ServicesDep,
    caller: CallerDep,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> models.ApprovalList:
    """Return what your conversation waits for, and what was decided; the oldest first."""
    async with services.database.transaction(caller.tenant_id) as conn:
        await owned(conn, caller, thread_id)
        wanted = Wanted(status=None, thread_id=thread_id)
        page, following = await _page(conn, wanted, limit, cursor)
    return models.ApprovalList(approvals=page, next=following)


async def _page(
    conn: Conn, wanted: Wanted, limit: int, cursor: str | None
) -> tuple[list[models.Approval], str | None]:
    """Return a page, and the cursor of the next one."""
    after = read_cursor(cursor) if cursor else None
    found = await approvals.page(conn, wanted, limit=limit + 1, after=after)
    page = found[:limit]
    more = len(found) > limit
    following = write_cursor(page[-1].created_at, page[-1].approval_id) if more else None
    return [_shown(approval) for approval in page], following


def _shown(approval: Approval) -> models.Approval:
    """Return an approval as clients see it; a claim that is over is none."""
    shown = models.Approval.model_validate(approval)
    if not approval.claimed:
        shown.claimed_by = shown.claimed_until = None
    return shown


def _counted(found: list[approvals.Count]) -> models.Counts:
    pending = next((count for count in found if count.status == "pending"), None)
    return models.Counts(
        pending=pending.approvals if pending else 0,
        escalated=pending.escalated if pending else 0,
        claimed=pending.claimed if pending else 0,
        oldest=pending.oldest if pending else None,
        last_day={count.status: count.approvals for count in found},
    )
