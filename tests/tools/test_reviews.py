"""Who may decide what, once; and what becomes of the call."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

import pytest
from psycopg import sql

from core.errors import (
    ApprovalChanged,
    ApprovalClaimed,
    ApprovalDecided,
    ApprovalExpired,
    ApprovalNotFound,
    InvalidInput,
    NotPermitted,
    RunEnded,
)
from db import threads
from db.pool import Database
from tests.tools.calls import ANN, ARGUMENTS, REVIEWERS, RITA, ROB, TAINT, TENANT, Desk
from tools import approvals, ledger
from tools.policy import Policy, PolicyFile
from tools.reviews import MOST_REASON, Decision
from tools.tool import Caller

APPROVE = Decision("approve")


@pytest.fixture
def desk(database: Database) -> Desk:
    """A tool that counts, and somebody who decides about its calls."""
    return Desk(database)


async def rows(desk: Desk, statement: str, tenant: str = TENANT) -> list[Any]:
    """Return what a tenant's tables hold."""
    async with desk.database.transaction(tenant) as conn:
        return await (await conn.execute(sql.SQL(statement))).fetchall()


async def test_what_is_approved_runs_once(desk: Desk) -> None:
    """One consent, one effect, however often the run is woken; the run is queued at once."""
    asked = await desk.ask()
    decided = await desk.reviews.decide(asked.approval_id, APPROVE, RITA)
    assert (decided.status, decided.decided_by) == ("approved", RITA.user_id)
    assert await rows(desk, "select status, resumes from runs") == [("queued", 1)]
    for _ in range(3):
        assert (await desk.act(asked)).status == "done"
    assert desk.done == [("A-1", 500)]


async def test_row_6_a_decision_after_expiry(desk: Desk) -> None:
    """Fault row 6: too late by the clock of the database is ApprovalExpired; nothing runs."""
    asked = await desk.ask()
    await desk.pass_by(asked, "expires_at")
    with pytest.raises(ApprovalExpired):
        await desk.reviews.decide(asked.approval_id, APPROVE, RITA)
    async with desk.database.transaction(TENANT) as conn:
        with pytest.raises(ApprovalExpired):
            await approvals.claim(conn, asked.approval_id, RITA.user_id)
    await desk.reviews.expire(TENANT, asked.approval_id)
    with pytest.raises(ApprovalExpired):
        await desk.reviews.decide(asked.approval_id, APPROVE, RITA)
    assert (await desk.act(asked)).status == "expired"
    assert desk.done == []


async def test_row_6_arguments_changed(desk: Desk) -> None:
    """Fault row 6: a decision about other arguments than stand there is ApprovalChanged."""
    asked = await desk.ask(quorum=2)
    edit = Decision("edit", digest=asked.digest, arguments={**ARGUMENTS, "cents": 100})
    await desk.reviews.decide(asked.approval_id, edit, RITA)
    with pytest.raises(ApprovalChanged):
        await desk.reviews.decide(asked.approval_id, Decision("approve", asked.digest), ROB)
    assert (await desk.act(asked)).status == "proposed"
    assert desk.done == []


async def test_row_6_another_tenant(desk: Desk) -> None:
    """Fault row 6: of another tenant's approvals there are none; nothing runs."""
    asked = await desk.ask()
    stranger = Caller("other", "rita", roles=frozenset({"reviewer"}))
    for approval_id in (asked.approval_id, uuid4()):
        with pytest.raises(ApprovalNotFound):
            await desk.reviews.decide(approval_id, APPROVE, stranger)
    await desk.reviews.expire("other", asked.approval_id)
    assert (await desk.approval(asked.approval_id)).status == "pending"
    assert (await desk.act(asked)).status == "proposed"
    assert desk.done == []


async def test_eight_at_once_and_four_resumes(desk: Desk) -> None:
    """One of eight wins, seven are told who; four runs that wake at once have one effect.

    They hold the same lease here, which no two of them ever do: the key is what is left.
    """
    asked = await desk.ask()
    choices = [APPROVE, Decision("reject", reason="No."), Decision("answer", answer="Wait.")]
    found = await asyncio.gather(
        *(
            desk.reviews.decide(asked.approval_id, choices[number % 3], reviewer)
            for number, reviewer in enumerate(REVIEWERS)
        ),
        return_exceptions=True,
    )
    [won] = [one for one in found if not isinstance(one, BaseException)]
    late = [one for one in found if isinstance(one, ApprovalDecided)]
    assert len(late) == 7
    for one in late:
        assert one.approval is not None
        assert (one.approval["decided_by"], one.approval["status"]) == (won.decided_by, won.status)
        assert won.decided_by is not None
        assert won.decided_by in one.message
    assert await rows(desk, "select resumes from runs") == [(1,)]
    await asyncio.gather(*(desk.act(asked) for _ in range(4)))
    assert len(desk.done) <= (won.status == "approved")


