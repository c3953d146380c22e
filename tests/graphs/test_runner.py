"""Runs outlive requests, processes and failures."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import pytest

from core.errors import (
    ModelUnavailable,
    RunEnded,
    RunNotFound,
    ThreadNotFound,
)
from core.events import Event
from core.telemetry import NullTracer
from db import messages, runs, turns
from db.packed import unpack
from db.pool import Database
from evals.bench.edges import ScriptedModel
from graphs.admission import StartedRun
from graphs.journal import ATTEMPT_BASE
from graphs.runner import Pace, Runner
from nodes.context import Limits
from tests.graphs.turns import QUICK, TENANT, GatedModel, begin, events, services

DEAF = Pace(lease_seconds=0.3, heartbeat_seconds=3600, flush_seconds=0.02)


@asynccontextmanager
async def running(
    database: Database, model: ScriptedModel | None = None, pace: Pace = QUICK
) -> AsyncIterator[Runner]:
    async with Runner(services(database, model), Limits(), pace, NullTracer()) as runner:
        yield runner


def kinds(log: list[Event]) -> list[str]:
    return [event.type for event in log]


def text(log: list[Event]) -> str:
    return "".join(event.data["text"] for event in log if event.type == "token")


async def stored(database: Database, run: StartedRun) -> list[messages.Message]:
    async with database.transaction(TENANT) as conn:
        return await messages.list_after(conn, UUID(run.thread_id))


async def status(database: Database, run: StartedRun) -> runs.Run:
    async with database.transaction(TENANT) as conn:
        return await runs.get(conn, UUID(run.thread_id), UUID(run.run_id))


async def checkpoints(database: Database) -> int:
    async with database.transaction(TENANT) as conn:
        row = await (await conn.execute("select count(*) from checkpoints")).fetchone()
    assert row is not None
    return int(row[0])


async def stored_checkpoint(database: Database) -> None:
    """Return once a flush has stored a checkpoint; the test's timeout is the limit."""
    while await checkpoints(database) == 0:  # noqa: ASYNC110 - another process would poll too
        await asyncio.sleep(0.01)


async def test_a_turn_streams_and_is_stored(database: Database) -> None:
    """Question, answer, citations, events and the turn log are there; checkpoints are not."""
    async with running(database) as runner:
        run = await begin(runner)
        log = await events(runner, run)
    assert kinds(log)[0] == "run.started"
    assert kinds(log)[-3:] == ["message.finished", "usage", "run.finished"]
    assert [event.seq for event in log] == list(range(1, len(log) + 1))
    question, answer = await stored(database, run)
    assert (question.role, question.content) == ("user", "Why?")
    assert answer.content == text(log).strip()
    assert [citation["marker"] for citation in answer.citations] == [1]
    assert (await status(database, run)).status == "succeeded"
    assert await checkpoints(database) == 0


async def test_the_turn_log_tells_the_whole_turn(database: Database) -> None:
    """Prompt and its version, raw answer, scores, model, tokens and milliseconds by stage."""
    async with running(database) as runner:
        run = await begin(runner)
        await events(runner, run)
    async with database.transaction(TENANT) as conn:
        log = await turns.get(conn, UUID(run.run_id))
    assert (log.prompt_name, log.prompt_version, log.outcome) == ("answer", 3, "answered")
    assert [message["role"] for message in log.prompt] == ["system", "user"]
    assert re.search(r"<(question-\w{8})>\nWhy\?\n</\1>", log.prompt[-1]["content"])
    assert log.raw_answer.endswith("[1].")
    assert len(log.passages) == 5
    assert log.passages[0]["scores"] == {"vector": 0.5, "keyword": 2.0}
    assert log.model is not None
    assert log.model["version"] == "1"
    assert log.usage is not None
    assert log.usage["completion_tokens"] == 64
    assert set(log.stages) == {
        *("screen", "recall", "classify", "reuse"),
        *("retrieve", "generate", "verify", "remember"),
    }
    assert log.first_token_ms is not None


