"""Questions to the reviewers: claimed for a while, listed, counted, told to the outside."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from core.errors import ApprovalClaimed, ApprovalDecided, ApprovalNotFound
from db.pool import Database
from tests.tools.calls import RITA, ROB, TAINT, TENANT, Desk
from tools import approvals
from tools.approvals import Approval, Wanted
from tools.reviews import Decision


@pytest.fixture
def desk(database: Database) -> Desk:
    """A tool that counts, and somebody who decides about its calls."""
    return Desk(database)


async def claim(desk: Desk, asked: Approval, who: str, seconds: float = 300) -> Approval:
    """Claim an approval in a transaction of its own."""
    async with desk.database.transaction(TENANT) as conn:
        return await approvals.claim(conn, asked.approval_id, who, seconds=seconds)


async def release(desk: Desk, asked: Approval, who: str) -> Approval:
    """Release an approval in a transaction of its own."""
    async with desk.database.transaction(TENANT) as conn:
        return await approvals.release(conn, asked.approval_id, who)


async def listed(desk: Desk, wanted: Wanted, tenant: str = TENANT) -> list[Approval]:
    """Return what is listed."""
    async with desk.database.transaction(tenant) as conn:
        return await approvals.page(conn, wanted, limit=200)


async def test_a_claim_is_one_persons(desk: Desk) -> None:
    """Of eight that claim at once one has it; the others are told who."""
    asked = await desk.ask()
    found = await asyncio.gather(
        *(claim(desk, asked, f"r{number}") for number in range(8)), return_exceptions=True
    )
    [won] = [one for one in found if isinstance(one, Approval)]
    late = [one for one in found if isinstance(one, ApprovalClaimed)]
    assert len(late) == 7
    assert {one.message for one in late} == {f"{won.claimed_by} is looking at this."}


async def test_a_claim_is_prolonged_by_whoever_has_it(desk: Desk) -> None:
    """Claimed again, it lasts longer."""
    asked = await desk.ask()
    first = await claim(desk, asked, "rita", seconds=60)
    again = await claim(desk, asked, "rita", seconds=600)
    assert first.claimed_until is not None
    assert again.claimed_until is not None
    assert again.claimed_until > first.claimed_until


async def test_a_claim_ends_by_the_clock_of_the_database(desk: Desk) -> None:
    """When its time is over another reviewer gets it, and it does not count as claimed."""
    asked = await desk.ask()
    await claim(desk, asked, "rita")
    await desk.pass_by(asked, "claimed_until")
    assert not (await desk.approval(asked.approval_id)).claimed
    assert await listed(desk, Wanted(claimed_by="rita")) == []
    assert (await claim(desk, asked, "rob")).claimed_by == "rob"


async def test_a_claim_can_be_given_back(desk: Desk) -> None:
    """By whoever has it, and by nobody else; without a claim nothing happens."""
    asked = await desk.ask()
    await claim(desk, asked, "rita")
    with pytest.raises(ApprovalClaimed):
        await release(desk, asked, "rob")
    assert (await release(desk, asked, "rita")).claimed_by is None
    assert (await release(desk, asked, "rob")).claimed_by is None
    assert (await claim(desk, asked, "rob")).claimed_by == "rob"


async def test_what_is_decided_cannot_be_claimed(desk: Desk) -> None:
    """Whoever claims too late is told the decision."""
    asked = await desk.ask()
    await desk.reviews.decide(asked.approval_id, Decision("reject", reason="No."), RITA)
    with pytest.raises(ApprovalDecided) as told:
        await claim(desk, asked, "rob")
    assert told.value.approval is not None
    assert told.value.approval["decided_by"] == RITA.user_id
    assert told.value.approval["reason"] == "No."


async def test_a_call_is_asked_about_once(desk: Desk) -> None:
    """While a question is open, the same one again is not asked."""
    asked = await desk.ask()
    call = await desk.call(asked.call_id)
    async with desk.database.transaction(TENANT) as conn:
        judgement = desk.policy.about_outcome()
        again = await approvals.request(
            conn,
            call,
            tenant_id=TENANT,
            kind="action",
            requested_by="ann",
            judgement=judgement,
            evidence={},
        )
        assert again is None
        assert await approvals.about(conn, call.call_id) == asked


async def test_lists_are_filtered(desk: Desk) -> None:
    """By state, kind, tool, thread, claim, escalation and taint; never another tenant's."""
    plain = await desk.ask()
    tainted = await desk.ask(taint=TAINT)
    late = await desk.ask(escalate_seconds=1)
    await desk.pass_by(late, "escalated_at")
    mine = await desk.ask(thread_id=plain.thread_id)
    await claim(desk, mine, "rita")
    done = await desk.ask()
    await desk.reviews.decide(done.approval_id, Decision("approve"), ROB)
    await desk.ask(tenant_id="other")

    async def ids(wanted: Wanted) -> list[Approval]:
        return [
            one
            for one in (plain, tainted, late, mine, done)
            if one.approval_id in {found.approval_id for found in await listed(desk, wanted)}
        ]

    assert await ids(Wanted()) == [plain, tainted, late, mine]
    assert await ids(Wanted(status=None)) == [plain, tainted, late, mine, done]
    assert await ids(Wanted(status="approved")) == [done]
    assert await ids(Wanted(kind="outcome")) == []
    assert await ids(Wanted(tool="other_tool")) == []
    assert len(await ids(Wanted(tool="refund_order"))) == 4
    assert await ids(Wanted(thread_id=plain.thread_id)) == [plain, mine]
    assert await ids(Wanted(claimed_by="rita")) == [mine]
    assert await ids(Wanted(escalated=True)) == [late]
    assert await ids(Wanted(tainted=True)) == [tainted]
    assert len(await listed(desk, Wanted(), "other")) == 1
    assert {one.votes for one in await listed(desk, Wanted())} == {0}
    assert all(one.evidence == {} for one in await listed(desk, Wanted(status=None)))


async def test_pages_are_complete(desk: Desk) -> None:
    """Page by page everything comes once, what waits longest first."""
    made = [await desk.ask() for _ in range(7)]
    found: list[Approval] = []
    after = None
    async with desk.database.transaction(TENANT) as conn:
        while page := await approvals.page(conn, Wanted(), limit=3, after=after):
            found += page
            after = (page[-1].created_at, page[-1].approval_id)
    assert [one.approval_id for one in found] == [one.approval_id for one in made]
    assert found[0] == replace(made[0], evidence={}, proposed={})


async def test_counts(desk: Desk) -> None:
    """How many wait, how many of them for long or claimed, and how the others ended."""
    for _ in range(3):
        asked = await desk.ask()
    await claim(desk, asked, "rita")
    late = await desk.ask()
    await desk.pass_by(late, "escalated_at")
    done = await desk.ask()
    await desk.reviews.decide(done.approval_id, Decision("reject"), RITA)
    async with desk.database.transaction(TENANT) as conn:
        found = {one.status: one for one in await approvals.counts(conn)}
    pending = found["pending"]
    assert (pending.approvals, pending.escalated, pending.claimed) == (4, 1, 1)
    assert found["rejected"].approvals == 1


async def test_an_approval_that_is_not_there(desk: Desk) -> None:
    """Another tenant's cannot be seen, claimed or released."""
    asked = await desk.ask(tenant_id="other")
    with pytest.raises(ApprovalNotFound):
        await desk.approval(asked.approval_id)
    with pytest.raises(ApprovalNotFound):
        await claim(desk, asked, "rita")
    with pytest.raises(ApprovalNotFound):
        await release(desk, asked, "rita")
