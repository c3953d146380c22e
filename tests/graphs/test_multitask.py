"""A second message during a turn: what was asked for happens, and nothing is lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import pytest

from core.errors import KeyReused, RunActive, ThreadNotFound
from core.telemetry import NullTracer
from db import messages, runs, turns
from db.keys import RequestKey
from db.pool import Database
from evals.bench.edges import ScriptedModel
from graphs.admission import MOST_QUEUED, Multitask, StartedRun
from graphs.runner import Runner
from nodes.context import Limits
from tests.graphs.turns import (
    LETTER,
    QUICK,
    TENANT,
    GatedModel,
    begin,
    events,
    services,
    writing,
)

KEY = RequestKey("once", "digest")
anywhere = pytest.mark.parametrize("processes", [1, 2])  # the second message meets the last one


@asynccontextmanager
async def running(
    database: Database, model: ScriptedModel, processes: int = 1
) -> AsyncIterator[tuple[Runner, Runner]]:
    """Run the runners of as many processes; yield the first and the last."""
    limits = Limits(offer_always=True)
    edges = services(database, model, [LETTER])
    async with Runner(edges, limits, QUICK, NullTracer()) as first:
        if processes == 1:
            yield first, first
            return
        async with Runner(edges, limits, QUICK, NullTracer()) as last:
            yield first, last


async def said(database: Database, run: StartedRun) -> list[tuple[str, str]]:
    """Return who said what in a thread, as it was stored."""
    async with database.transaction(TENANT) as conn:
        found = await messages.list_after(conn, UUID(run.thread_id))
    return [(message.role, message.content) for message in found]


async def status(database: Database, run: StartedRun) -> str:
    async with database.transaction(TENANT) as conn:
        return (await runs.get(conn, UUID(run.thread_id), UUID(run.run_id))).status


async def end(runner: Runner, run: StartedRun) -> str:
    return (await events(runner, run))[-1].type


async def until(runner: Runner, run: StartedRun, kind: str) -> None:
    """Return when a run says something."""
    tail = runner.tail(tenant_id=TENANT, thread_id=run.thread_id, run_id=run.run_id)
    async for event in tail:
        if event.type == kind:
            await tail.aclose()
            return
    raise AssertionError(f"the run ended without {kind}")


@anywhere
async def test_enqueued_messages_are_answered_in_their_order(
    database: Database, processes: int
) -> None:
    """Each knows the answers before it, although it was asked before they were there."""
    model = GatedModel()
    async with running(database, model, processes) as (runner, other):
        first = await begin(runner, "One?")
        await model.asked.wait()
        second = await begin(other, "Two?", first.thread_id)
        third = await begin(runner, "Three?", first.thread_id)
        assert (first.queued, second.queued, third.queued) == (False, True, True)
        assert await status(database, second) == "queued"
        model.go.set()
        assert [await end(runner, run) for run in (third, second, first)] == ["run.finished"] * 3
        async with database.transaction(TENANT) as conn:
            log = await turns.get(conn, UUID(third.run_id))
    assert [message["role"] for message in log.prompt] == [
        *("system", "user", "assistant", "user", "assistant", "user")
    ]
    asked = [message["content"] for message in log.prompt if message["role"] == "user"]
    assert asked[:2] == ["One?", "Two?"]
    assert "Three?" in asked[2]


@anywhere
async def test_messages_at_the_same_moment_are_all_answered(
    database: Database, processes: int
) -> None:
    """Eight at once: eight runs, one after the other, in the order in which they were stored."""
    model = GatedModel()
    model.go.set()
    async with running(database, model, processes) as (runner, other):
        thread = await begin(runner, "Hello?")
        await events(runner, thread)
        started = await asyncio.gather(
            *(begin((runner, other)[n % 2], f"{n}?", thread.thread_id) for n in range(8))
        )
        assert [await end(other, run) for run in started] == ["run.finished"] * 8
    async with database.transaction(TENANT) as conn:
        found = await messages.list_after(conn, UUID(thread.thread_id))
    asked = [message.run_id for message in found if message.role == "user"]
    answered = [message.run_id for message in found if message.role == "assistant"]
    assert asked == answered
    assert len(set(asked)) == 9


@anywhere
@pytest.mark.parametrize("milliseconds", [0, 100, 250])
@pytest.mark.parametrize("strategy", ["enqueue", "reject"])
async def test_row_8_two_messages_shortly_after_each_other(
    database: Database, processes: int, milliseconds: int, strategy: Multitask
) -> None:
    """Before, while and after the first is answered: each is answered, or is refused whole."""
    model = GatedModel()
    asyncio.get_running_loop().call_later(0.15, model.go.set)
    async with running(database, model, processes) as (runner, other):
        first = await begin(runner, "One?")
        await asyncio.sleep(milliseconds / 1000)
        try:
            second = await begin(other, "Two?", first.thread_id, strategy)
        except RunActive:
            assert strategy == "reject"
            second = None
        for run in filter(None, (first, second)):
            assert await end(other, run) == "run.finished"
    asked = ["One?"] if second is None else ["One?", "Two?"]
    talk = await said(database, first)
    assert [text for role, text in talk if role == "user"] == asked
    assert sum(role == "assistant" for role, _ in talk) == len(asked)
    async with database.transaction(TENANT) as conn:
        cursor = await conn.execute("select count(*) from tool_calls")
        assert await cursor.fetchone() == (0,)


@anywhere
async def test_rejected_messages_leave_no_trace(database: Database, processes: int) -> None:
    """The first run is not disturbed, and afterwards a message is welcome."""
    model = GatedModel()
    async with running(database, model, processes) as (runner, other):
        first = await begin(runner, "One?")
        await model.asked.wait()
        with pytest.raises(RunActive):
            await begin(other, "Two?", first.thread_id, "reject")
        model.go.set()
        assert await end(other, first) == "run.finished"
        third = await begin(other, "Three?", first.thread_id, "reject")
        assert await end(runner, third) == "run.finished"
    asked = [text for role, text in await said(database, first) if role == "user"]
    assert asked == ["One?", "Three?"]


@anywhere
@pytest.mark.parametrize(
    ("strategy", "left"), [("interrupt", ["One?", "Two?", "Three?"]), ("rollback", ["Three?"])]
)
async def test_what_runs_and_what_waits_makes_way(
    database: Database, processes: int, strategy: Multitask, left: list[str]
) -> None:
    """It is cancelled; its questions stay after an interruption, and go with a rollback."""
    model = GatedModel()
    async with running(database, model, processes) as (runner, other):
        first = await begin(runner, "One?")
        await model.asked.wait()
        second = await begin(runner, "Two?", first.thread_id)
        third = await begin(other, "Three?", first.thread_id, strategy)
        assert not third.queued
        model.go.set()
        assert [await end(other, run) for run in (first, second)] == ["run.cancelled"] * 2
        assert await end(runner, third) == "run.finished"
    assert [text for role, text in await said(database, first) if role == "user"] == left


@anywhere
@pytest.mark.parametrize("strategy", ["interrupt", "rollback"])
async def test_a_run_that_waits_for_a_person_makes_way(
    database: Database, processes: int, strategy: Multitask
) -> None:
    """Its question to the reviewers ends with it; what it had in mind stays in the ledger."""
    async with running(database, writing(), processes) as (runner, other):
        first = await begin(runner, "Write to Ada!")
        await until(runner, first, "run.waiting")
        await begin(other, "Never mind.", first.thread_id, strategy)
        assert await end(other, first) == "run.cancelled"
        async with database.transaction(TENANT) as conn:
            cursor = await conn.execute(
                "select c.tool, c.status, a.status from tool_calls c join approvals a"
                " using (tenant_id, call_id) where c.run_id = %s",
                [first.run_id],
            )
            assert await cursor.fetchall() == [("send_letter", "cancelled", "cancelled")]
    asked = [text for role, text in await said(database, first) if role == "user"]
    assert asked == ["Never mind."] if strategy == "rollback" else ["Write to Ada!", "Never mind."]


async def test_a_run_that_waits_for_a_person_holds_nobody_up(database: Database) -> None:
    """The next message is answered meanwhile; the run says what it waits for."""
    async with running(database, writing()) as (runner, _):
        first = await begin(runner, "Write to Ada!")
        await until(runner, first, "run.waiting")
        async with database.transaction(TENANT) as conn:
            run = await runs.get(conn, UUID(first.thread_id), UUID(first.run_id))
            cursor = await conn.execute("select approval_id from approvals")
            assert [(approval,) for approval in run.approvals] == await cursor.fetchall()
        second = await begin(runner, "And to Bob!", first.thread_id)
        await until(runner, second, "run.waiting")
        assert await status(database, first) == "waiting"


async def test_a_queue_is_not_endless(database: Database) -> None:
    """At the same moment too, no more wait than may; the others are told."""
    model = GatedModel()
    async with running(database, model) as (runner, _):
        first = await begin(runner)
        await model.asked.wait()
        results = await asyncio.gather(
            *(begin(runner, f"{n}?", first.thread_id) for n in range(MOST_QUEUED + 4)),
            return_exceptions=True,
        )
        refused = [result for result in results if isinstance(result, RunActive)]
        assert len(refused) == 4
        assert f"{MOST_QUEUED} messages" in str(refused[0])
        async with database.transaction(TENANT) as conn:
            assert await runs.queued(conn, UUID(first.thread_id)) == MOST_QUEUED


@anywhere
@pytest.mark.parametrize("strategy", ["enqueue", "reject", "interrupt", "rollback"])
async def test_a_request_begins_one_run(
    database: Database, processes: int, strategy: Multitask
) -> None:
    """Eight times the same at once, and once more: one run, which none of them disturbs."""
    model = GatedModel()
    async with running(database, model, processes) as (runner, other):
        thread = await begin(runner, "Hello?")
        model.go.set()
        await events(runner, thread)
        started = await asyncio.gather(
            *(
                begin((runner, other)[n % 2], "Once?", thread.thread_id, strategy, KEY)
                for n in range(8)
            )
        )
        [run_id] = {run.run_id for run in started}
        assert sum(not run.repeated for run in started) == 1
        assert await end(runner, started[0]) == "run.finished"
        again = await begin(other, "Once?", thread.thread_id, strategy, KEY)
        assert (again.run_id, again.message_id) == (run_id, started[0].message_id)
    assert [role for role, _ in await said(database, thread)] == ["user", "assistant"] * 2


async def test_a_key_stands_for_one_request_of_one_user(database: Database) -> None:
    """Another request with it is refused; another user's key is another key."""
    async with running(database, ScriptedModel()) as (runner, _):
        run = await begin(runner, key=KEY)
        with pytest.raises(KeyReused):
            await begin(runner, key=RequestKey(KEY.key, "another"))
        with pytest.raises(ThreadNotFound):
            await runner.start(
                tenant_id=TENANT, user_id="eve", thread_id=run.thread_id, text="Hi", key=KEY
            )
        with pytest.raises(RunActive):
            await begin(runner, thread_id=run.thread_id, multitask="reject")
        await events(runner, run)


async def test_old_keys_are_forgotten(database: Database, admin_url: str) -> None:
    """Some at each new one, so that the table does not grow for ever."""
    async with running(database, ScriptedModel()) as (runner, _):
        old = await begin(runner, key=KEY)
        await events(runner, old)
        async with database.transaction(TENANT) as conn:
            await conn.execute("update request_keys set created_at = now() - interval '3 days'")
        run = await begin(runner, key=RequestKey("new", "digest"))
        await events(runner, run)
        async with database.transaction(TENANT) as conn:
            cursor = await conn.execute("select key from request_keys")
            assert await cursor.fetchall() == [("new",)]