async def test_earlier_messages_are_sent_but_logged_by_reference(database: Database) -> None:
    """The log shows the history that was sent without keeping a second copy of it."""
    async with running(database) as runner:
        first = await begin(runner, "Who was she?")
        await events(runner, first)
        second = await begin(runner, "And when?", first.thread_id)
        await events(runner, second)
    async with database.transaction(TENANT) as conn:
        row = await (
            await conn.execute("select packed from turns where run_id = %s", [second.run_id])
        ).fetchone()
        log = await turns.get(conn, UUID(second.run_id))
    assert row is not None
    assert unpack(row[0])["prompt"][1] == {"first_seq": 1, "last_seq": 2}
    assert [message["role"] for message in log.prompt] == ["system", "user", "assistant", "user"]
    assert log.prompt[1]["content"] == "Who was she?"


async def test_row_11_a_client_may_join_at_any_event(database: Database) -> None:
    """From each event on, nothing is lost and nothing repeated: live, stored, elsewhere."""
    model = GatedModel()
    async with running(database, model) as runner, running(database) as elsewhere:
        run = await begin(runner)
        await model.asked.wait()
        joined = [asyncio.create_task(events(runner, run, after)) for after in range(30)]
        remote = [asyncio.create_task(events(elsewhere, run, after)) for after in range(30)]
        await asyncio.sleep(0)
        model.go.set()
        whole = await events(runner, run)
        for after, log in enumerate(await asyncio.gather(*joined)):
            assert log == whole[after:]
        for after, log in enumerate(await asyncio.gather(*remote)):
            assert log == whole[after:]
        for after in range(len(whole)):
            assert await events(elsewhere, run, after) == whole[after:]


async def test_row_12_a_cancelled_run_ends_and_leaves_the_thread_usable(database: Database) -> None:
    """Cancelling tells the client, stores no answer, and the next turn works."""
    model = GatedModel()
    async with running(database, model) as runner:
        run = await begin(runner)
        await model.asked.wait()
        await runner.cancel(tenant_id=TENANT, thread_id=run.thread_id, run_id=run.run_id)
        assert kinds(await events(runner, run))[-1] == "run.cancelled"
        with pytest.raises(RunEnded):
            await runner.cancel(tenant_id=TENANT, thread_id=run.thread_id, run_id=run.run_id)
        model.go.set()
        second = await begin(runner, "Again?", run.thread_id)
        assert kinds(await events(runner, second))[-1] == "run.finished"
    assert [message.role for message in await stored(database, run)] == [
        *("user", "user", "assistant")
    ]


async def test_a_run_is_cancelled_from_another_process(database: Database) -> None:
    """The request travels through the database."""
    model = GatedModel()
    async with running(database, model) as runner, running(database) as elsewhere:
        run = await begin(runner)
        await model.asked.wait()
        await elsewhere.cancel(tenant_id=TENANT, thread_id=run.thread_id, run_id=run.run_id)
        assert kinds(await events(elsewhere, run))[-1] == "run.cancelled"


async def test_a_failing_model_fails_the_run_with_its_code(database: Database) -> None:
    """The client reads a typed end; no half answer becomes a message."""
    model = GatedModel()
    model.fail_with(ModelUnavailable())
    async with running(database, model) as runner:
        run = await begin(runner)
        log = await events(runner, run)
    assert log[-1].data["error"]["code"] == "model_unavailable"
    assert (await status(database, run)).status == "failed"
    assert [message.role for message in await stored(database, run)] == ["user"]
    async with database.transaction(TENANT) as conn:
        turn_log = await turns.get(conn, UUID(run.run_id))
    assert turn_log.outcome == "failed"
    assert len(turn_log.passages) == 5


async def test_an_unexpected_error_says_nothing_of_itself(database: Database) -> None:
    """What went wrong inside stays inside."""
    model = GatedModel()
    model.fail_with(ZeroDivisionError("secret"))
    async with running(database, model) as runner:
        run = await begin(runner)
        log = await events(runner, run)
    assert log[-1].data["error"]["code"] == "internal_error"
    assert "secret" not in str([event.data for event in log])


async def test_a_turn_ends_at_its_time_limit(database: Database) -> None:
    """A model that never answers cannot hold a thread for ever."""
    pace = Pace(lease_seconds=5, heartbeat_seconds=1, flush_seconds=0.02, max_seconds=0.05)
    async with running(database, GatedModel(), pace) as runner:
        run = await begin(runner)
        assert (await events(runner, run))[-1].data["error"]["code"] == "turn_timeout"


