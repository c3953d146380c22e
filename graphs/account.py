"""What a turn has spent on models: stored with its end, told to operators once that stands."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from psycopg import AsyncConnection
from psycopg.rows import TupleRow

from core.metrics import Metrics
from core.price import Budget
from db import spending
from db.spending import Spent
from db.sql import Statement
from graphs.lease import Lease
from nodes.stages import Stages

log = logging.getLogger(__name__)


class Account:
    """The account of one attempt at a run."""

    def __init__(
        self, lease: Lease, stages: Stages, budgets: Sequence[Budget], metrics: Metrics
    ) -> None:
        """stages: know what the turn has asked models. budgets: of all tenants."""
        self._lease = lease
        self._stages = stages
        self._budgets = budgets
        self._metrics = metrics
        self._spent: Spent | None = None

    def statements(self) -> list[Statement]:
        """Return what stores it, once the run has ended or waits; [] when no model was asked.

        It goes behind what ends the attempt, in the same transaction.
        """
        calls = self._stages.state.get("model_calls", [])
        if not calls:
            return []
        lease = self._lease
        spend = spending.spending(
            calls,
            self._budgets,
            tenant_id=lease.tenant_id,
            run_id=lease.run_id,
            lease_token=lease.token,
        )
        return [spend]

    def stored(self, results: Sequence[Sequence[TupleRow]]) -> None:
        """Take note of the rows that the statements gave."""
        self._spent = spending.spent(results[0]) if results else None

    async def store(self, conn: AsyncConnection[TupleRow]) -> None:
        """Store it."""
        cursors = [await conn.execute(*statement) for statement in self.statements()]
        self.stored([await cursor.fetchall() for cursor in cursors])

    def tell(self) -> None:
        """Tell operators, now that it is committed."""
        if self._spent is None:
            return
        calls = self._stages.state["model_calls"]
        for number in self._spent.numbers:
            self._metrics.spent(calls[number - 1])
        for share in self._spent.reached:
            told = {"tenant_id": self._lease.tenant_id, **share}
            log.warning("a budget has reached a share of its limit", extra=told)
            self._metrics.budgets_reached.labels(
                share["scope"], share["per"], share["percent"]
            ).inc()
