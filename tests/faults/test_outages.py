"""A database that goes away in the middle of a turn: row 13."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest

from core.errors import DatabaseBusy
from core.telemetry import NullTracer
from db.embedded import join
from db.migrate import migrate
from db.pool import Database
from graphs.admission import StartedRun
from graphs.runner import Runner
from nodes.context import Limits, Services
from tests.db.test_pool import cut
from tests.faults.crew import Crew, Nursery
from tests.faults.remote import Remote
from tests.faults.story import Stage
from tests.faults.world import EFFECTS, KINDS, furnished
from tests.graphs.turns import QUICK, TENANT, begin
from tools.policy import Policy, PolicyFile, Rule
from tools.registry import Registry
from tools.tool import Caller, Output, Tool

ENDED = "select status, error from parley.runs where run_id = %s"
DONE = "select status from parley.tool_calls where run_id = %s"
FAST = {"fsync": "off"}  # a server that is killed loses nothing that it has committed


def interrupted(used: Services, when: str, meanwhile: Callable[[], None]) -> Services:
    """Return services in whose tools something happens, once: before the effect, or after it."""
    happened = asyncio.Event()

    def once() -> None:
        if not happened.is_set():
            happened.set()
            meanwhile()

    def around(tool: Tool) -> Tool:
        async def run(arguments: Any, caller: Caller, key: str) -> Output:
            if when == "before":
                await asyncio.to_thread(once)
            output = await tool.run(arguments, caller, key)
            if when == "after":
                await asyncio.to_thread(once)
            return output

        async def within(conn: Any, arguments: Any, caller: Caller, key: str) -> Output:
            assert tool.within is not None
            if when == "before":
                await asyncio.to_thread(once)
            output = await tool.within(conn, arguments, caller, key)
            if when == "after":
                await asyncio.to_thread(once)
            return output

        return replace(tool, run=run, within=None if tool.within is None else within)

    return replace(used, tools=Registry(around(tool) for tool in used.tools))


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("kind", KINDS)
async def test_row_13_connections_cut_in_a_tool(
    stage: Stage, effects: str, kind: str, when: str
) -> None:
    """All connections of the application gone around an effect: it is done once all the same."""
    used = interrupted(furnished(stage.database, stage.remote.url), when, lambda: cut(effects))
    async with Runner(used, Limits(), QUICK, NullTracer()) as runner:
        async with stage.reviewed() as asked:
            await begin(runner, f"{kind} once")
            run_id = await stage.end(f"{kind} once")
        assert await stage.status(run_id) == "succeeded"
        assert await stage.effects("once") == 1
        assert asked == []  # what came of it is known
        [call] = (await stage.story(run_id)).calls
        assert call[2] == "done"
        await stage.permitted(run_id)


async def test_row_13_connections_cut_at_every_node(stage: Stage, effects: str) -> None:
    """A turn ends well or with a typed error; its effect is there when the ledger says so."""
    used = furnished(stage.database, stage.remote.url)
    nodes = ("recall", "classify", "generate", "propose", "approve", "act", "verify", "remember")
    async with Runner(used, Limits(), QUICK, NullTracer()) as runner, stage.reviewed():
        for number, node in enumerate(nodes):
            kind = KINDS[number % len(KINDS)]
            run = await begin(runner, f"{kind} {node}")
            await begun(runner, run, node)
            await asyncio.to_thread(cut, effects)
            await stage.end(f"{kind} {node}")
            [(status, error)] = await stage.ask(ENDED, run.run_id)
            assert status == "succeeded" or error["code"] == "database_unavailable"
            done = [status for (status,) in await stage.ask(DONE, run.run_id)] == ["done"]
            assert await stage.effects(node) == done
            assert done or status == "failed"
            await stage.permitted(run.run_id)
        await begin(runner, "pay after")
        assert await stage.status(await stage.end("pay after")) == "succeeded"
    await stage.chained()


async def begun(runner: Runner, run: StartedRun, node: str) -> None:
    """Return when a run has begun a node, or ended without it."""
    tail = runner.tail(tenant_id=TENANT, thread_id=run.thread_id, run_id=run.run_id)
    async for event in tail:
        if event.type == "node.started" and event.data["node"] == node:
            return


@pytest.mark.parametrize("when", ["before"])
async def test_row_13_a_restart_in_a_tool(
    tmp_path: Path, remote: Remote, nursery: Nursery, when: str
) -> None:
    """The server killed and started again around an effect: once, and no process restarts."""
    folder = tmp_path / "postgres"
    first = await asyncio.to_thread(join, folder, FAST)
    started = [first]
    await migrate(first.admin_url)

    def restart() -> None:
        assert first.pid is not None
        process = psutil.Process(first.pid)
        process.kill()
        psutil.wait_procs([process])
        started.append(join(folder, FAST))

    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(Database.open(first.url, timeout_seconds=0.5))
        crew = await stack.enter_async_context(Crew.of(nursery, first.url, remote.url))
        with psycopg.connect(first.admin_url, autocommit=True) as conn:
            conn.execute(EFFECTS)
        used = interrupted(furnished(database, remote.url), when, restart)
        rules = PolicyFile(rules=(Rule(decide="run", because="All of it."),))
        used = replace(used, policy=Policy(rules))
        async with Runner(used, Limits(), QUICK, NullTracer()) as runner:
            await begin(runner, "pay once book twice")
            while len(started) == 1:  # noqa: ASYNC110 - the tool does it
                await asyncio.sleep(0.01)
            owner = await stack.enter_async_context(
                await psycopg.AsyncConnection.connect(first.admin_url, autocommit=True)
            )
            stage = Stage(crew, database, remote, owner)
            run_id = await stage.end("pay once book twice")
            assert await stage.ask(ENDED, run_id) == [("succeeded", None)]
            assert await stage.effects("once") == await stage.effects("twice") == 1
    for postgres in reversed(started):
        await asyncio.to_thread(postgres.leave)


async def test_row_13_no_connection_is_free(stage: Stage, database_url: str) -> None:
    """Whoever asks while all connections are lent is told so; afterwards everything goes on."""
    async with Database.open(database_url, max_size=1, timeout_seconds=0.2) as small:
        used = furnished(small, stage.remote.url)
        async with Runner(used, Limits(), QUICK, NullTracer()) as runner, stage.reviewed():
            async with small.connection():
                with pytest.raises(DatabaseBusy):
                    await begin(runner, "book nothing")
            await begin(runner, "book once")
            assert await stage.status(await stage.end("book once")) == "succeeded"
    assert not await stage.exists("book nothing")
    assert await stage.effects("once") == 1
