"""Reviewers decide over HTTP: listed, looked at, claimed, decided once."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from tests.api.reviewing import as_, decide, error_of
from tests.api.test_fuzz import is_typed
from tests.tools.calls import ARGUMENTS, REVIEWERS, TAINT, TENANT, Desk
from tools.approvals import Approval

UNKNOWN = "01937b6e-3c1a-7c4e-9a55-0a4b8a4d2f10"


async def test_from_the_question_to_the_effect(desk: Desk, http: httpx.AsyncClient) -> None:
    """Listed, looked at, claimed, approved; the call runs once, and everything is on record."""
    asked = await desk.ask(taint=TAINT)
    found = (await http.get("/v1/approvals")).json()
    [listed] = found["approvals"]
    assert listed["approval_id"] == str(asked.approval_id)
    assert (listed["tool"], listed["arguments"]) == ("refund_order", ARGUMENTS)
    assert listed["taint"] == TAINT
    assert "evidence" not in listed
    assert found["counts"]["pending"] == 1
    assert found["next"] is None
    path = f"/v1/approvals/{asked.approval_id}"
    claimed = (await http.post(f"{path}/claim")).json()
    assert claimed["claimed_by"] == "reviewer0"
    seen = (await http.get(path)).json()
    assert seen["evidence"] == {"will_happen": "It runs once."}
    assert (seen["call"]["status"], seen["call"]["attempts"]) == ("proposed", 0)
    approved = await decide(http, asked, {"decision": "approve", "digest": seen["digest"]})
    assert approved.status_code == 200
    assert (approved.json()["status"], approved.json()["decided_by"]) == ("approved", "reviewer0")
    await desk.act(asked)
    assert desk.done == [("A-1", 500)]
    seen = (await http.get(path)).json()
    assert (seen["call"]["status"], seen["call"]["result"]) == ("done", "Refunded 500.")
    assert [entry["kind"] for entry in seen["log"]] == [
        "approval.requested",
        "approval.claimed",
        "approval.voted",
        "approval.approved",
        "action.started",
        "action.done",
    ]
    assert seen["voted"][0]["reviewer"] == "reviewer0"
    assert seen["voted"][0]["counts"] is True


async def test_row_6_after_expiry(desk: Desk, http: httpx.AsyncClient) -> None:
    """Fault row 6: 410, before and after somebody noticed; nothing is executed."""
    asked = await desk.ask()
    await desk.pass_by(asked, "expires_at")
    path = f"/v1/approvals/{asked.approval_id}"
    assert (await http.get(path)).json()["overdue"] is True
    assert error_of(await decide(http, asked, {"decision": "approve"})) == (410, "approval_expired")
    assert error_of(await http.post(f"{path}/claim")) == (410, "approval_expired")
    await desk.reviews.expire(TENANT, asked.approval_id)
    assert error_of(await decide(http, asked, {"decision": "approve"})) == (410, "approval_expired")
    await desk.act(asked)
    assert desk.done == []


async def test_row_6_arguments_changed(desk: Desk, http: httpx.AsyncClient) -> None:
    """Fault row 6: consent to what does not stand there any more is 409; nothing is executed."""
    asked = await desk.ask(quorum=2)
    edit = {"decision": "edit", "arguments": {**ARGUMENTS, "cents": 1}}
    assert (await decide(http, asked, edit)).json()["status"] == "pending"
    late = await decide(http, asked, {"decision": "approve", "digest": asked.digest}, "reviewer1")
    assert error_of(late) == (409, "approval_changed")
    await desk.act(asked)
    assert desk.done == []


async def test_row_6_another_users_or_tenants(desk: Desk, http: httpx.AsyncClient) -> None:
    """Fault row 6: of what is another's there is nothing, 404; nothing is executed."""
    asked = await desk.ask()
    path = f"/v1/approvals/{asked.approval_id}"
    for answer in (
        await decide(http, asked, {"decision": "approve"}, "olga"),
        await http.get(path, headers=as_("olga")),
        await http.post(f"{path}/claim", headers=as_("olga")),
        await http.post(f"{path}/release", headers=as_("olga")),
    ):
        assert error_of(answer) == (404, "approval_not_found")
    assert (await http.get("/v1/approvals", headers=as_("olga"))).json()["approvals"] == []
    thread = f"/v1/threads/{asked.thread_id}/approvals"
    for user in ("eve", "reviewer0", "olga"):
        assert error_of(await http.get(thread, headers=as_(user))) == (404, "thread_not_found")
    await desk.act(asked)
    assert desk.done == []
    assert (await desk.approval(asked.approval_id)).status == "pending"