async def test_a_run_left_by_a_dead_process_is_finished_by_another(database: Database) -> None:
    """The lease runs out, another process goes on from the checkpoint, the zombie is refused."""
    stuck, model = GatedModel(), GatedModel()
    model.go.set()
    async with running(database, stuck, DEAF) as dead:
        run = await begin(dead)
        watching = asyncio.create_task(events(dead, run))
        await stuck.asked.wait()
        await stored_checkpoint(database)
        async with running(database, model) as heir:
            log = await events(heir, run)
            stuck.go.set()  # the zombie wakes up and tries to write
            seen = await watching
    assert kinds(log)[-1] == "run.finished"
    resumed = kinds(log).index("run.resumed")
    # Who watched the zombie also gets the whole of the attempt that counts, in order.
    assert seen[kinds(seen).index("run.resumed") :] == log[resumed:]
    assert [event.seq for event in seen] == sorted({event.seq for event in seen})
    assert log[resumed].seq == ATTEMPT_BASE + 1
    again = [event.data["node"] for event in log[resumed:] if event.type == "node.started"]
    assert again == ["generate", "verify", "remember"]
    answers = [message for message in await stored(database, run) if message.role == "assistant"]
    assert [message.content for message in answers] == ["Water is wet [1]. And it is blue [2]."]
    assert await checkpoints(database) == 0


async def test_a_run_whose_processes_keep_dying_is_given_up(database: Database) -> None:
    """After the last attempt the run fails with a code, instead of killing the next process."""
    stuck = GatedModel()
    async with running(database, stuck, DEAF) as dead:
        run = await begin(dead)
        await stuck.asked.wait()
        pace = Pace(lease_seconds=0.6, heartbeat_seconds=0.1, flush_seconds=0.02, max_attempts=1)
        async with running(database, pace=pace) as heir:
            assert (await events(heir, run))[-1].data["error"]["code"] == "run_abandoned"


async def test_closing_hands_runs_over_at_once(database: Database) -> None:
    """A process that ends gives its leases back, so nobody waits for them to run out."""
    slow = Pace(lease_seconds=3600, heartbeat_seconds=0.1, flush_seconds=0.02)
    model = GatedModel()
    async with running(database, model, slow) as runner:
        run = await begin(runner)
        await model.asked.wait()
    async with running(database, pace=slow) as heir:
        assert kinds(await events(heir, run))[-1] == "run.finished"


async def test_draining_waits_for_live_runs(database: Database) -> None:
    """A turn that is nearly done may finish before the process ends."""
    model = GatedModel()
    async with running(database, model) as runner:
        run = await begin(runner)
        await model.asked.wait()
        draining = asyncio.create_task(runner.drain(60))
        await asyncio.sleep(0)
        model.go.set()
        await draining
        assert runner.live == 0
    assert (await status(database, run)).status == "succeeded"


async def test_ids_of_others_name_nothing(database: Database) -> None:
    """Another tenant's run, another thread's run and malformed ids are all not found."""
    async with running(database) as runner:
        run, other = await begin(runner), await begin(runner)
        await events(runner, run)
        for tenant, thread, run_id in [
            ("other", run.thread_id, run.run_id),
            (TENANT, other.thread_id, run.run_id),
            (TENANT, run.thread_id, "../etc"),
            (TENANT, "x", run.run_id),
        ]:
            with pytest.raises(RunNotFound):
                async for _ in runner.tail(tenant_id=tenant, thread_id=thread, run_id=run_id):
                    pass
            with pytest.raises(RunNotFound):
                await runner.cancel(tenant_id=tenant, thread_id=thread, run_id=run_id)
        with pytest.raises(ThreadNotFound):
            await begin(runner, "Hi", "not-an-id")
        with pytest.raises(ThreadNotFound):
            await runner.start(tenant_id="other", user_id="x", thread_id=run.thread_id, text="Hi")
        with pytest.raises(ThreadNotFound):
            await runner.start(tenant_id=TENANT, user_id="x", thread_id=run.thread_id, text="Hi")