async def test_a_quorum_counts_people(desk: Desk) -> None:
    """Of two that have to agree, the same one twice is one."""
    asked = await desk.ask(quorum=2)
    for _ in range(2):
        seen = await desk.reviews.decide(asked.approval_id, APPROVE, RITA)
        assert (seen.status, seen.votes) == ("pending", 1)
    assert (await desk.act(asked)).status == "proposed"
    assert (await desk.reviews.decide(asked.approval_id, APPROVE, ROB)).status == "approved"
    assert (await desk.act(asked)).status == "done"


async def test_one_of_a_quorum_can_reject(desk: Desk) -> None:
    """Consent takes two, a refusal one."""
    asked = await desk.ask(quorum=2)
    await desk.reviews.decide(asked.approval_id, APPROVE, RITA)
    rejected = await desk.reviews.decide(asked.approval_id, Decision("reject", reason="No."), ROB)
    assert rejected.status == "rejected"
    call = await desk.act(asked)
    assert (call.status, call.code) == ("rejected", "rejected")
    assert "No." in (call.result or "")


async def test_an_edit_resets_the_votes(desk: Desk) -> None:
    """Who agreed to the old arguments has not agreed to the new ones; what runs are the new."""
    asked = await desk.ask(quorum=2)
    await desk.reviews.decide(asked.approval_id, APPROVE, RITA)
    edit = Decision("edit", arguments={**ARGUMENTS, "cents": 100})
    edited = await desk.reviews.decide(asked.approval_id, edit, ROB)
    assert (edited.status, edited.votes, edited.arguments["cents"]) == ("pending", 1, 100)
    assert edited.proposed == ARGUMENTS
    async with desk.database.transaction(TENANT) as conn:
        voted = await approvals.voted(conn, asked.approval_id)
    assert [(vote.reviewer, vote.counts) for vote in voted] == [
        (RITA.user_id, False),
        (ROB.user_id, True),
    ]
    agreed = await desk.reviews.decide(asked.approval_id, Decision("approve", edited.digest), RITA)
    assert agreed.status == "approved"
    await desk.act(asked)
    assert desk.done == [("A-1", 100)]


async def test_an_edit_may_need_more_people(database: Database) -> None:
    """Where the policy wants two people for the new arguments, their author alone is not enough."""
    desk = Desk(database, POLICY)
    asked = await desk.ask()
    edit = Decision("edit", arguments={**ARGUMENTS, "cents": 60_000})
    edited = await desk.reviews.decide(asked.approval_id, edit, RITA)
    assert (edited.status, edited.quorum, edited.rule) == ("pending", 2, "It is much.")
    assert (await desk.act(asked)).status == "proposed"
    back = Decision("edit", arguments=ARGUMENTS)
    assert (await desk.reviews.decide(asked.approval_id, back, RITA)).quorum == 2


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"order": "A-1"}, "'cents' is a required property"),
        ({**ARGUMENTS, "cents": "all"}, "not of type 'integer'"),
        ({**ARGUMENTS, "cents": 666}, "denied: Never."),
        ({**ARGUMENTS, "order": "\x00"}, "NUL"),
        ({**ARGUMENTS, "order": "\ud800"}, "half of a character"),
        ({**ARGUMENTS, "\x00": 1}, "NUL"),
        ({**ARGUMENTS, "x": float("nan")}, "not JSON"),
        ({**ARGUMENTS, "order": "x" * 70_000}, "longer than"),
    ],
)
async def test_an_edit_is_checked_as_the_model_is(
    database: Database, arguments: dict[str, Any], told: str
) -> None:
    """What does not fit, is forbidden or cannot be stored is refused; nothing has changed."""
    desk = Desk(database, POLICY)
    asked = await desk.ask()
    edit = Decision("edit", arguments=arguments)
    with pytest.raises(InvalidInput, match=told):
        await desk.reviews.decide(asked.approval_id, edit, RITA)
    assert await desk.approval(asked.approval_id) == asked


