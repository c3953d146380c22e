"""What was kept only for a time is forgotten."""

from __future__ import annotations

from uuid import UUID

import pytest

from api.retention import forget
from core.telemetry import NullTracer
from db import turns
from db.pool import Database
from graphs.runner import Runner
from nodes.context import Limits
from safety.policy import Policies
from tests.graphs.turns import QUICK, TENANT, begin, events, services

AGE = "update turns set created_at = now() - make_interval(days => %s) where run_id = %s"
FOUND = """update turns set findings = '[{"check": "pii"}]' where run_id = %s"""


@pytest.mark.parametrize(
    ("general", "own", "forgotten"),
    [(90, {}, 0), (7, {}, 1), (90, {TENANT: 7}, 1), (7, {TENANT: 90}, 0)],
)
async def test_findings_are_kept_as_long_as_the_policy_says(
    database: Database, general: int, own: dict[str, int], forgotten: int
) -> None:
    """A tenant's own time comes before the general one; the rest of the log stays."""
    async with Runner(services(database), Limits(), QUICK, NullTracer()) as runner:
        run = await begin(runner)
        await events(runner, run)
    run_id = UUID(run.run_id)
    async with database.transaction(TENANT) as conn:
        await conn.execute(AGE, [10, run_id])
        await conn.execute(FOUND, [run_id])
    base = Policies.load().general
    policies = Policies(
        base.model_copy(update={"retention_days": general}),
        {name: base.model_copy(update={"retention_days": days}) for name, days in own.items()},
    )
    assert await forget(database, policies) == forgotten
    async with database.transaction(TENANT) as conn:
        log = await turns.get(conn, run_id)
    assert bool(log.findings) is not bool(forgotten)
    assert log.raw_answer
