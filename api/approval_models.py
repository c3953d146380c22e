"""Approvals as reviewers, and those who wait for them, see them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from api.bodies import Body
from api.dialects.resources import ErrorAnswer
from api.errors import explain
from nodes.interrupts import response
from tools.reviews import Choice, Decision

_DIGEST = "5b1f0c…"
_ARGUMENTS = {"order_id": "A-1001", "cents": 4990, "reason": "arrived broken"}
_SUMMARY: dict[str, Any] = {
    "approval_id": "01937b6e-5d10-7c02-9a0e-5f2f6f0f9d55",
    "call_id": "01937b6e-5c00-7a11-8b0e-5f2f6f0f9d54",
    "run_id": "01937b6e-3c2f-7d02-8d0e-5f2f6f0f9d11",
    "thread_id": "01937b6e-3c1a-7c4e-9a55-0a4b8a4d2f10",
    "kind": "action",
    "tool": "refund_order",
    "effect": "internal_write",
    "arguments": _ARGUMENTS,
    "digest": _DIGEST,
    "policy": "8d41c0de2f7e9b0c",
    "rule": "It changes something.",
    "requested_by": "ann",
    "quorum": 1,
    "votes": 0,
    "status": "pending",
    "overdue": False,
    "taint": [{"kind": "document", "source": "upload:/letter.pdf"}],
    "created_at": "2026-11-20T09:30:00Z",
    "expires_at": "2026-11-20T10:30:00Z",
    "escalates_at": "2026-11-20T09:45:00Z",
    "escalated_at": None,
    "claimed_by": None,
    "claimed_until": None,
    "decided_by": None,
    "decided_at": None,
    "reason": "",
    "answer": None,
}
_COUNTS: dict[str, Any] = {
    "pending": 1,
    "escalated": 0,
    "claimed": 0,
    "oldest": "2026-11-20T09:30:00Z",
    "last_day": {"pending": 1, "approved": 7, "rejected": 2},
}
_DETAIL: dict[str, Any] = {
    **_SUMMARY,
    "proposed": _ARGUMENTS,
    "evidence": {
        "will_happen": "refund_order runs once with exactly these arguments; it changes data in "
        "this database. Sent again after a failure, it still happens once.",
        "conversation": [{"role": "user", "content": "My lamp A-1001 arrived broken."}],
        "origins": [{"path": "order_id", "value": "A-1001", "found_in": []}],
    },
    "voted": [],
    "call": {
        "position": 1,
        "status": "proposed",
        "attempts": 0,
        "idempotency": "keyed",
        "result": None,
        "code": "",
        "sources": [],
        "started_at": None,
        "finished_at": None,
    },
    "log": [
        {
            "seq": 12,
            "at": "2026-11-20T09:30:00Z",
            "kind": "approval.requested",
            "actor": "ann",
            "details": {"tool": "refund_order", "digest": _DIGEST, "quorum": 1},
            "hash": "0f6e…",
        }
    ],
}
DECISIONS: list[Any] = [
    {"decision": "approve", "digest": _DIGEST},
    {"decision": "edit", "digest": _DIGEST, "arguments": {**_ARGUMENTS, "cents": 2500}},
    {"decision": "reject", "reason": "This order was refunded last week."},
    {"decision": "answer", "answer": "Ask for a photo first."},
    {"decisions": [{"type": "approve"}]},
    [{"type": "accept", "args": None}],
]

Answers = dict[int | str, dict[str, Any]]
NOT_FOUND: Answers = {404: {"model": ErrorAnswer, "description": "There is no such approval."}}
ERRORS: Answers = {
    **NOT_FOUND,
    403: {"model": ErrorAnswer, "description": "You are no reviewer."},
    422: {"model": ErrorAnswer, "description": "The input is not valid."},
    503: {"model": ErrorAnswer, "description": "A service does not answer."},
}
TAKEN: Answers = {
    409: {"model": ErrorAnswer, "description": "Decided, changed, or claimed by somebody else."},
    410: {"model": ErrorAnswer, "description": "Its time is over; nothing was done."},
}


def _shape(example: dict[str, Any]) -> ConfigDict:
    return ConfigDict(from_attributes=True, json_schema_extra={"examples": [example]})


class NewDecision(Body):
    """What a reviewer decides."""

    decision: Choice
    digest: str | None = Field(
        None, description="Of what you looked at; refused when it has changed since."
    )
    arguments: dict[str, Any] | None = Field(None, description="Of an edit: all of them.")
    reason: str = Field("", description="Of a rejection: told to the model, and kept.")
    answer: str | None = Field(None, description="Told to the model instead of a result.")


class Approval(BaseModel):
    """A question about one call of a tool."""

    model_config = _shape(_SUMMARY)
    approval_id: UUID
    call_id: UUID
    run_id: UUID
    thread_id: UUID
    kind: Literal["action", "outcome"] = Field(
        description="action: may it happen? outcome: nobody knows whether it did."
    )
    tool: str
    effect: str
    arguments: dict[str, Any] = Field(description="As they will be used.")
    digest: str = Field(description="Of tool and arguments; give it back with your decision.")
    policy: str = Field(description="Version of the policy that asked.")
    rule: str = Field(description="Why it asked.")
    requested_by: str
    quorum: int = Field(description="How many reviewers have to agree.")
    votes: int = Field(description="How many agree to what stands there now.")
    status: Literal["pending", "approved", "rejected", "answered", "expired", "cancelled"]
    overdue: bool = Field(description="Its time is over, by the clock of the database.")
    taint: list[dict[str, Any]] = Field(description="Text by strangers that the model has seen.")
    created_at: datetime
    expires_at: datetime
    escalates_at: datetime | None
    escalated_at: datetime | None
    claimed_by: str | None = Field(description="Who is looking at it; null when the claim is over.")
    claimed_until: datetime | None
    decided_by: str | None
    decided_at: datetime | None
    reason: str
    answer: str | None


class Counts(BaseModel):
    """How many approvals there are."""

    model_config = _shape(_COUNTS)
    pending: int
    escalated: int = Field(description="Of the pending ones.")
    claimed: int = Field(description="Of the pending ones.")
    oldest: datetime | None = Field(description="Since when the oldest one waits.")
    last_day: dict[str, int] = Field(description="Asked within 24 hours or pending, by status.")


class ApprovalPage(BaseModel):
    """Approvals, oldest first: what waits longest comes first."""

    model_config = _shape({"approvals": [_SUMMARY], "counts": _COUNTS, "next": None})
    approvals: list[Approval]
    counts: Counts
    next: str | None = Field(description="Give it as `cursor` for the next page; null at the end.")


class ApprovalList(BaseModel):
    """The approvals of one conversation, oldest first."""

    model_config = _shape({"approvals": [_SUMMARY], "next": None})
    approvals: list[Approval]
    next: str | None


class Vote(BaseModel):
    """A reviewer who agreed."""

    model_config = ConfigDict(from_attributes=True)
    reviewer: str
    voted_at: datetime
    counts: bool = Field(description="False when the arguments were edited since.")


class Call(BaseModel):
    """The call as the ledger has it."""

    model_config = ConfigDict(from_attributes=True)
    position: int = Field(description="1, 2, 3 … within the run.")
    status: str
    attempts: int
    idempotency: str
    result: str | None
    code: str
    sources: list[str]
    started_at: datetime | None
    finished_at: datetime | None


class LogEntry(BaseModel):
    """An entry of the audit log about the call."""

    seq: int
    at: datetime
    kind: str
    actor: str
    details: dict[str, Any]
    hash: str = Field(description="It covers the entry and the hash of the one before it.")


class ApprovalDetail(Approval):
    """Everything that is known about an approval."""

    model_config = _shape(_DETAIL)
    proposed: dict[str, Any] = Field(description="The arguments as the model wrote them.")
    evidence: dict[str, Any] = Field(
        description="The conversation, passages, results, where each argument stands, what happens."
    )
    voted: list[Vote]
    call: Call
    log: list[LogEntry]


def decision_of(body: Any) -> Decision:
    """Return a decision in our shape, or in one of LangGraph's; raises InvalidInput."""
    if not (isinstance(body, dict) and "decision" in body):
        return response(body)
    try:
        said = NewDecision.model_validate(body)
    except ValidationError as error:
        raise explain(error.errors()) from error
    return Decision(said.decision, said.digest, said.arguments, said.reason, said.answer)