async def test_deep_arguments_are_refused(desk: Desk) -> None:
    """However deep an edit is nested, it is an InvalidInput."""
    asked = await desk.ask()
    for depth in (65, 900, 50_000):
        deep: Any = 1
        for _ in range(depth):
            deep = [deep]
        edit = Decision("edit", arguments={**ARGUMENTS, "deep": deep})
        with pytest.raises(InvalidInput):
            await desk.reviews.decide(asked.approval_id, edit, RITA)
        while isinstance(deep, list):  # taken apart by hand: freeing it at once recurses
            deep = deep[0]


async def test_whoever_asked_cannot_decide(desk: Desk) -> None:
    """Not even as a reviewer."""
    asked = await desk.ask(user_id=RITA.user_id)
    with pytest.raises(NotPermitted, match="asked"):
        await desk.reviews.decide(asked.approval_id, APPROVE, RITA)
    assert (await desk.reviews.decide(asked.approval_id, APPROVE, ROB)).status == "approved"


async def test_only_reviewers_decide(desk: Desk) -> None:
    """A user, an engineer and an admin are no reviewers."""
    asked = await desk.ask()
    for role in ("user", "engineer", "admin"):
        other = Caller(TENANT, "eve", roles=frozenset({role}))
        with pytest.raises(NotPermitted):
            await desk.reviews.decide(asked.approval_id, APPROVE, other)
    with pytest.raises(NotPermitted):
        await desk.reviews.decide(asked.approval_id, APPROVE, ANN)


async def test_a_claim_keeps_others_away(desk: Desk) -> None:
    """While it lasts; then anybody may decide."""
    asked = await desk.ask()
    async with desk.database.transaction(TENANT) as conn:
        await approvals.claim(conn, asked.approval_id, RITA.user_id)
    with pytest.raises(ApprovalClaimed, match=RITA.user_id):
        await desk.reviews.decide(asked.approval_id, APPROVE, ROB)
    await desk.pass_by(asked, "claimed_until")
    assert (await desk.reviews.decide(asked.approval_id, APPROVE, ROB)).status == "approved"


async def test_an_answer_stands_for_the_result(desk: Desk) -> None:
    """The call does not run, and the model is told what the person wrote."""
    asked = await desk.ask()
    answer = Decision("answer", answer="Ask for a photo\x00 first.")
    await desk.reviews.decide(asked.approval_id, answer, RITA)
    call = await desk.act(asked)
    assert (call.status, call.result) == ("answered", "Ask for a photo\ufffd first.")
    assert desk.done == []


@pytest.mark.parametrize(
    "decision",
    [
        Decision("edit"),
        Decision("approve", arguments={}),
        Decision("answer"),
        Decision("answer", answer="  "),
        Decision("approve", answer="yes"),
        Decision("reject", reason="x" * (MOST_REASON + 1)),
        Decision("answer", answer="x" * (MOST_REASON + 1)),
    ],
)
async def test_a_decision_says_what_its_choice_needs(desk: Desk, decision: Decision) -> None:
    """What is missing or too much is refused before anything is looked at."""
    with pytest.raises(InvalidInput):
        await desk.reviews.decide(uuid4(), decision, RITA)


async def test_expiry_has_its_outcome(desk: Desk) -> None:
    """Nobody decided: the model is told, the run goes on, and the log says who it was: nobody."""
    asked = await desk.ask()
    await desk.reviews.expire(TENANT, asked.approval_id)
    assert (await desk.approval(asked.approval_id)).status == "pending"
    await desk.pass_by(asked, "expires_at")
    for _ in range(2):
        await desk.reviews.expire(TENANT, asked.approval_id)
    ended = await desk.approval(asked.approval_id)
    assert (ended.status, ended.decided_by) == ("expired", None)
    call = await desk.call(asked.call_id)
    assert (call.status, call.code) == ("expired", "approval_expired")
    assert "Nobody decided" in (call.result or "")
    assert await rows(desk, "select status from runs") == [("queued",)]
    log = await rows(desk, "select kind, actor from audit_log order by seq")
    assert log == [("approval.requested", "ann"), ("approval.expired", "system")]


