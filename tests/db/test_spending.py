"""Money is counted once, held against budgets, and its limits are told once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest

from core.price import Budget, Per, Scope
from core.turn import ModelCall, Usage
from db import spending, threads
from db.pool import Database
from db.spending import By, Conn, Purse, Spent, UsageRow

DAY = Budget(usd=Decimal("1"), per="day", scope="tenant")


def call(usd: float = 0.25, *, model: str = "small", tokens: int = 100) -> ModelCall:
    """Return a question to a model."""
    return ModelCall(
        task="answer",
        model=model,
        why=[],
        tried=[],
        usage=Usage(prompt_tokens=tokens, completion_tokens=10, total_tokens=tokens + 10),
        cost_usd=usd,
        ms=1.0,
        error="",
    )


class Talk:
    """A thread whose runs end one after the other."""

    def __init__(
        self,
        database: Database,
        tenant: str = "acme",
        user: str = "ann",
        budgets: Sequence[Budget] = (),
    ) -> None:
        self.database = database
        self.tenant = tenant
        self.user = user
        self.budgets = budgets
        self.thread_id = uuid4()

    async def begin(self, status: str = "succeeded") -> UUID:
        """Make a run with this status; return its id."""
        run_id = uuid4()
        async with self.database.transaction(self.tenant) as conn:
            await conn.execute(
                "insert into threads (tenant_id, thread_id, user_id) values (%s, %s, %s)"
                " on conflict do nothing",
                [self.tenant, self.thread_id, self.user],
            )
            await conn.execute(
                """insert into runs (tenant_id, run_id, thread_id, user_id, status, input,
                                     lease_owner, lease_expires_at)
                   values (%s, %s, %s, %s, %s, '{}', 'w', now())""",
                [self.tenant, run_id, self.thread_id, self.user, status],
            )
        return run_id

    async def count(self, run_id: UUID, *calls: ModelCall, lease_token: int = 1) -> Spent:
        """Count the calls of a run."""
        statement = spending.spending(
            calls, self.budgets, tenant_id=self.tenant, run_id=run_id, lease_token=lease_token
        )
        [rows] = await self.database.once(self.tenant, statement)
        return spending.spent(rows)

    async def spend(self, *calls: ModelCall) -> Spent:
        """Count the calls of a new run."""
        return await self.count(await self.begin(), *calls)

    async def total(self, by: By = "total", user_id: str | None = None) -> list[UsageRow]:
        """Return what was spent today."""
        async with self.database.transaction(self.tenant) as conn:
            return await report(conn, by, user_id=user_id)

    async def left(self) -> Decimal | None:
        """Return what is left."""
        async with self.database.transaction(self.tenant) as conn:
            return await spending.left(
                conn,
                self.budgets,
                tenant_id=self.tenant,
                user_id=self.user,
                thread_id=self.thread_id,
            )


async def report(
    conn: Conn, by: By, *, user_id: str | None = None, since: date | None = None, limit: int = 99
) -> list[UsageRow]:
    today = datetime.now(UTC).date()
    return await spending.usage(
        conn,
        since=since or today - timedelta(days=1),
        until=today + timedelta(days=1),
        by=by,
        user_id=user_id,
        limit=limit,
    )


async def notices(database: Database, tenant: str = "acme") -> list[Any]:
    async with database.transaction(tenant) as conn:
        cursor = await conn.execute("select kind, body from notices order by created_at, body")
        return await cursor.fetchall()


async def test_each_call_is_counted_once(database: Database) -> None:
    """However often the end of a turn is sent, and also when a later attempt knows of it again."""
    talk = Talk(database)
    run_id = await talk.begin()
    assert (await talk.count(run_id, call())).numbers == [1]
    assert (await talk.count(run_id, call())).numbers == []
    assert (await talk.count(run_id, call(), call(0.5))).numbers == [2]
    assert await talk.total() == [UsageRow("", 2, 200, 20, 0.75)]


@pytest.mark.parametrize("status", ["failed", "cancelled", "waiting", "queued"])
async def test_whatever_the_end_was(database: Database, status: str) -> None:
    """A turn that failed, was cancelled or waits has spent as well."""
    talk = Talk(database)
    await talk.count(await talk.begin(status), call())
    assert await talk.total() == [UsageRow("", 1, 100, 10, 0.25)]


async def test_only_who_has_ended_the_run_counts(database: Database) -> None:
    """A process that has lost its run counts nothing, nor does one whose run goes on."""
    talk = Talk(database)
    assert (await talk.count(await talk.begin("running"), call())).numbers == []
    assert (await talk.count(await talk.begin(), call(), lease_token=2)).numbers == []
    assert await talk.total() == []


async def test_a_call_that_was_not_counted_by_its_server(database: Database) -> None:
    """It is a call without tokens."""
    talk = Talk(database)
    broken = call()
    broken["usage"] = None
    await talk.spend(broken)
    assert await talk.total() == [UsageRow("", 1, 0, 0, 0.25)]


async def test_money_is_exact(database: Database) -> None:
    """Sums of small amounts are what they are on paper."""
    talk = Talk(database, budgets=[DAY])
    for _ in range(3):
        await talk.spend(call(0.1))
    assert await talk.left() == Decimal("0.7")


async def test_spending_outlives_its_conversation(database: Database) -> None:
    """Deleting a thread does not bring the money back."""
    talk = Talk(database, budgets=[DAY])
    await talk.spend(call())
    async with database.transaction("acme") as conn:
        await threads.delete(conn, talk.thread_id)
    assert await talk.total() == [UsageRow("", 1, 100, 10, 0.25)]
    assert await talk.left() == Decimal("0.75")


async def test_reports(database: Database) -> None:
    """By day in order, by user and by model the most expensive first; of the tenant alone."""
    ann, ben = Talk(database), Talk(database, user="ben")
    await ann.spend(call(0.1), call(0.2, model="big", tokens=1000))
    await ben.spend(call(0.5))
    await Talk(database, tenant="other").spend(call(7))
    async with database.transaction("acme") as conn:
        await conn.execute(
            "update spending set day = day - 1 where user_id = 'ben'"  # yesterday's
        )
        today = datetime.now(UTC).date()
        assert [(row.key, row.calls) for row in await report(conn, "day")] == [
            (str(today - timedelta(days=1)), 1),
            (str(today), 2),
        ]
        assert await report(conn, "user") == [
            UsageRow("ben", 1, 100, 10, 0.5),
            UsageRow("ann", 2, 1100, 20, 0.3),
        ]
        assert [row.key for row in await report(conn, "model")] == ["small", "big"]
        assert await report(conn, "model", user_id="ann") == [
            UsageRow("big", 1, 1000, 10, 0.2),
            UsageRow("small", 1, 100, 10, 0.1),
        ]
        assert [row.key for row in await report(conn, "user", limit=1)] == ["ben"]
        assert [row.key for row in await report(conn, "user", since=today)] == ["ann"]
        assert await report(conn, "total", user_id="nobody") == []


async def test_shares_of_a_budget_are_told_once(database: Database) -> None:
    """At 50, 80 and 100 percent, as a notice in the same transaction; then never again."""
    talk = Talk(database, budgets=[DAY])
    told = [(await talk.spend(call(usd))).reached for usd in (0.4, 0.2, 0.1, 0.2, 0.2, 5)]
    assert [[share["percent"] for share in shares] for shares in told] == [
        *([], [50], [], [80], [100], [])
    ]
    starts = str(datetime.now(UTC).date())
    assert told[1] == [
        {
            "percent": 50,
            "scope": "tenant",
            "user_id": None,
            "thread_id": None,
            "per": "day",
            "starts": starts,
            "spent_usd": 0.6,
            "limit_usd": 1,
        }
    ]
    assert [kind for kind, _ in await notices(database)] == ["budget.reached"] * 3
    assert [body["percent"] for _, body in await notices(database)] == [50, 80, 100]
    assert await talk.left() == Decimal("-5.1")


async def test_one_turn_may_reach_several_shares(database: Database) -> None:
    """Each is told."""
    talk = Talk(database, budgets=[DAY])
    assert [share["percent"] for share in (await talk.spend(call(3))).reached] == [50, 80, 100]


async def test_the_end_that_is_sent_again_tells_nothing_again(database: Database) -> None:
    """Neither the sum nor a notice comes twice."""
    talk = Talk(database, budgets=[DAY])
    run_id = await talk.begin()
    assert len((await talk.count(run_id, call(0.6))).reached) == 1
    assert (await talk.count(run_id, call(0.6))).reached == []
    assert await talk.left() == Decimal("0.4")


async def test_users_and_threads_have_their_own(database: Database) -> None:
    """The tightest budget decides; another user's spending counts for the tenant alone."""
    budgets = [
        Budget(usd=Decimal(10), per="month", scope="tenant"),
        Budget(usd=Decimal(2), per="day", scope="user"),
        Budget(usd=Decimal(1), per="day", scope="thread"),
    ]
    ann, ben = (Talk(database, user=user, budgets=budgets) for user in ("ann", "ben"))
    again = Talk(database, user="ann", budgets=budgets)
    shares = (await ann.spend(call(0.9))).reached
    assert [(share["scope"], share["thread_id"]) for share in shares] == [
        ("thread", str(ann.thread_id)),
        ("thread", str(ann.thread_id)),
    ]
    assert await ann.left() == Decimal("0.1")
    assert await again.left() == Decimal(1)
    shares = (await again.spend(call(0.3))).reached
    assert [(share["scope"], share["user_id"]) for share in shares] == [("user", "ann")]
    await ben.spend(call(8.5))
    assert await again.left() == Decimal("0.3")
    assert await ben.left() == Decimal("-7.5")


