"""Questions and answers in the shapes of LangGraph's clients."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InvalidInput
from core.turn import Taint
from nodes.interrupts import request, response
from tools.approvals import Approval, Kind
from tools.reviews import Decision

NOW = datetime(2026, 11, 20, tzinfo=UTC)


def approval(kind: Kind = "action", taint: list[Taint] | None = None) -> Approval:
    """Return a question about a refund."""
    return Approval(
        approval_id=uuid4(),
        call_id=uuid4(),
        run_id=uuid4(),
        thread_id=uuid4(),
        kind=kind,
        tool="refund_order",
        effect="external",
        arguments={"cents": 5},
        proposed={"cents": 5},
        digest="d",
        policy="p",
        rule="It changes something.",
        requested_by="ann",
        quorum=1,
        status="pending",
        taint=taint or [],
        evidence={},
        created_at=NOW,
        expires_at=NOW,
        escalates_at=None,
        escalated_at=None,
        claimed_by=None,
        claimed_until=None,
        decided_by=None,
        decided_at=None,
        reason="",
        answer=None,
        votes=0,
        overdue=False,
        claimed=False,
    )


def test_a_request_serves_both_clients() -> None:
    """One action, its arguments under both names, and what may be decided."""
    asked = request(approval())
    [action] = asked["action_requests"]
    assert action["name"] == "refund_order"
    assert action["args"] == action["arguments"] == {"cents": 5}
    assert action["description"] == "It changes something."
    [review] = asked["review_configs"]
    assert review == {
        "action_name": "refund_order",
        "allowed_decisions": ["approve", "edit", "reject", "respond"],
    }


def test_a_reviewer_is_told_about_taint() -> None:
    """With its source."""
    [action] = request(approval(taint=[Taint(kind="tool", source="https://x.example")]))[
        "action_requests"
    ]
    assert "text by strangers: https://x.example" in action["description"]


def test_an_outcome_cannot_be_edited() -> None:
    """What may have happened is made again, told or left."""
    asked = request(approval("outcome"))
    assert asked["review_configs"][0]["allowed_decisions"] == ["approve", "reject", "respond"]
    assert "Nobody knows" in asked["action_requests"][0]["description"]


EDITED = Decision("edit", arguments={"cents": 4})


@pytest.mark.parametrize(
    ("answer", "decision"),
    [
        ({"decisions": [{"type": "approve"}]}, Decision("approve")),
        (
            {"decisions": [{"type": "edit", "edited_action": {"name": "x", "args": {"cents": 4}}}]},
            EDITED,
        ),
        ({"decisions": [{"type": "edit", "edited_action": {"arguments": {"cents": 4}}}]}, EDITED),
        ({"decisions": [{"type": "reject"}]}, Decision("reject")),
        ({"decisions": [{"type": "reject", "message": "No."}]}, Decision("reject", reason="No.")),
        ({"decisions": [{"type": "respond", "message": "Hi"}]}, Decision("answer", answer="Hi")),
        ([{"type": "accept", "args": None}], Decision("approve")),
        ({"type": "accept"}, Decision("approve")),
        ([{"type": "edit", "args": {"action": "x", "args": {"cents": 4}}}], EDITED),
        ([{"type": "edit", "args": {"action": "x", "args": '{"cents": 4}'}}], EDITED),
        ([{"type": "edit", "args": {"arguments": {"cents": 4}}}], EDITED),
        ([{"type": "response", "args": "No."}], Decision("reject", reason="No.")),
        ([{"type": "ignore", "args": None}], Decision("reject", reason="ignored")),
    ],
)
def test_both_shapes_of_an_answer_are_taken(answer: Any, decision: Decision) -> None:
    """HITLResponse of Agent Chat UI, HumanResponse of Agent Inbox."""
    assert response(answer) == decision


@pytest.mark.parametrize(
    "answer",
    [
        None,
        "approve",
        {},
        [],
        {"decisions": []},
        {"decisions": [{"type": "approve"}, {"type": "approve"}]},
        [{"type": "accept"}, {"type": "accept"}],
        {"decisions": [{"type": "maybe"}]},
        {"decisions": [{"type": "respond"}]},
        {"decisions": [{"type": "edit"}]},
        {"decisions": [{"type": "edit", "edited_action": {"args": 4}}]},
        {"decisions": [{"type": "edit", "edited_action": {"args": "{"}}]},
        {"decisions": [{"type": "edit", "edited_action": {"args": "[" * 100_000}}]},
        [{"type": "edit", "args": None}],
        [{"type": "response", "args": {"action": "x"}}],
    ],
)
def test_anything_else_is_refused(answer: Any) -> None:
    """With a typed error."""
    with pytest.raises(InvalidInput):
        response(answer)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.sampled_from(["approve", "edit"]),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(
            st.sampled_from(["decisions", "type", "args", "edited_action", "message"]), inner
        )
    ),
)


@given(answer=JSON)
def test_no_answer_breaks_it(answer: Any) -> None:
    """Whatever JSON comes, it is a decision or an InvalidInput."""
    with contextlib.suppress(InvalidInput):
        assert response(answer).choice