async def test_escalation_is_told_once(desk: Desk) -> None:
    """After its time somebody else is told, once; it still can be decided."""
    asked = await desk.ask(escalate_seconds=60)
    await desk.pass_by(asked, "escalates_at")
    async with desk.database.connection() as conn:
        assert await approvals.due(conn) == [(TENANT, asked.approval_id)]
    for _ in range(2):
        await desk.reviews.expire(TENANT, asked.approval_id)
    async with desk.database.connection() as conn:
        assert await approvals.due(conn) == []
    notices = await rows(desk, "select kind from notices order by created_at")
    assert notices == [("approval.requested",), ("approval.escalated",)]
    assert (await desk.reviews.decide(asked.approval_id, APPROVE, RITA)).status == "approved"


async def test_what_is_gone_when_it_is_due_is_no_fault(desk: Desk) -> None:
    """Its thread was deleted after somebody saw that it is due."""
    asked = await desk.ask()
    async with desk.database.transaction(TENANT) as conn:
        await threads.delete(conn, asked.thread_id)
    await desk.reviews.expire(TENANT, asked.approval_id)


async def unknown(desk: Desk) -> approvals.Approval:
    """Ask about a call of which nobody knows whether it happened."""
    asked = await desk.ask()
    await desk.reviews.decide(asked.approval_id, APPROVE, RITA)
    async with desk.database.transaction(TENANT) as conn:
        await conn.execute("update tool_calls set status = 'unknown', attempts = 1")
        await conn.execute("update runs set status = 'waiting'")
        call = await ledger.get(conn, asked.call_id)
        assert call is not None
        approval_id = await approvals.request(
            conn,
            call,
            tenant_id=TENANT,
            kind="outcome",
            requested_by="ann",
            judgement=desk.policy.about_outcome(),
            evidence={"why": "The connection broke."},
        )
        assert approval_id is not None
        return await approvals.get(conn, approval_id)


async def test_an_outcome_is_made_again_told_or_left(desk: Desk) -> None:
    """approve: it had not happened. answer: it had. reject: nobody will know. No edit."""
    again = await unknown(desk)
    edit = Decision("edit", arguments=ARGUMENTS)
    with pytest.raises(InvalidInput):
        await desk.reviews.decide(again.approval_id, edit, RITA)
    await desk.reviews.decide(again.approval_id, APPROVE, RITA)
    assert (await desk.call(again.call_id)).status == "ready"
    left = await unknown(desk)
    await desk.reviews.decide(left.approval_id, Decision("reject"), RITA)
    assert (await desk.call(left.call_id)).status == "unknown"
    told = await unknown(desk)
    await desk.reviews.decide(told.approval_id, Decision("answer", answer="It was."), RITA)
    assert (await desk.call(told.call_id)).result == "It was."


async def test_an_outcome_is_not_made_again_after_the_turn(desk: Desk) -> None:
    """Nothing would tell anybody what came of it."""
    asked = await unknown(desk)
    async with desk.database.transaction(TENANT) as conn:
        await conn.execute("update runs set status = 'cancelled'")
    with pytest.raises(RunEnded):
        await desk.reviews.decide(asked.approval_id, APPROVE, RITA)
    await desk.reviews.decide(asked.approval_id, Decision("answer", answer="It was not."), RITA)
    assert (await desk.call(asked.call_id)).status == "answered"


async def test_the_log_names_no_arguments(desk: Desk) -> None:
    """Who decided what is there, by digest; the arguments, which may be private, are not."""
    asked = await desk.ask({"order": "SECRET-77", "cents": 5}, taint=TAINT)
    await desk.reviews.decide(asked.approval_id, APPROVE, RITA)
    found = await rows(desk, "select kind, actor, details from audit_log order by seq")
    assert [kind for kind, _, _ in found] == [
        "approval.requested",
        "approval.voted",
        "approval.approved",
    ]
    assert found[0][2]["tainted"] is True
    assert {details["digest"] for _, _, details in found} == {asked.digest}
    bodies = await rows(desk, "select body from notices")
    assert "SECRET-77" not in str(found) + str(bodies)


POLICY = Policy(
    PolicyFile.model_validate(
        {
            "rules": [
                {
                    "when": {"properties": {"cents": {"const": 666}}},
                    "decide": "deny",
                    "because": "Never.",
                },
                {
                    "when": {"properties": {"cents": {"minimum": 50_000}}},
                    "decide": "approve",
                    "because": "It is much.",
                    "quorum": 2,
                },
                {"decide": "approve", "because": "It changes something."},
            ]
        }
    )
)
