"""What a turn spends is stored with its end, whatever that end is."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from langgraph.runtime import Runtime
from langgraph.types import interrupt
from psycopg import AsyncConnection
from psycopg.rows import TupleRow
from uuid_utils.compat import uuid7

from core.errors import DatabaseUnavailable, StreamCut
from core.price import Budget, Price
from core.telemetry import NullTracer
from core.turn import ModelCall, TurnState, Usage
from db import events, runs, turns
from db.pool import Database
from db.sql import Statement
from evals.bench.edges import ScriptedModel
from graphs import chat
from graphs.lease import Lease
from graphs.turn import Turn, TurnFactory
from nodes.context import Context, Limits
from nodes.staged import Node, staged
from tests.graphs.turns import TENANT, GatedModel, services
from tgi.catalog import Catalog, Model
from tgi.models import Models, Served

Wrap = Callable[[str, Node], Node]
SMALL = Model(endpoints=("http://127.0.0.1",), price=Price(input=50.0))
BUDGET = Budget(usd=Decimal("0.06"), per="day", scope="tenant")
CLASSIFIED = ModelCall(
    task="classify",
    model="small",
    why=[],
    tried=[],
    usage=Usage(prompt_tokens=20, completion_tokens=1, total_tokens=21),
    cost_usd=0.001,
    ms=9.0,
    error="",
)
ANSWERED = ("answer", 1200, 0.06)


def classifying(name: str, node: Node) -> Node:
    """Let `classify` ask a model as well."""

    async def ask(state: TurnState, runtime: Runtime[Context]) -> TurnState:
        update = await node(state, runtime)
        return TurnState(**{**update, "model_calls": [CLASSIFIED]})

    return staged(name, ask if name == "classify" else node)


async def turn(
    database: Database,
    model: ScriptedModel | None = None,
    *,
    wrap: Wrap = classifying,
    attempt: int = 1,
    run_id: UUID | None = None,
) -> Turn:
    """Return an attempt at a run, ready to begin; without an id at a new one."""
    models = Models(
        Catalog(models={"small": SMALL}), {"small": Served(SMALL, model or ScriptedModel())}
    )
    made = replace(services(database), models=models, budgets=(BUDGET,))
    factory = TurnFactory(made, Limits(), 60, 3, NullTracer())
    factory.graph = chat.build(wrap).compile()
    if run_id is None:
        thread_id, run_id = uuid7(), uuid7()
        async with database.transaction(TENANT) as conn:
            await conn.execute(
                "insert into threads (tenant_id, thread_id, user_id) values (%s, %s, 'ann')",
                [TENANT, thread_id],
            )
        await database.once(
            TENANT,
            runs.starting(
                tenant_id=TENANT,
                user_id="ann",
                thread_id=thread_id,
                run_id=run_id,
                message_id=uuid7(),
                text="Why?",
                state=TurnState(text="Why?"),
                worker="w",
                lease_seconds=60,
            ),
        )
    else:
        async with database.transaction(TENANT) as conn:
            cursor = await conn.execute(
                "update runs set status = 'running', attempt = %s, lease_token = %s"
                " where run_id = %s returning thread_id",
                [attempt, attempt, run_id],
            )
            row = await cursor.fetchone()
            assert row is not None
            [thread_id] = row
    lease = Lease(TENANT, "ann", thread_id, run_id, token=attempt, attempt=attempt)
    return factory.new(lease, TurnState(text="Why?", user_seq=1))


async def stored(database: Database) -> list[Any]:
    """Return (task, prompt tokens, USD) of each call that was counted."""
    async with database.transaction(TENANT) as conn:
        cursor = await conn.execute(
            "select task, prompt_tokens, usd::float from spending order by run_id, number"
        )
        return await cursor.fetchall()


async def outcome(database: Database, attempt: Turn) -> str:
    """Return how the turn log says that it ended."""
    async with database.transaction(TENANT) as conn:
        return (await turns.get(conn, attempt.lease.run_id)).outcome


def sample(attempt: Turn, name: str, **labels: str) -> float | None:
    registry = attempt._factory.services.metrics.registry
    return registry.get_sample_value(name, labels)


async def test_a_turn_counts_what_it_spent(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """In its events, its log, the table of spending, the figures and the notices."""
    attempt = await turn(database)
    with caplog.at_level(logging.WARNING, "graphs.account"):
        await attempt.run()
    assert await stored(database) == [("classify", 20, 0.001), ANSWERED]
    run_id = attempt.lease.run_id
    async with database.transaction(TENANT) as conn:
        [used] = [e.data for e in await events.read(conn, run_id, after=0) if e.type == "usage"]
        log = await turns.get(conn, run_id)
        told = await (await conn.execute("select body -> 'percent' from notices")).fetchall()
    assert (used["prompt_tokens"], used["completion_tokens"]) == (1220, 65)
    assert used["cost_usd"] == 0.061
    assert [(call["task"], call["cost_usd"]) for call in log.model_calls] == [
        ("classify", 0.001),
        ("answer", 0.06),
    ]
    assert told == [(50,), (80,), (100,)]
    assert [(r.percent, r.tenant_id) for r in caplog.records] == [  # type: ignore[attr-defined]
        (50, TENANT),
        (80, TENANT),
        (100, TENANT),
    ]
    by = {"model": "small", "task": "answer"}
    assert sample(attempt, "parley_model_tokens_total", **by, kind="prompt") == 1200
    assert sample(attempt, "parley_model_tokens_total", **by, kind="completion") == 64
    assert sample(attempt, "parley_model_cost_usd_total", **by) == 0.06
    reached = {"scope": "tenant", "per": "day", "percent": "100"}
    assert sample(attempt, "parley_budgets_reached_total", **reached) == 1


async def test_a_turn_that_asks_no_model_spends_nothing(database: Database) -> None:
    """It was cancelled before it began."""
    attempt = await turn(database)
    attempt.cancel()
    await attempt.run()
    assert await outcome(database, attempt) == "cancelled"
    assert await stored(database) == []


async def test_a_turn_that_fails_has_spent_all_the_same(database: Database) -> None:
    """Its answer broke off, so no server has counted what it took: it is estimated."""
    model = GatedModel()
    model.fail_with(StreamCut())
    attempt = await turn(database, model)
    await attempt.run()
    assert await outcome(database, attempt) == "failed"
    (classify, (task, tokens, cost)) = await stored(database)
    assert classify == ("classify", 20, 0.001)
    assert (task, cost) == ("answer", pytest.approx(tokens * 0.00005))
    assert tokens > 100


async def test_a_turn_that_is_cancelled_has_spent_all_the_same(database: Database) -> None:
    """What it asked before counts."""
    model = GatedModel()
    attempt = await turn(database, model)
    attempt.task = asyncio.create_task(attempt.run())
    await model.asked.wait()
    attempt.cancel()
    await attempt.task
    assert await outcome(database, attempt) == "cancelled"
    assert (await stored(database))[0] == ("classify", 20, 0.001)


async def test_a_turn_that_waits_counts_each_call_once(database: Database) -> None:
    """Those before the question when it waits, those after it at the end."""
    decided = False

    def wrap(name: str, node: Node) -> Node:
        async def wait(state: TurnState, runtime: Runtime[Context]) -> TurnState:
            if not decided:
                interrupt({"approval_id": str(uuid7())})
            return await node(state, runtime)

        return classifying(name, wait if name == "reuse" else node)

    first = await turn(database, wrap=wrap)
    await first.run()
    assert await stored(database) == [("classify", 20, 0.001)]
    decided = True
    second = await turn(database, wrap=wrap, attempt=2, run_id=first.lease.run_id)
    await second.run()
    assert await stored(database) == [("classify", 20, 0.001), ANSWERED]
    assert sample(second, "parley_model_cost_usd_total", model="small", task="answer") == 0.06
    assert sample(second, "parley_model_cost_usd_total", model="small", task="classify") is None


class Forgetful(Database):
    """Commits, and loses the connection before it can say so."""

    failures = 1

    async def once(self, tenant_id: str, *statements: Statement) -> list[list[Any]]:
        """Run the statements; the first time nobody hears of it."""
        rows = await super().once(tenant_id, *statements)
        if len(statements) > 1 and self.failures:
            self.failures -= 1
            raise DatabaseUnavailable
        return rows


async def test_an_end_that_is_stored_twice_counts_once(database: Database) -> None:
    """The connection broke after the commit, so the end was sent again."""
    attempt = await turn(Forgetful(database.url, database.pool), wrap=staged)
    await attempt.run()
    assert await stored(database) == [ANSWERED]
    async with database.transaction(TENANT) as conn:
        row = await (await conn.execute("select usd::float from budget_periods")).fetchone()
    assert row == (0.06,)


class Watched(Database):
    """Counts how often a connection is borrowed, and how many statements go out together."""

    borrowed = 0
    together = 0

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[AsyncConnection[TupleRow]]:
        """Lend a connection."""
        self.borrowed += 1
        async with super().connection() as conn:
            yield conn

    async def once(self, tenant_id: str, *statements: Statement) -> list[list[Any]]:
        """Run the statements."""
        self.together = len(statements)
        return await super().once(tenant_id, *statements)


async def test_spending_costs_no_round_trip(database: Database) -> None:
    """It is one more statement among those that end the turn in one piece."""

    def silent(name: str, node: Node) -> Node:
        async def forget(state: TurnState, runtime: Runtime[Context]) -> TurnState:
            update = await node(state, runtime)
            update.pop("model_calls", None)
            return update

        return staged(name, forget)

    watched = Watched(database.url, database.pool)
    costs = []
    for wrap in (silent, staged):
        attempt = await turn(watched, wrap=wrap)
        watched.borrowed = 0
        await attempt.run()
        costs.append((watched.borrowed, watched.together))
    assert costs[1] == (costs[0][0], costs[0][1] + 1)
