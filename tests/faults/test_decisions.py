"""Decisions that come all at once, or at the worst moment: row 5."""

from __future__ import annotations

import asyncio
import signal
from contextlib import AsyncExitStack
from typing import Any
from uuid import UUID

import psutil
import psycopg

from core.errors import ApprovalDecided
from core.telemetry import NullTracer
from db import runs
from db.pool import Database
from graphs.runner import Runner
from nodes.context import Limits
from tests.db.waiting import eventually
from tests.faults.story import Stage
from tests.faults.world import furnished
from tests.graphs.acting import decide, pending
from tests.graphs.turns import QUICK, TENANT, begin, events
from tools.approvals import Approval
from tools.tool import Caller

ROUNDS = 50
REVIEWERS = [Caller(TENANT, f"rita{n}", roles=frozenset({"reviewer"})) for n in range(8)]
RUNNERS = 4
BLOCKED = "select count(*) from pg_stat_activity where wait_event_type = 'Lock'"
NOTES = """select kind from parley.audit_log where subject = %s
            and kind in ('approval.approved', 'approval.rejected') """


async def test_row_5_eight_reviewers_and_four_runners(
    stage: Stage, database_url: str, admin_url: str
) -> None:
    """One decision is stored, the other seven are told so, and it is carried out once or never."""
    async with AsyncExitStack() as stack:
        offices = [
            await stack.enter_async_context(Database.open(database_url)) for _ in range(RUNNERS)
        ]
        found = [furnished(office, stage.remote.url) for office in offices]
        runners = [
            await stack.enter_async_context(Runner(used, Limits(), QUICK, NullTracer()))
            for used in found
        ]
        for number in range(ROUNDS):
            word = f"r{number:03}"
            run = await begin(runners[number % RUNNERS], f"pay {word}")
            await stage.stands(run.run_id, "waiting")
            [approval] = await pending(stage.database)
            woken = asyncio.create_task(wake(admin_url, run.run_id))
            results = await asyncio.gather(
                *(
                    decide(
                        found[place % RUNNERS],
                        approval.approval_id,
                        "approve" if (place + number) % 2 else "reject",
                        by=reviewer,
                    )
                    for place, reviewer in enumerate(REVIEWERS)
                ),
                return_exceptions=True,
            )
            await woken
            await events(runners[(number + 1) % RUNNERS], run)
            [decision] = [one for one in results if isinstance(one, Approval)]
            assert sum(isinstance(one, ApprovalDecided) for one in results) == len(REVIEWERS) - 1
            stored = await stage.ask(NOTES, str(approval.call_id))
            assert stored == [(f"approval.{decision.status}",)]
            done = decision.status == "approved"
            assert stage.remote.requests[word] == stage.remote.effects[word] == done
            async with stage.database.transaction(TENANT) as conn:
                ended = await runs.get(conn, UUID(run.thread_id), UUID(run.run_id))
            assert ended.status == "succeeded"
        await stage.chained()


async def wake(admin_url: str, run_id: str) -> None:
    """Wake the run from outside, several times."""
    async with await psycopg.AsyncConnection.connect(admin_url, autocommit=True) as conn:
        for _ in range(RUNNERS):
            await conn.execute("select pg_notify('run_queued', %s)", [run_id])


async def test_a_decision_while_the_turn_looks(stage: Stage, admin_url: str) -> None:
    """Approved between the two looks at its rows, a call is made all the same."""
    worker = await stage.crew.hire()
    # It reads the row when it asks, and again when it looks whether somebody has decided.
    await worker.arm(("row read", 2), "stop")
    await worker.enter()
    await worker.tell("start", text="pay atonce")
    await eventually(lambda: psutil.Process(worker.pid).status() == psutil.STATUS_STOPPED)
    [approval] = await pending(stage.database)
    used: Any = furnished(stage.database, stage.remote.url)
    deciding = asyncio.create_task(decide(used, approval.approval_id, "approve"))

    async def waits() -> bool:
        return deciding.done() or (await stage.ask(BLOCKED))[0][0] > 0

    while not await waits():  # noqa: ASYNC110 - for a lock, which tells nobody
        await asyncio.sleep(0.01)
    worker.signal(signal.SIGCONT)
    await deciding
    run_id = await stage.end("pay atonce")
    assert stage.remote.effects["atonce"] == 1
    [call] = (await stage.story(run_id, "atonce")).calls
    assert call[2] == "done"
