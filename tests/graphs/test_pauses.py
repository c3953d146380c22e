"""A turn that waits for a person, in the moment in which it begins to wait."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from core.telemetry import NullTracer
from db import runs
from db.pool import Database
from evals.asking import AskingModel
from graphs.record import Outcome
from graphs.runner import Runner
from graphs.turn import Turn
from nodes.context import Limits
from tests.graphs.acting import acting, decide, pending
from tests.graphs.turns import LETTER, QUICK, TENANT, begin, events


async def test_a_decision_may_come_before_the_attempt_that_asked_has_ended(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The question is visible before its turn is quite over; the run goes on all the same."""
    end, let = Turn._end, asyncio.Event()
    go_on, gone_on = Runner._go_on, asyncio.Event()

    async def slow(self: Turn, outcome: Outcome) -> bool:
        ended = await end(self, outcome)
        if outcome.approval_id is not None:
            await let.wait()
        return ended

    async def noted(self: Runner, tenant_id: str, run_id: UUID) -> None:
        await go_on(self, tenant_id, run_id)
        gone_on.set()

    monkeypatch.setattr(Turn, "_end", slow)
    monkeypatch.setattr(Runner, "_go_on", noted)
    model = AskingModel().plays([("send_letter", {"to": "Ada"})], "It was sent.")
    used = acting(database, model, [LETTER])
    patient = replace(QUICK, lease_seconds=600)  # so that nobody else takes it over
    async with Runner(used, Limits(), patient, NullTracer()) as runner:
        run = await begin(runner, "Write to Ada")
        while not (asked := await pending(database)):  # noqa: ASYNC110 - a row appears
            await asyncio.sleep(0.01)
        [approval] = asked
        await decide(used, approval.approval_id, "approve", digest=approval.digest)
        await gone_on.wait()  # the run is this process's again
        let.set()
        log = await events(runner, run)
    assert log[-1].type == "run.finished"
    assert model.results == ["Sent to Ada."]


async def test_who_cancels_before_the_attempt_that_asked_has_ended_is_heard(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the moment between the question and its being stored; the run does not wait for ever."""
    pause = Turn._store_pause

    async def late(self: Turn, *arguments: Any) -> None:
        async with database.transaction(TENANT) as conn:
            assert await runs.request_cancel(conn, self.lease.thread_id, self.lease.run_id)
        await pause(self, *arguments)

    monkeypatch.setattr(Turn, "_store_pause", late)
    model = AskingModel().plays([("send_letter", {"to": "Ada"})], "It was sent.")
    used = acting(database, model, [LETTER])
    async with Runner(used, Limits(), QUICK, NullTracer()) as runner:
        log = await events(runner, await begin(runner, "Write to Ada"))
    assert log[-1].type == "run.cancelled"
    assert await pending(database) == []
