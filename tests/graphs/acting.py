"""Services whose user wants something done, and a reviewer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from db.pool import Database
from evals.asking import AskingModel, TaskIntents
from evals.bench.edges import services
from nodes.context import Services
from tests.graphs.turns import TENANT
from tools import approvals
from tools.approvals import Approval, Wanted
from tools.policy import Policy
from tools.reviews import Choice, Decision, Reviews
from tools.tool import Caller, Tool

REVIEWER = Caller(TENANT, "rita", roles=frozenset({"reviewer"}))


def acting(
    database: Database, model: AskingModel, tools: Iterable[Tool], policy: Policy | None = None
) -> Services:
    """Return services with these tools, by default under the policy that comes along."""
    return services(database, model, tools, intents=TaskIntents(), policy=policy)


async def pending(database: Database, tenant_id: str = TENANT) -> list[Approval]:
    """Return the approvals that wait, with their evidence, oldest first."""
    async with database.transaction(tenant_id) as conn:
        found = await approvals.page(conn, Wanted(), limit=100)
        return [await approvals.get(conn, one.approval_id) for one in found]


async def decide(
    used: Services, approval_id: UUID, choice: Choice, by: Caller = REVIEWER, **more: Any
) -> Approval:
    """Decide an approval as a reviewer."""
    reviews = Reviews(used.database, used.tools, used.policy)
    return await reviews.decide(approval_id, Decision(choice, **more), by)
