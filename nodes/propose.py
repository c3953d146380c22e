"""Writes down each call that the model asks for, and lets the policy judge it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from langgraph.runtime import Runtime

from core.turn import CallResult, ProposedCall, Taint, TurnState
from db import audit
from nodes import calling, screening
from nodes.context import Context
from nodes.evidence import evidence
from tools import approvals, ledger
from tools.ledger import Conn
from tools.policy import Judgement, Situation
from tools.registry import Outcome
from tools.tool import Arguments


async def propose(state: TurnState, runtime: Runtime[Context]) -> TurnState:
    """Return the results of calls that will not be made; the others wait for their turn.

    Before anything rests on the ids of the calls, the step that made them is stored: a process
    that takes over would otherwise ask the model again, and act on other calls.
    """
    context = runtime.context
    assert context.held is not None
    await context.flush()
    taint = calling.taint(state, context)
    private = bool(state.get("private")) or bool(state.get("passages"))
    arguments = await screening.arguments(state, context)
    state = TurnState(**{**state, "taint": taint, "private": private, **arguments})
    results = dict(state.get("results", {}))
    events: list[dict[str, Any]] = []
    first = len(calling.calls(state)) - len(state["steps"][-1]["calls"])
    async with context.services.database.transaction(context.tenant_id) as conn:
        await ledger.fence(conn, context.held)
        for place, call in enumerate(state["steps"][-1]["calls"], start=first + 1):
            if call["call_id"] in results:
                continue
            known = {**state, "results": results}
            found = await _write(conn, call, place, known, context)  # type: ignore[arg-type]
            events.append(found)
            if found["decision"] in ("refused", "deny"):
                results[call["call_id"]] = found.pop("result")
    for event in events:
        context.emit("tool.proposed", event)
    return {"results": results, "taint": taint, "private": private, **arguments}


async def _write(
    conn: Conn, call: ProposedCall, position: int, state: TurnState, context: Context
) -> dict[str, Any]:
    """Write one call down, and ask the reviewers where the policy says so; return its event."""
    services = context.services
    event: dict[str, Any] = {
        "call_id": call["call_id"],
        "position": position,
        "tool": call["tool"],
        "taint": state["taint"],
    }
    checked = services.tools.checked(call["tool"], call["arguments"], context.caller)
    if isinstance(checked, Outcome):
        result = CallResult(status="refused", text=checked.text, code=checked.code, sources=[])
        return {**event, "decision": "refused", "rule": checked.text, "result": result}
    if screening.FORBIDDEN in state.get("argument_flags", {}).get(call["call_id"], []):
        refused = screening.refused(state["argument_flags"][call["call_id"]])
        return {**event, "decision": "refused", "rule": refused["text"], "result": refused}
    judgement = judge(call["tool"], checked, state, context)
    tool = services.tools.get(call["tool"])
    call_id = calling.call_id(call)
    await ledger.propose(
        conn,
        tenant_id=context.tenant_id,
        call_id=call_id,
        thread_id=UUID(context.thread_id),
        run_id=UUID(context.run_id),
        position=position,
        tool=call["tool"],
        arguments=checked,
        declaration=tool.declaration if tool else None,
        taint=state["taint"],
        judgement=judgement,
    )
    event |= {"arguments": dict(checked), "decision": judgement.decision, "rule": judgement.rule}
    if judgement.decision == "deny":
        await audit.append(
            conn,
            "action.denied",
            actor=context.user_id,
            subject=call["call_id"],
            details={"tool": call["tool"], "rule": judgement.rule, "policy": judgement.version},
        )
        text = ledger.refusal(judgement)
        event["result"] = CallResult(status="denied", text=text, code="denied", sources=[])
    elif judgement.decision == "approve":
        await ask(conn, call_id, judgement, state, context)
    return event


def judge(tool: str, arguments: Arguments, state: TurnState, context: Context) -> Judgement:
    """Return what the policy says about a call in this turn."""
    found = context.services.tools.get(tool)
    situation = Situation(
        tenant_id=context.tenant_id,
        tainted=bool(state.get("taint")),
        private=bool(state.get("private")),
        made=calling.made(state),
    )
    return context.services.policy.judge(
        tool, found.declaration if found else None, arguments, situation
    )


async def ask(
    conn: Conn, call_id: UUID, judgement: Judgement, state: TurnState, context: Context
) -> None:
    """Ask the reviewers about a call that is written down."""
    row = await ledger.get(conn, call_id)
    if row is None or row.status != "proposed":
        return  # this step is being repeated after a crash, and somebody has decided already
    await approvals.request(
        conn,
        row,
        tenant_id=context.tenant_id,
        kind="action",
        requested_by=context.user_id,
        judgement=judgement,
        evidence=evidence(row, state, context),
    )


def tainted_by(tool: str, sources: list[str], flags: Sequence[str] = ()) -> list[Taint]:
    """Return what the result of a tool that reads text by strangers brings into the turn."""
    return [calling.tainted("tool", source, flags) for source in sources or [tool]]
