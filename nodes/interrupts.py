"""Interrupts in the shape that LangGraph's clients know, and their two shapes of an answer.

Agent Chat UI takes HITLRequest only; Agent Inbox takes it too but reads `arguments`, so both names
are there. Answers arrive as HITLResponse or as a list with one HumanResponse.
"""

from __future__ import annotations

import json
from typing import Any

from core.errors import InvalidInput
from tools.approvals import Approval
from tools.reviews import Decision

DECISIONS = ["approve", "edit", "reject", "respond"]


def request(approval: Approval) -> dict[str, Any]:
    """Return an approval as a HITLRequest: one action, and what may be decided about it."""
    allowed = DECISIONS if approval.kind == "action" else ["approve", "reject", "respond"]
    return {
        "action_requests": [
            {
                "name": approval.tool,
                "args": approval.arguments,
                "arguments": approval.arguments,
                "description": _description(approval),
            }
        ],
        "review_configs": [{"action_name": approval.tool, "allowed_decisions": allowed}],
        "approval_id": str(approval.approval_id),
        "digest": approval.digest,
    }


def response(answer: Any) -> Decision:
    """Return the decision in an answer of either shape; raises InvalidInput for anything else.

    HITLResponse: {"decisions": [{"type": approve | edit | reject | respond, …}]}.
    HumanResponse: [{"type": accept | edit | response | ignore, "args": …}].
    """
    match answer:
        case {"decisions": [dict() as one]}:
            return _hitl(one)
        case [dict() as one] if "type" in one:
            return _human(one)
        case {"type": str()}:
            return _human(answer)
        case {"decisions": list()} | list():
            raise InvalidInput("One action is decided at a time.", param="decisions")
        case _:
            raise InvalidInput("This is no answer to an interrupt.", param="resume")


def _hitl(one: dict[str, Any]) -> Decision:
    match one:
        case {"type": "approve"}:
            return Decision("approve")
        case {"type": "edit", "edited_action": {"args": args}}:
            return Decision("edit", arguments=_object(args))
        case {"type": "edit", "edited_action": {"arguments": args}}:
            return Decision("edit", arguments=_object(args))
        case {"type": "reject"}:
            return Decision("reject", reason=_text(one.get("message")))
        case {"type": "respond", "message": str() as message}:
            return Decision("answer", answer=message)
        case _:
            raise InvalidInput("A decision is approve, edit, reject or respond.", param="type")


def _human(one: dict[str, Any]) -> Decision:
    match one:
        case {"type": "accept"}:
            return Decision("approve")
        case {"type": "edit", "args": {"args": args}} | {
            "type": "edit",
            "args": {"arguments": args},
        }:
            return Decision("edit", arguments=_object(args))
        case {"type": "response", "args": str() as message}:
            return Decision("reject", reason=message)
        case {"type": "ignore"}:
            return Decision("reject", reason="ignored")
        case _:
            raise InvalidInput("A response is accept, edit, response or ignore.", param="type")


def _object(args: Any) -> dict[str, Any]:
    """Return edited arguments; Agent Inbox sends them as text where it showed text."""
    if isinstance(args, str):
        try:
            args = json.loads(args)
        except (ValueError, RecursionError) as error:
            raise InvalidInput("The edited arguments are not JSON.", param="args") from error
    if not isinstance(args, dict):
        raise InvalidInput("The edited arguments are no object.", param="args")
    return args


def _text(message: Any) -> str:
    return message if isinstance(message, str) else ""


def _description(approval: Approval) -> str:
    if approval.kind == "outcome":
        return f"Nobody knows whether {approval.tool} has happened. Approve to make it again."
    taint = ", ".join(one["source"] for one in approval.taint)
    seen = f" The model has read text by strangers: {taint}." if taint else ""
    return f"{approval.rule}{seen}"
