"""Waits until somebody has decided about the next call."""

from __future__ import annotations

from uuid import UUID

from langgraph.runtime import Runtime
from langgraph.types import interrupt

from core.turn import CallResult, TurnState
from nodes import calling
from nodes.context import Context
from nodes.interrupts import request
from tools import approvals, ledger
from tools.approvals import Approval
from tools.ledger import SETTLED, Call


async def approve(state: TurnState, runtime: Runtime[Context]) -> TurnState:
    """Return the result of a call that will not run; nothing for one that may.

    What the graph is resumed with means nothing: the rows decide, and they are read anew each time.
    """
    context, call = runtime.context, calling.pending(state)
    if call is None:
        return {}
    while True:
        row, approval = await _read(call["call_id"], context)
        if row is None:
            return _recorded(state, call["call_id"], _gone())
        waits = approval is not None and approval.status == "pending"
        if row.status in SETTLED or (row.status == "unknown" and not waits):
            _tell(approval, context)
            return _recorded(state, call["call_id"], calling.result_of(row))
        if row.status in ("ready", "started"):
            _tell(approval, context)
            return {"cleared": call["call_id"]}
        if approval is None or not waits:
            return _recorded(state, call["call_id"], _gone())
        asked = request(approval)
        context.emit("approval.required", _event(approval) | {"interrupt": asked})
        interrupt(asked)


async def _read(call_id: str, context: Context) -> tuple[Call | None, Approval | None]:
    """Return a call and the question about it as they stand together.

    The call is locked: a decision that came between the two would show a call that waits beside
    a question that is decided, and what was approved would be taken for withdrawn.
    """
    async with context.services.database.transaction(context.tenant_id) as conn:
        key = UUID(call_id)
        return await ledger.get(conn, key, lock=True), await approvals.about(conn, key)


def _recorded(state: TurnState, call_id: str, result: CallResult) -> TurnState:
    return {"results": {**state.get("results", {}), call_id: result}}


def _gone() -> CallResult:
    return CallResult(
        status="cancelled", text="Nobody can decide about this any more.", code="gone", sources=[]
    )


def _event(approval: Approval) -> dict[str, object]:
    return {
        "approval_id": str(approval.approval_id),
        "call_id": str(approval.call_id),
        "kind": approval.kind,
        "tool": approval.tool,
        "arguments": approval.arguments,
        "quorum": approval.quorum,
        "expires_at": approval.expires_at.isoformat(),
    }


def _tell(approval: Approval | None, context: Context) -> None:
    """Put the decision into the run's log; calls that nobody had to decide about have none."""
    if approval is not None and approval.status != "pending":
        context.emit(
            "approval.decided",
            {
                "approval_id": str(approval.approval_id),
                "call_id": str(approval.call_id),
                "status": approval.status,
                "decided_by": approval.decided_by,
                "reason": approval.reason,
            },
        )