@pytest.mark.parametrize("unknown", ["x", "%00", "01937B6E3C1A7C4E9A550A4B8A4D2F10", UNKNOWN])
async def test_what_is_no_id_names_nothing(http: httpx.AsyncClient, unknown: str) -> None:
    """It is 404 on every route."""
    path = f"/v1/approvals/{unknown}"
    for answer in (
        await http.get(path),
        await http.post(f"{path}/claim"),
        await http.post(f"{path}/release"),
        await http.post(f"{path}/decision", json={"decision": "approve"}),
    ):
        assert error_of(answer) == (404, "approval_not_found")


async def test_only_reviewers_are_served(desk: Desk, http: httpx.AsyncClient) -> None:
    """A user, an engineer and an admin get 403 on every route, and change nothing."""
    asked = await desk.ask()
    path = f"/v1/approvals/{asked.approval_id}"
    for user in ("ann", "eve"):
        for answer in (
            await http.get("/v1/approvals", headers=as_(user)),
            await http.get(path, headers=as_(user)),
            await http.post(f"{path}/claim", headers=as_(user)),
            await http.post(f"{path}/release", headers=as_(user)),
            await decide(http, asked, {"decision": "approve"}, user),
        ):
            assert error_of(answer) == (403, "not_permitted")
    assert await desk.approval(asked.approval_id) == asked


async def test_whoever_asked_cannot_decide(desk: Desk, http: httpx.AsyncClient) -> None:
    """A reviewer's own action is decided by another."""
    asked = await desk.ask(user_id="reviewer0")
    assert error_of(await decide(http, asked, {"decision": "approve"})) == (403, "not_permitted")
    other = await decide(http, asked, {"decision": "approve"}, "reviewer1")
    assert other.json()["status"] == "approved"


async def test_who_asked_sees_what_the_conversation_waits_for(
    desk: Desk, http: httpx.AsyncClient
) -> None:
    """Without evidence, in pages, and what was decided with its reason."""
    first = await desk.ask()
    second = await desk.ask(thread_id=first.thread_id)
    await desk.ask()
    await decide(http, first, {"decision": "reject", "reason": "Twice."})
    path = f"/v1/threads/{first.thread_id}/approvals"
    page = (await http.get(path, params={"limit": 1}, headers=as_("ann"))).json()
    rest = (await http.get(path, params={"cursor": page["next"]}, headers=as_("ann"))).json()
    found = [*page["approvals"], *rest["approvals"]]
    assert [one["approval_id"] for one in found] == [
        str(first.approval_id),
        str(second.approval_id),
    ]
    assert [(one["status"], one["reason"]) for one in found] == [
        ("rejected", "Twice."),
        ("pending", ""),
    ]
    assert not any("evidence" in one for one in found)


async def test_eight_reviewers_at_once(desk: Desk, http: httpx.AsyncClient) -> None:
    """One is 200; seven are 409 with the decision that was first."""
    asked = await desk.ask()
    bodies = [{"decision": "approve"}, {"decision": "reject", "reason": "No."}]
    answers = await asyncio.gather(
        *(
            decide(http, asked, bodies[number % 2], reviewer.user_id)
            for number, reviewer in enumerate(REVIEWERS)
        )
    )
    [won] = [answer.json() for answer in answers if answer.status_code == 200]
    late = [answer for answer in answers if answer.status_code != 200]
    assert [error_of(answer) for answer in late] == [(409, "approval_decided")] * 7
    for answer in late:
        first = answer.json()["error"]["approval"]
        assert first["decided_by"] == won["decided_by"]
        assert first["status"] == won["status"]
        assert first["reason"] == won["reason"]
    await desk.act(asked)
    assert len(desk.done) == (won["status"] == "approved")