async def test_tenants_do_not_share(database: Database) -> None:
    """A budget for all tenants is one for each of them."""
    acme, other = (Talk(database, tenant=tenant, budgets=[DAY]) for tenant in ("acme", "other"))
    await acme.spend(call(0.9))
    assert await other.left() == Decimal(1)
    assert await notices(database, "other") == []


async def test_free_models_use_nothing_up(database: Database) -> None:
    """They are counted, and no budget is touched."""
    talk = Talk(database, budgets=[DAY])
    assert (await talk.spend(call(0))).numbers == [1]
    async with database.transaction("acme") as conn:
        cursor = await conn.execute("select count(*) from budget_periods")
        assert await cursor.fetchone() == (0,)
    assert await talk.left() == Decimal(1)


@pytest.mark.parametrize("scope", ["tenant", "user", "thread"])
async def test_a_new_budget_begins_with_what_was_spent(database: Database, scope: Scope) -> None:
    """Set in the middle of a period, it holds at once, and its first turn tells where it stands."""
    talk = Talk(database)
    await talk.spend(call(0.7))
    talk.budgets = [Budget(usd=Decimal(1), per="day", scope=scope)]
    assert await talk.left() == Decimal("0.3")
    assert [share["percent"] for share in (await talk.spend(call(0.2))).reached] == [50, 80]
    assert await talk.left() == Decimal("0.1")


