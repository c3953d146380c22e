"""Workers that are stopped past their lease, and wake up after another has taken over: row 10."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import psutil
import psycopg
import pytest

from db.pool import Database
from tests.db.waiting import eventually
from tests.faults.crew import Crew, Nursery
from tests.faults.points import Point
from tests.faults.remote import Remote
from tests.faults.story import Stage
from tests.faults.world import TIMEOUT_SECONDS
from tests.graphs.turns import QUICK

# Nothing is flushed by the clock: a process that is stopped in the middle of a flush keeps its lock
# on the run, and with it the run.
PACE = replace(QUICK, flush_seconds=3600)
# A transaction that nothing happens in is lost a second after its process was stopped.
GRACE_SECONDS = 1.0 - TIMEOUT_SECONDS
ALL = [
    "select to_jsonb(r) from parley.runs r where run_id = %s",
    "select to_jsonb(e) from parley.run_events e where run_id = %s order by first_seq",
    "select to_jsonb(c) from parley.tool_calls c where run_id = %s order by position",
    "select to_jsonb(a) from parley.approvals a where run_id = %s order by created_at",
    "select to_jsonb(m) from parley.messages m where run_id = %s order by seq",
    "select to_jsonb(t) from parley.turns t where run_id = %s",
    "select to_jsonb(c) from checkpoints.checkpoints c where thread_id = %s",
    "select to_jsonb(w) from checkpoints.checkpoint_writes w where thread_id = %s",
    "select to_jsonb(l) from parley.audit_log l where %s <> '' order by seq",
]


@pytest.fixture
async def stage(
    nursery: Nursery, remote: Remote, effects: str, database_url: str, database: Database
) -> AsyncIterator[Stage]:
    """Workers whose leases run out in earnest."""
    async with (
        await psycopg.AsyncConnection.connect(effects, autocommit=True) as owner,
        Crew.of(nursery, database_url, remote.url, PACE, GRACE_SECONDS) as crew,
    ):
        yield Stage(crew, database, remote, owner)


async def everything(stage: Stage, run_id: str) -> list[Any]:
    """Return all that is stored about a run."""
    return [await stage.ask(statement, run_id) for statement in ALL]


@pytest.mark.parametrize(
    ("kind", "point"),
    [
        ("book", ("before the effect", 1)),
        ("book", ("noted, not committed", 1)),
        ("pay", ("started", 1)),
        ("pay", ("after the effect", 1)),
        ("mail", ("started", 1)),
        ("mail", ("after the effect", 1)),
        ("pay", ("after generate", 1)),
        ("pay", ("before the pause", 1)),
        ("pay", ("before the end", 1)),
    ],
    ids=lambda value: value if isinstance(value, str) else value[0].replace(" ", "-"),
)
async def test_row_10_a_zombie_is_refused(stage: Stage, kind: str, point: Point) -> None:
    """Whatever it still writes is refused: the log, the ledger and the answer stay as they are."""
    text = f"{kind} once"
    zombie, heir = await asyncio.gather(stage.crew.hire(), stage.crew.hire())
    await zombie.arm(point, "stop")
    await zombie.enter()
    async with stage.reviewed(again=False) as asked:
        await zombie.tell("start", text=text)
        await eventually(lambda: psutil.Process(zombie.pid).status() == psutil.STATUS_STOPPED)
        await heir.enter()
        run_id = await stage.end(text)
        await heir.tell("idle")
        await heir.done("idle")
        before = await everything(stage, run_id)
        zombie.signal(signal.SIGCONT)
        await zombie.done("start")
        await zombie.tell("idle")
        await zombie.done("idle")
    assert await everything(stage, run_id) == before
    assert await stage.status(run_id) == "succeeded"
    story = await stage.story(run_id)  # one end, one order of events
    assert story.told == ["message.finished", "run.finished"]
    if (kind, point) == ("mail", ("started", 1)):
        # It may send what it was about to, before it hears that the run is not its own any more;
        # nobody but the receiver could refuse that, and a person has been asked.
        assert await stage.effects("once") <= 1
    else:
        assert await stage.effects("once") == 1
    assert len(asked) == (kind == "mail")
    await stage.permitted(run_id)
    await stage.chained()