async def test_a_quorum_is_awaited(desk: Desk, http: httpx.AsyncClient) -> None:
    """The answer is the approval as it stands: pending, with the votes, then approved."""
    asked = await desk.ask(quorum=2)
    for _ in range(2):
        first = (await decide(http, asked, {"decision": "approve"})).json()
        assert (first["status"], first["votes"], first["quorum"]) == ("pending", 1, 2)
    second = (await decide(http, asked, {"decision": "approve"}, "reviewer1")).json()
    assert (second["status"], second["votes"]) == ("approved", 2)


async def test_claims(desk: Desk, http: httpx.AsyncClient) -> None:
    """A claim keeps others away until it is given back or over, and is not shown afterwards."""
    asked = await desk.ask()
    path = f"/v1/approvals/{asked.approval_id}"
    assert (await http.post(f"{path}/claim")).status_code == 200
    for answer in (
        await http.post(f"{path}/claim", headers=as_("reviewer1")),
        await http.post(f"{path}/release", headers=as_("reviewer1")),
        await decide(http, asked, {"decision": "approve"}, "reviewer1"),
    ):
        assert error_of(answer) == (409, "approval_claimed")
        assert "reviewer0" in answer.json()["error"]["message"]
    mine = (await http.get("/v1/approvals", params={"mine": True})).json()
    assert (len(mine["approvals"]), mine["counts"]["claimed"]) == (1, 1)
    assert (await http.post(f"{path}/release")).json()["claimed_by"] is None
    await http.post(f"{path}/claim")
    await desk.pass_by(asked, "claimed_until")
    assert (await http.get(path)).json()["claimed_by"] is None
    taken = await decide(http, asked, {"decision": "reject"}, "reviewer1")
    assert taken.json()["status"] == "rejected"
    late = await http.post(f"{path}/claim")
    assert error_of(late) == (409, "approval_decided")
    assert late.json()["error"]["approval"]["decided_by"] == "reviewer1"


async def test_lists_are_filtered(desk: Desk, http: httpx.AsyncClient) -> None:
    """By state, kind, tool, thread, escalation and taint; the counts are of all."""
    plain = await desk.ask()
    tainted = await desk.ask(taint=TAINT)
    late = await desk.ask(escalate_seconds=1)
    await desk.pass_by(late, "escalated_at")
    done = await desk.ask()
    await decide(http, done, {"decision": "reject"})

    async def ids(**params: Any) -> list[str]:
        found = (await http.get("/v1/approvals", params=params)).json()
        assert found["counts"]["pending"] == 3
        assert found["counts"]["escalated"] == 1
        assert found["counts"]["last_day"] == {"pending": 3, "rejected": 1}
        return [one["approval_id"] for one in found["approvals"]]

    def of(*asked: Approval) -> list[str]:
        return [str(one.approval_id) for one in asked]

    assert await ids() == of(plain, tainted, late)
    assert await ids(status="all") == of(plain, tainted, late, done)
    assert await ids(status="rejected") == of(done)
    assert await ids(status="all", kind="outcome") == []
    assert await ids(tool="refund_order") == of(plain, tainted, late)
    assert await ids(tool="other") == []
    assert await ids(thread_id=str(plain.thread_id)) == of(plain)
    assert await ids(escalated=True) == of(late)
    assert await ids(tainted=True) == of(tainted)
    assert await ids(mine=True) == []


async def test_pages_are_complete(desk: Desk, http: httpx.AsyncClient) -> None:
    """Page by page everything comes once, what waits longest first."""
    made = [str((await desk.ask()).approval_id) for _ in range(7)]
    found: list[str] = []
    params: dict[str, Any] = {"limit": 3}
    while True:
        page = (await http.get("/v1/approvals", params=params)).json()
        found += [one["approval_id"] for one in page["approvals"]]
        if page["next"] is None:
            break
        params["cursor"] = page["next"]
    assert found == made


@pytest.mark.parametrize(
    "params",
    [
        {"status": "open"},
        {"kind": "thing"},
        {"tool": "\x00"},
        {"tool": "x" * 201},
        {"thread_id": "x"},
        {"mine": "perhaps"},
        {"limit": 0},
        {"limit": 1001},
        {"cursor": "%%%"},
        {"cursor": "AAA="},
    ],
    ids=str,
)
async def test_a_list_that_cannot_be_meant(http: httpx.AsyncClient, params: dict[str, Any]) -> None:
    """Is a 422 that names the parameter."""
    answer = await http.get("/v1/approvals", params=params)
    assert answer.status_code == 422, answer.text
    is_typed(answer)