@pytest.mark.parametrize(("per", "rest"), [("day", "0.9"), ("month", "0.9")])
async def test_a_period_ends(database: Database, per: Per, rest: str) -> None:
    """What was spent before its first day does not count, whether a budget knew of it or not."""
    talk = Talk(database, budgets=[Budget(usd=Decimal(1), per=per, scope="tenant")])
    await talk.spend(call(0.95))
    async with database.transaction("acme") as conn:
        await conn.execute("update spending set day = day - 32")
        await conn.execute("update budget_periods set starts = starts - 32")
    assert [share["percent"] for share in (await talk.spend(call(0.1))).reached] == []
    assert await talk.left() == Decimal(rest)


async def test_a_changed_limit_holds_from_the_next_turn(database: Database) -> None:
    """Lowered, what is reached already is told; raised, nothing is told twice."""
    talk = Talk(database, budgets=[DAY])
    await talk.spend(call(0.55))
    talk.budgets = [DAY.model_copy(update={"usd": Decimal("0.6")})]
    assert [share["percent"] for share in (await talk.spend(call(0.01))).reached] == [80]
    talk.budgets = [DAY.model_copy(update={"usd": Decimal(10)})]
    assert [share["percent"] for share in (await talk.spend(call(5))).reached] == []
    assert [share["percent"] for share in (await talk.spend(call(5))).reached] == [100]


async def test_turns_that_end_at_once_are_all_counted(database: Database) -> None:
    """Each share is told by exactly one of them."""
    budgets = [
        Budget(usd=Decimal(4), per=per, scope=scope)
        for scope, per in (("tenant", "month"), ("user", "day"), ("tenant", "day"))
    ]
    talks = [Talk(database, budgets=budgets) for _ in range(16)]
    runs = [await talk.begin() for talk in talks]
    counted = await asyncio.gather(
        *(talk.count(run_id, call(0.25)) for talk, run_id in zip(talks, runs, strict=True))
    )
    assert await talks[0].left() == 0
    told = [
        (share["scope"], share["per"], share["percent"]) for c in counted for share in c.reached
    ]
    assert len(told) == len(set(told)) == 9


async def test_the_same_conversation_is_not_asked_about_twice(database: Database) -> None:
    """For a few seconds what was left is left; others are asked about."""
    talk, now = Talk(database, budgets=[DAY]), 100.0
    purse = Purse(database, [DAY], seconds=3, clock=lambda: now)

    async def rest(thread_id: UUID = talk.thread_id) -> Decimal | None:
        return await purse.left(tenant_id="acme", user_id="ann", thread_id=thread_id)

    assert await rest() == Decimal(1)
    await talk.spend(call(0.25))
    assert [await rest(), await rest(uuid4())] == [Decimal(1), Decimal("0.75")]
    now = 103.0
    assert await rest() == Decimal("0.75")


async def test_without_a_budget_nothing_is_asked() -> None:
    """What is left is not known, and the database is left alone."""
    closed: Any = None
    purse = Purse(closed, [DAY.model_copy(update={"tenant": "other"})])
    assert await purse.left(tenant_id="acme", user_id="ann", thread_id=uuid4()) is None
