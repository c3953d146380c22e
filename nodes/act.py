"""Makes the next call, once."""

from __future__ import annotations

from uuid import UUID

from langgraph.runtime import Runtime

from core.turn import CallResult, TurnState
from nodes import calling, screening
from nodes.context import Context
from nodes.propose import ask, judge, tainted_by
from tools import ledger
from tools.executor import Executor
from tools.ledger import Call

SHOWN = 2000  # characters of a result in its event; the turn log has all of it


async def act(state: TurnState, runtime: Runtime[Context]) -> TurnState:
    """Return the result of the call; nothing when a person has to be asked first."""
    context, call = runtime.context, calling.pending(state)
    if call is None or context.held is None:
        return {}
    if await _asked_again(calling.call_id(call), state, context):
        return {"cleared": ""}
    context.emit("tool.started", {"call_id": call["call_id"], "tool": call["tool"]})
    services = context.services
    executor = Executor(services.database, services.tools, services.policy)
    row = await executor.run(calling.call_id(call), context.caller, context.held)
    if row.status in ("proposed", "unknown", "ready", "started"):
        return {"cleared": ""}
    result, findings = await screening.result(calling.result_of(row), context)
    context.emit(
        "tool.finished",
        {
            "call_id": call["call_id"],
            "tool": call["tool"],
            "status": row.status,
            "code": row.code,
            "text": result["text"][:SHOWN],
        },
    )
    update = TurnState(
        results={**state.get("results", {}), call["call_id"]: result},
        findings=[*state.get("findings", []), *findings],
    )
    return {**update, **_seen(row, result, state, context)}


def _seen(row: Call, result: CallResult, state: TurnState, context: Context) -> TurnState:
    """Return what the model will have seen with this result: text by strangers, private text."""
    tool = context.services.tools.get(row.tool)
    update = TurnState()
    flags = result.get("flags", [])
    if tool is None or tool.declaration.reads_untrusted or row.sources or flags:
        known = [*state.get("taint", []), *tainted_by(row.tool, row.sources, flags)]
        update["taint"] = calling.distinct(known)
    if tool is None or tool.declaration.reads_private:
        update["private"] = True
    return update


async def _asked_again(call_id: UUID, state: TurnState, context: Context) -> bool:
    """Judge a call anew when the policy has changed since; True when it may not run now.

    A decision holds for the version of the policy under which it was taken, no longer.
    """
    policy = context.services.policy
    async with context.services.database.transaction(context.tenant_id) as conn:
        row = await ledger.get(conn, call_id, lock=True)
        if row is None or row.status != "ready" or row.policy == policy.version:
            return False
        judgement = judge(row.tool, row.arguments, state, context)
        await ledger.judge(conn, call_id, judgement)
        if judgement.decision == "approve":
            await ask(conn, call_id, judgement, state, context)
        return judgement.decision != "run"
